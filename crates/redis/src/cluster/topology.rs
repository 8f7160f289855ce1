//! Which node has which slots, and what a node says about one that is not its own.

use redis::{RedisError, Value};

use super::slot::SLOTS;

/// A node, as it announces itself: host (empty: the host that was asked) and port.
pub(super) type Address = (String, u16);

/// No node has this slot.
const NOBODY: u16 = u16::MAX;
/// Nodes at most. Redis itself is tested up to a thousand.
pub(super) const MOST_NODES: usize = 1000;

/// Which node has which slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topology {
    /// Those that have slots.
    nodes: Vec<Address>,
    owners: Vec<u16>,
}

impl Topology {
    /// Reads the reply to `CLUSTER SLOTS`. `None`: it has another shape.
    pub(super) fn read(reply: &Value) -> Option<Self> {
        let Value::Array(ranges) = reply else { return None };
        let mut topology = Self { nodes: Vec::new(), owners: vec![NOBODY; usize::from(SLOTS)] };
        for range in ranges {
            let Value::Array(range) = range else { return None };
            let (Some(Value::Int(first)), Some(Value::Int(last))) = (range.first(), range.get(1)) else { return None };
            // The first node of a range is the one that takes writes; the others are its replicas.
            let Some(Value::Array(node)) = range.get(2) else { return None };
            let host = match node.first()? {
                Value::BulkString(host) => std::str::from_utf8(host).ok()?,
                Value::SimpleString(host) => host,
                Value::Nil => "",
                _ => return None,
            };
            let Some(Value::Int(port)) = node.get(1) else { return None };
            let owner = topology.index(host, u16::try_from(*port).ok()?)?;
            let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
            topology.owners.get_mut(first..=last)?.fill(owner);
        }
        Some(topology)
    }

    /// What the topology is once `slot` is that node's.
    pub(super) fn with(&self, slot: u16, (host, port): &Address) -> Option<Self> {
        let mut moved = self.clone();
        let owner = moved.index(host, *port)?;
        *moved.owners.get_mut(usize::from(slot))? = owner;
        Some(moved)
    }

    fn index(&mut self, host: &str, port: u16) -> Option<u16> {
        let host = if host == "?" { "" } else { host };
        let at = self.nodes.iter().position(|(known, own)| known == host && *own == port);
        let at = at.unwrap_or_else(|| {
            self.nodes.push((host.to_owned(), port));
            self.nodes.len() - 1
        });
        if at < MOST_NODES { u16::try_from(at).ok() } else { None }
    }

    /// The node that has this slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Address> {
        self.nodes.get(usize::from(*self.owners.get(usize::from(slot))?))
    }

    /// The nodes that have slots.
    pub(super) fn nodes(&self) -> &[Address] {
        &self.nodes
    }
}

/// What a node says about a slot that is not its own, or not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redirection {
    /// This node has it from now on.
    Moved(u16, Address),
    /// This node takes this one command.
    Ask(Address),
    /// The slot is on its way, or nobody has it: later.
    Later,
}

impl Redirection {
    /// The redirection in a reply, if it is one.
    pub(super) fn of(reply: &Result<Value, RedisError>) -> Option<Self> {
        match reply {
            Ok(Value::ServerError(error)) => Self::read(error.code(), error.details()),
            Err(error) => Self::of_error(error),
            Ok(_) => None,
        }
    }

    /// The redirection in an error: its own, or that of a command in an aborted transaction.
    pub(super) fn of_error(error: &RedisError) -> Option<Self> {
        if let Some(direct) = error.code().and_then(|code| Self::read(code, error.detail())) {
            return Some(direct);
        }
        let inner = error.clone().into_server_errors()?;
        inner.iter().find_map(|(_, error)| Self::read(error.code(), error.details()))
    }

    fn read(code: &str, details: Option<&str>) -> Option<Self> {
        let target = || {
            let (slot, address) = details?.split_once(' ')?;
            let (host, port) = address.trim_end().rsplit_once(':')?;
            Some((slot.parse::<u16>().ok()?, (host.to_owned(), port.parse::<u16>().ok()?)))
        };
        match code {
            "MOVED" => target().map(|(slot, address)| Self::Moved(slot, address)),
            "ASK" => target().map(|(_, address)| Self::Ask(address)),
            "TRYAGAIN" | "CLUSTERDOWN" | "LOADING" => Some(Self::Later),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, host: &str, port: i64) -> Value {
        let node = Value::Array(vec![Value::BulkString(host.into()), Value::Int(port), Value::BulkString("id".into())]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node])
    }

    #[test]
    fn slots_have_the_owners_that_the_reply_names_and_one_may_move() {
        let reply = Value::Array(vec![range(0, 8191, "10.0.0.1", 8501), range(8192, 16_383, "10.0.0.2", 8502)]);
        let topology = Topology::read(&reply).unwrap();
        assert_eq!(topology.owner(8191), Some(&("10.0.0.1".to_owned(), 8501)));
        assert_eq!(topology.owner(8192), Some(&("10.0.0.2".to_owned(), 8502)));
        let moved = topology.with(5, &("10.0.0.3".to_owned(), 8503)).unwrap();
        assert_eq!(moved.owner(5), Some(&("10.0.0.3".to_owned(), 8503)));
        assert_eq!((moved.owner(6), moved.nodes().len()), (topology.owner(6), 3));
        for broken in [range(0, 16_384, "h", 1), range(5, 4, "h", 1), range(-1, 4, "h", 1), range(0, 4, "h", 65_536)] {
            let reply = Value::Array(vec![broken]);
            assert!(Topology::read(&reply).is_none_or(|topology| topology.owner(0).is_none()), "{reply:?}");
        }
        assert_eq!(Topology::read(&Value::Okay), None);
    }

    #[test]
    fn redirections_are_read_and_anything_else_is_none() {
        let read = |code, details| Redirection::read(code, Some(details));
        assert_eq!(read("MOVED", "3999 10.0.0.1:8501"), Some(Redirection::Moved(3999, ("10.0.0.1".into(), 8501))));
        assert_eq!(read("ASK", "3999 :8501"), Some(Redirection::Ask((String::new(), 8501))));
        assert_eq!(Redirection::read("TRYAGAIN", None), Some(Redirection::Later));
        for details in ["", "1", "1 nowhere", "1 a:99999", "x a:1"] {
            assert_eq!(read("MOVED", details), None, "{details}");
        }
    }
}
