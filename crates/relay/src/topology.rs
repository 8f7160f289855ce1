//! Where the nodes of a cluster are, as the server says it, rewritten to where the sidecar or the gate listens
//! for each.
//!
//! Four shapes: the redirections `MOVED` and `ASK`, and the replies to `CLUSTER SLOTS`, `SHARDS` and `NODES` (whose
//! lines `REPLICAS` repeats). Formats: redis.io/docs/latest/commands/cluster-slots, -shards, -nodes, and the cluster
//! specification's redirections.

use bytes::{BufMut as _, BytesMut};
use entrant_proto::resp::{ReplyWriter, Value, Version};

/// Gives the host and port to name in place of a node's host (empty: the host that was asked) and port.
pub(crate) type Local<'a, 'h> = &'a mut dyn FnMut(&str, u16) -> Option<(&'h str, u16)>;

/// `-MOVED slot host:port` or `-ASK slot host:port`. `None`: it is neither, or no local port can be had.
pub(crate) fn redirection(line: &[u8], local: Local<'_, '_>) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(line).ok()?.trim_end_matches("\r\n");
    let mut words = text.split(' ');
    let (kind, slot, address) = (words.next()?, words.next()?, words.next()?);
    if !matches!(kind, "-MOVED" | "-ASK") {
        return None;
    }
    let (host, port) = address.rsplit_once(':')?;
    let (host, port) = local(host, port.parse().ok()?)?;
    Some(format!("{kind} {slot} {host}:{port}\r\n").into_bytes())
}

/// A topology reply, rewritten. `None`: it is none of the known shapes.
pub(crate) fn reply(frame: &[u8], version: Version, local: Local<'_, '_>) -> Option<BytesMut> {
    let (value, _) = Value::parse(frame).ok()??;
    relocated(value, version, local)
}

/// The same for a reply that was read already.
pub(crate) fn relocated(mut value: Value, version: Version, local: Local<'_, '_>) -> Option<BytesMut> {
    rewrite(&mut value, local)?;
    let mut out = BytesMut::new();
    put(&value, version, &mut out);
    Some(out)
}

fn rewrite(value: &mut Value, local: Local<'_, '_>) -> Option<()> {
    match value {
        Value::Bulk(text) | Value::Verbatim(_, text) => *text = lines(text, local)?,
        Value::Array(entries) => {
            for entry in entries {
                match entry {
                    Value::Bulk(text) => *text = lines(text, local)?,
                    Value::Array(range) if matches!(range.first(), Some(Value::Integer(_))) => slots(range, local)?,
                    shard => nodes_of(shard, local)?,
                }
            }
        }
        // An error, such as that of a server without cluster mode.
        _ => {}
    }
    Some(())
}

/// `CLUSTER NODES`: `id ip:port@bus[,hostname…] flags …`, one node a line.
fn lines(text: &[u8], local: Local<'_, '_>) -> Option<Vec<u8>> {
    let mut out = String::with_capacity(text.len());
    for line in std::str::from_utf8(text).ok()?.split_inclusive('\n') {
        let (id, rest) = line.split_once(' ')?;
        let (address, rest) = rest.split_once(' ')?;
        let address = address.split(',').next().unwrap_or_default();
        let (address, bus) = address.split_once('@').unwrap_or((address, "0"));
        let (host, port) = address.rsplit_once(':')?;
        let (host, port) = local(host, port.parse().ok()?)?;
        out += &format!("{id} {host}:{port}@{bus} {rest}");
    }
    Some(out.into_bytes())
}

/// An entry of `CLUSTER SLOTS`: start, end, then nodes of host, port, id and metadata.
fn slots(range: &mut [Value], local: Local<'_, '_>) -> Option<()> {
    for node in range.iter_mut().skip(2) {
        let Value::Array(node) = node else { return None };
        let host = node.first()?.text().map(|host| String::from_utf8_lossy(host).into_owned()).unwrap_or_default();
        let Some(Value::Integer(port)) = node.get(1) else { return None };
        let (host, port) = local(&host, u16::try_from(*port).ok()?)?;
        *node.first_mut()? = Value::Bulk(host.into());
        *node.get_mut(1)? = Value::Integer(port.into());
        // The metadata repeats the address in other forms.
        if let Some(metadata) = node.get_mut(3) {
            *metadata = match metadata {
                Value::Map(_) => Value::Map(Vec::new()),
                _ => Value::Array(Vec::new()),
            };
        }
    }
    Some(())
}

