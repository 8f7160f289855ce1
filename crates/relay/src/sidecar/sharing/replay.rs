//! What a client said about its connection while it had none: said again once it has one.

use entrant_proto::resp::Args;

/// Bytes kept at most.
const MOST: usize = 1024;

/// A client's settings that cost no connection.
#[derive(Debug)]
pub(super) struct Replay {
    /// RESP version, 2 or 3.
    pub(super) version: u8,
    /// Whole commands, in order.
    pub(super) commands: Vec<Vec<u8>>,
}

impl Default for Replay {
    fn default() -> Self {
        Self { version: 2, commands: Vec::new() }
    }
}

impl Replay {
    /// Notes `CLIENT SETNAME` or `CLIENT SETINFO`, and so answers it. `false`: it is neither, or one that Redis might
    /// refuse.
    pub(super) fn note(&mut self, command: &[u8]) -> bool {
        let words: Vec<_> = Args::of(command).take(5).collect();
        let plain = |word: &[u8]| word.iter().all(|byte| (b'!'..=b'~').contains(byte));
        let known = match words.as_slice() {
            [client, what, name] => is(client, b"CLIENT") && is(what, b"SETNAME") && plain(name),
            [client, what, option, value] => {
                is(client, b"CLIENT")
                    && is(what, b"SETINFO")
                    && (is(option, b"LIB-NAME") || is(option, b"LIB-VER"))
                    && plain(value)
            }
            _ => false,
        };
        let size: usize = self.commands.iter().map(Vec::len).sum();
        if !known || size + command.len() > MOST {
            return false;
        }
        self.commands.push(command.to_vec());
        true
    }

    /// The version that a `HELLO` asks for, if all else it says can be noted.
    pub(super) fn hello(&mut self, command: &[u8], present: u8) -> Option<u8> {
        let words: Vec<_> = Args::of(command).take(9).collect();
        let version = match words.get(1).map(AsRef::as_ref) {
            None => return Some(present),
            Some(b"2") => 2,
            Some(b"3") => 3,
            Some(_) => return None,
        };
        let mut rest = words.get(2..)?;
        let mut name = None;
        while let [word, tail @ ..] = rest {
            rest = match tail {
                [_name, _password, tail @ ..] if is(word, b"AUTH") => tail,
                [own, tail @ ..] if is(word, b"SETNAME") => {
                    name = Some(own.to_vec());
                    tail
                }
                _ => return None,
            };
        }
        if let Some(name) = name {
            let mut command = format!("*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n${}\r\n", name.len()).into_bytes();
            command.extend_from_slice(&name);
            command.extend_from_slice(b"\r\n");
            if !self.note(&command) {
                return None;
            }
        }
        Some(version)
    }
}

fn is(word: &[u8], upper: &[u8]) -> bool {
    word.eq_ignore_ascii_case(upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_redis_would_accept_is_noted_and_the_rest_needs_a_connection() {
        let mut replay = Replay::default();
        assert!(replay.note(b"client setname worker\r\n"));
        assert!(replay.note(b"CLIENT SETINFO LIB-NAME redis-py\r\n"));
        for command in ["CLIENT SETNAME 'a b'\r\n", "CLIENT SETINFO LIB-X y\r\n", "CLIENT ID\r\n", "CLIENT GETNAME\r\n"]
        {
            assert!(!replay.note(command.as_bytes()), "{command}");
        }
        assert_eq!(replay.commands.len(), 2);
        assert!(!replay.note(format!("CLIENT SETNAME {}\r\n", "x".repeat(MOST)).as_bytes()));
    }

    #[test]
    fn hello_names_a_version_and_keeps_the_name() {
        let mut replay = Replay::default();
        assert_eq!(replay.hello(b"HELLO 3 AUTH default secret SETNAME me\r\n", 2), Some(3));
        assert_eq!(replay.commands, [b"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$2\r\nme\r\n"]);
        assert_eq!(replay.hello(b"HELLO\r\n", 3), Some(3));
        assert_eq!(replay.hello(b"HELLO 4\r\n", 2), None);
        assert_eq!(replay.hello(b"HELLO 3 AUTH x\r\n", 2), None);
    }
}
