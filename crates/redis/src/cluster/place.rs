//! Where in a cluster a command goes, by its name and the first of its keys.

use std::borrow::Cow;

use redis::{Arg, Cmd, RedisResult};

use super::slot;
use crate::screen::refuse;

/// Where a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To the node that has this slot.
    Slot(u16),
    /// To any node.
    Any,
    /// To every node that has slots.
    Everywhere(Sum),
}

/// What becomes of the replies of all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sum {
    /// They are alike: one of them.
    One,
    /// Numbers are added.
    Number,
    /// Lists are put together.
    List,
}

/// The place of one command.
///
/// # Errors
/// The command makes no sense in a cluster.
pub(super) fn place(command: &Cmd) -> RedisResult<Place> {
    let words = || {
        command.args_iter().map(|arg| match arg {
            Arg::Simple(word) => Cow::Borrowed(word),
            _ => Cow::Borrowed(&b"0"[..]),
        })
    };
    let upper = |index: usize| words().nth(index).map(|word| word.to_ascii_uppercase()).unwrap_or_default();
    let (name, second) = (upper(0), upper(1));
    // A number of keys, and the keys behind it.
    let counted = |at: usize| if words().nth(at).is_none_or(|count| &*count == b"0") { None } else { Some(at + 1) };
    let first_key = match name.as_slice() {
        b"DBSIZE" => return Ok(Place::Everywhere(Sum::Number)),
        b"KEYS" => return Ok(Place::Everywhere(Sum::List)),
        b"FLUSHALL" | b"FLUSHDB" => return Ok(Place::Everywhere(Sum::One)),
        b"SCRIPT" if matches!(second.as_slice(), b"LOAD" | b"FLUSH") => return Ok(Place::Everywhere(Sum::One)),
        b"FUNCTION" if matches!(second.as_slice(), b"LOAD" | b"DELETE" | b"FLUSH" | b"RESTORE") => {
            return Ok(Place::Everywhere(Sum::One));
        }
        b"SCAN" | b"WAIT" | b"WAITAOF" => return Err(refuse(command, "it concerns one node: ask that one")),
        b"ACL" | b"BGREWRITEAOF" | b"BGSAVE" | b"CLIENT" | b"CLUSTER" | b"COMMAND" | b"CONFIG" | b"ECHO"
        | b"FUNCTION" | b"INFO" | b"LASTSAVE" | b"LATENCY" | b"LOLWUT" | b"MODULE" | b"PING" | b"PUBLISH"
        | b"PUBSUB" | b"RANDOMKEY" | b"ROLE" | b"SCRIPT" | b"SLOWLOG" | b"TIME" => None,
        b"MEMORY" if second != b"USAGE" => None,
        b"BITOP" | b"MEMORY" | b"OBJECT" | b"XGROUP" | b"XINFO" => Some(2),
        b"EVAL" | b"EVALSHA" | b"EVAL_RO" | b"EVALSHA_RO" | b"FCALL" | b"FCALL_RO" | b"BLMPOP" | b"BZMPOP" => {
            counted(2)
        }
        b"LMPOP" | b"SINTERCARD" | b"ZDIFF" | b"ZINTER" | b"ZINTERCARD" | b"ZMPOP" | b"ZUNION" => counted(1),
        b"XREAD" | b"XREADGROUP" => words().position(|word| word.eq_ignore_ascii_case(b"STREAMS")).map(|at| at + 1),
        _ => Some(1),
    };
    Ok(match first_key.and_then(|at| words().nth(at)) {
        Some(key) => Place::Slot(slot::of(&key)),
        None => Place::Any,
    })
}

/// A command for the keys of one slot.
pub(super) struct Part {
    pub(super) slot: u16,
    pub(super) command: Cmd,
    /// The places that its keys have in the whole.
    pub(super) places: Vec<usize>,
}

/// The commands of a `DEL`, `EXISTS`, `MGET`, `MSET`, `TOUCH` or `UNLINK` whose keys are in several slots, one a slot.
/// `None`: it is no such command, or needs no division.
pub(super) fn divide(command: &Cmd) -> Option<(Vec<Part>, Sum)> {
    let words: Vec<&[u8]> = command
        .args_iter()
        .map(|arg| if let Arg::Simple(word) = arg { Some(word) } else { None })
        .collect::<Option<_>>()?;
    let (name, rest) = words.split_first()?;
    let (step, sum) = match name.to_ascii_uppercase().as_slice() {
        b"DEL" | b"EXISTS" | b"TOUCH" | b"UNLINK" => (1, Sum::Number),
        b"MGET" => (1, Sum::List),
        b"MSET" if rest.len() % 2 == 0 => (2, Sum::One),
        _ => return None,
    };
    let mut parts: Vec<Part> = Vec::new();
    for (index, words) in rest.chunks(step).enumerate() {
        let slot = slot::of(words.first()?);
        let at = parts.iter().position(|part| part.slot == slot).unwrap_or_else(|| {
            let mut command = Cmd::new();
            command.arg(*name);
            parts.push(Part { slot, command, places: Vec::new() });
            parts.len() - 1
        });
        let part = parts.get_mut(at)?;
        words.iter().for_each(|word| {
            part.command.arg(*word);
        });
        part.places.push(index);
    }
    (parts.len() > 1).then_some((parts, sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Cmd {
        let mut command = Cmd::new();
        line.split(' ').for_each(|word| {
            command.arg(word);
        });
        command
    }

    #[test]
    fn commands_go_to_the_slot_of_their_first_key() {
        let slot = Place::Slot(slot::of(b"foo"));
        for line in [
            "GET foo",
            "EVAL x 1 foo",
            "EVALSHA abc 1 foo x",
            "BITOP AND foo bar",
            "XREAD COUNT 1 STREAMS foo 0",
            "zunion 1 foo",
            "BLMPOP 0 1 foo LEFT",
            "OBJECT ENCODING foo",
            "MEMORY USAGE foo",
            "SPUBLISH foo x",
        ] {
            assert_eq!(place(&command(line)).unwrap(), slot, "{line}");
        }
        for line in ["PING", "EVAL x 0", "PUBLISH foo x", "MEMORY DOCTOR", "INFO"] {
            assert_eq!(place(&command(line)).unwrap(), Place::Any, "{line}");
        }
        assert_eq!(place(&command("script load x")).unwrap(), Place::Everywhere(Sum::One));
        assert!(place(&command("SCAN 0")).is_err());
    }

    #[test]
    fn keys_of_several_slots_are_asked_for_apart_and_keep_their_places() {
        let (parts, sum) = divide(&command("MGET {a}1 {b}1 {a}2")).unwrap();
        assert_eq!(sum, Sum::List);
        let places: Vec<_> = parts.iter().map(|part| part.places.clone()).collect();
        assert_eq!(places, [vec![0, 2], vec![1]]);
        assert_eq!(parts[0].command.get_packed_command(), command("MGET {a}1 {a}2").get_packed_command());
        let (parts, _) = divide(&command("MSET {a}1 x {b}1 y")).unwrap();
        assert_eq!(parts[1].command.get_packed_command(), command("MSET {b}1 y").get_packed_command());
        assert!(divide(&command("MGET {a}1 {a}2")).is_none());
        assert!(divide(&command("SINTER {a}1 {b}2")).is_none());
    }
}