/// A shard of `CLUSTER SHARDS`: fields, of which `nodes` is a list of nodes with fields of their own.
fn nodes_of(shard: &mut Value, local: Local<'_, '_>) -> Option<()> {
    let mut pairs = fields(std::mem::replace(shard, Value::Null))?;
    for (name, value) in &mut pairs.list {
        if name.text() != Some(b"nodes") {
            continue;
        }
        let Value::Array(nodes) = value else { return None };
        for node in nodes {
            let mut fields = fields(std::mem::replace(node, Value::Null))?;
            fields.relocate(local)?;
            *node = fields.into_value();
        }
    }
    *shard = pairs.into_value();
    Some(())
}

/// Fields of a map, or of a flat array in RESP2.
struct Fields {
    list: Vec<(Value, Value)>,
    map: bool,
}

fn fields(value: Value) -> Option<Fields> {
    match value {
        Value::Map(list) => Some(Fields { list, map: true }),
        Value::Array(flat) => {
            let mut flat = flat.into_iter();
            let mut list = Vec::new();
            while let Some(name) = flat.next() {
                list.push((name, flat.next()?));
            }
            Some(Fields { list, map: false })
        }
        _ => None,
    }
}

impl Fields {
    fn relocate(&mut self, local: Local<'_, '_>) -> Option<()> {
        let text =
            |name: &[u8]| self.list.iter().find(|(own, _)| own.text() == Some(name)).map(|(_, value)| value.clone());
        let host = text(b"endpoint").or_else(|| text(b"ip"));
        let host = host.as_ref().and_then(Value::text).map(|host| String::from_utf8_lossy(host).into_owned());
        let Some(Value::Integer(port)) = text(b"tls-port").or_else(|| text(b"port")) else { return None };
        let (host, port) = local(&host.unwrap_or_default(), u16::try_from(port).ok()?)?;
        self.list.retain(|(name, _)| !matches!(name.text(), Some(b"tls-port" | b"port" | b"hostname")));
        for (name, value) in &mut self.list {
            if matches!(name.text(), Some(b"ip" | b"endpoint")) {
                *value = Value::Bulk(host.into());
            }
        }
        self.list.push((Value::Bulk(b"port".to_vec()), Value::Integer(port.into())));
        Some(())
    }

    fn into_value(self) -> Value {
        if self.map {
            return Value::Map(self.list);
        }
        Value::Array(self.list.into_iter().flat_map(|(name, value)| [name, value]).collect())
    }
}

