//! Pub/sub frames: confirmations and messages, as RESP2 arrays or RESP3 pushes.

use super::command::Family;

/// A pub/sub frame's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// `message`, `pmessage`, `smessage`: answers no request.
    Message,
    /// A subscription was made: its family and name.
    Subscribed(Family, &'a [u8]),
    /// A subscription has ended; without a name when there was none to end.
    Unsubscribed(Family, Option<&'a [u8]>),
}

impl<'a> Notice<'a> {
    /// Reads the beginning of a frame. `None`: not a pub/sub frame, or cut before its name's end.
    #[must_use]
    pub fn read(frame: &'a [u8]) -> Option<Self> {
        let (_, rest) = match frame {
            [b'*' | b'>', rest @ ..] => line(rest).filter(|(count, _)| matches!(*count, b"3" | b"4"))?,
            _ => return None,
        };
        let (word, rest) = bulk(rest)?;
        let word = word?;
        let name = || bulk(rest).map(|(name, _)| name);
        Some(match word {
            b"message" | b"pmessage" | b"smessage" => Self::Message,
            b"subscribe" => Self::Subscribed(Family::Channel, name()??),
            b"psubscribe" => Self::Subscribed(Family::Pattern, name()??),
            b"ssubscribe" => Self::Subscribed(Family::Shard, name()??),
            b"unsubscribe" => Self::Unsubscribed(Family::Channel, name()?),
            b"punsubscribe" => Self::Unsubscribed(Family::Pattern, name()?),
            b"sunsubscribe" => Self::Unsubscribed(Family::Shard, name()?),
            _ => return None,
        })
    }
}

/// Text up to CR LF, and what follows.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().take(24).position(|byte| *byte == b'\r')?;
    Some((bytes.get(..at)?, bytes.get(at + 2..)?))
}

/// A bulk string (`None` for null), and what follows.
fn bulk(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    match bytes {
        [b'$', rest @ ..] => {
            let (length, rest) = line(rest)?;
            if length == b"-1" {
                return Some((None, rest));
            }
            let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
            Some((Some(rest.get(..length)?), rest.get(length.checked_add(2)?..).unwrap_or_default()))
        }
        [b'_', rest @ ..] => Some((None, line(rest)?.1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmations_and_messages_are_told_apart_in_both_protocols() {
        let subscribe = b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
        assert_eq!(Notice::read(subscribe), Some(Notice::Subscribed(Family::Channel, b"a")));
        assert_eq!(Notice::read(b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$9999\r\ncut"), Some(Notice::Message));
        let none = b"*3\r\n$12\r\npunsubscribe\r\n$-1\r\n:0\r\n";
        assert_eq!(Notice::read(none), Some(Notice::Unsubscribed(Family::Pattern, None)));
        let none = b">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n";
        assert_eq!(Notice::read(none), Some(Notice::Unsubscribed(Family::Channel, None)));
    }

    #[test]
    fn anything_else_is_not_a_notice() {
        for frame in [
            &b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"[..],
            b"+OK\r\n",
            b"",
            b"*3",
            b"*3\r",
            b"*3\r\n$9\r\nsubs",
            b"*3\r\n$99999999999999999999\r\nx",
            b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n",
        ] {
            assert_eq!(Notice::read(frame), None, "{}", String::from_utf8_lossy(frame));
        }
    }
}