fn put(value: &Value, version: Version, out: &mut BytesMut) {
    let mut writer = ReplyWriter::new(out, version);
    match value {
        Value::Simple(text) => writer.simple(&String::from_utf8_lossy(text)),
        Value::Error(text) => writer.error(&String::from_utf8_lossy(text)),
        Value::Integer(number) => writer.integer(*number),
        Value::Bulk(text) => writer.bulk(text),
        Value::Verbatim(_, text) => writer.verbatim(&String::from_utf8_lossy(text)),
        Value::Null => writer.null(),
        Value::Double(text) | Value::BigNumber(text) => writer.double(&String::from_utf8_lossy(text)),
        Value::Boolean(yes) => out.put_slice(if *yes { b"#t\r\n" } else { b"#f\r\n" }),
        Value::Map(pairs) => {
            writer.map(pairs.len());
            for (name, value) in pairs {
                put(name, version, out);
                put(value, version, out);
            }
        }
        Value::Array(elements) | Value::Set(elements) | Value::Push(elements) => {
            writer.array(elements.len());
            for element in elements {
                put(element, version, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(host: &str, port: u16) -> Option<(&'static str, u16)> {
        assert!(host.is_empty() || host == "10.0.0.1" || host == "10.0.0.2" || host == "fe80::1", "{host}");
        Some(("127.0.0.1", port + 1000))
    }

    #[test]
    fn redirections_lead_to_the_local_port_of_the_node() {
        let out = |line: &str| redirection(line.as_bytes(), &mut map).map(|out| String::from_utf8(out).unwrap());
        assert_eq!(out("-MOVED 3999 10.0.0.1:8501\r\n").as_deref(), Some("-MOVED 3999 127.0.0.1:9501\r\n"));
        assert_eq!(out("-ASK 3999 fe80::1:8501\r\n").as_deref(), Some("-ASK 3999 127.0.0.1:9501\r\n"));
        assert_eq!(out("-MOVED 3999 :8501\r\n").as_deref(), Some("-MOVED 3999 127.0.0.1:9501\r\n"));
        for line in ["-ERR MOVED", "-MOVED 1", "-MOVED 1 nowhere", "-MOVED 1 a:99999", "-WRONGTYPE x y:1"] {
            assert_eq!(out(line), None, "{line}");
        }
    }

    #[test]
    fn cluster_nodes_and_slots_name_local_addresses_only() {
        let nodes = "a1 10.0.0.1:8500@18500,host.example myself,master - 0 0 1 connected 0-8191\n\
                     b2 10.0.0.2:8501@18501 master - 0 0 2 connected 8192-16383\n";
        let frame = format!("${}\r\n{nodes}\r\n", nodes.len());
        let out = reply(frame.as_bytes(), Version::Resp2, &mut map).unwrap();
        let text = String::from_utf8(out.to_vec()).unwrap();
        assert!(text.contains("a1 127.0.0.1:9500@18500 myself,master - 0 0 1 connected 0-8191\n"), "{text}");
        assert!(!text.contains("10.0.0.") && !text.contains("host.example"));
        let slots = b"*1\r\n*3\r\n:0\r\n:8191\r\n*4\r\n$8\r\n10.0.0.1\r\n:8500\r\n$2\r\na1\r\n*2\r\n$8\r\nhostname\r\n$1\r\nx\r\n";
        let out = reply(slots, Version::Resp2, &mut map).unwrap();
        assert_eq!(&out[..], b"*1\r\n*3\r\n:0\r\n:8191\r\n*4\r\n$9\r\n127.0.0.1\r\n:9500\r\n$2\r\na1\r\n*0\r\n");
    }

    #[test]
    fn cluster_shards_keep_their_shape_in_both_protocols() {
        let node = "$2\r\nid\r\n$2\r\na1\r\n$4\r\nport\r\n:8500\r\n$2\r\nip\r\n$8\r\n10.0.0.1\r\n";
        let two = format!("*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:1\r\n$5\r\nnodes\r\n*1\r\n*6\r\n{node}");
        let three = format!("*1\r\n%2\r\n$5\r\nslots\r\n*2\r\n:0\r\n:1\r\n$5\r\nnodes\r\n*1\r\n%3\r\n{node}");
        let moved = "$2\r\nid\r\n$2\r\na1\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n:9500\r\n";
        for (frame, version, head) in [(two, Version::Resp2, "*6\r\n"), (three, Version::Resp3, "%3\r\n")] {
            let out = String::from_utf8(reply(frame.as_bytes(), version, &mut map).unwrap().to_vec()).unwrap();
            assert!(out.ends_with(&format!("{head}{moved}")), "{out}");
        }
    }

    #[test]
    fn a_reply_of_another_shape_is_passed_on_as_it_is() {
        for frame in ["*1\r\n:1\r\n", "$5\r\nwords\r\n", "*1\r\n*3\r\n:0\r\n:1\r\n:2\r\n", "not resp"] {
            assert!(reply(frame.as_bytes(), Version::Resp2, &mut map).is_none(), "{frame}");
        }
        let error = b"-ERR This instance has cluster support disabled\r\n";
        assert_eq!(&reply(error, Version::Resp2, &mut map).unwrap()[..], error);
    }
}
