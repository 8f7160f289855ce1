//! `HELLO` without its credentials.

use bytes::BytesMut;
use entrant_proto::resp::{Args, encode_command};

/// The same `HELLO` without `AUTH name password`. `None`: it has none, or is not one that Redis would accept, so
/// that it goes on as it is and Redis says what is wrong.
pub(super) fn without_credentials(command: &[u8]) -> Option<BytesMut> {
    let args: Vec<_> = Args::of(command).collect();
    let mut kept = args.get(..2)?.to_vec();
    let mut rest = args.get(2..)?;
    let mut found = false;
    while let [word, tail @ ..] = rest {
        match tail {
            [_name, _password, after @ ..] if word.eq_ignore_ascii_case(b"AUTH") => {
                found = true;
                rest = after;
            }
            [name, after @ ..] if word.eq_ignore_ascii_case(b"SETNAME") => {
                kept.extend([word.clone(), name.clone()]);
                rest = after;
            }
            _ => {
                kept.push(word.clone());
                rest = tail;
            }
        }
    }
    if !found {
        return None;
    }
    let mut out = BytesMut::new();
    encode_command(&mut out, &kept);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Option<String> {
        let words: Vec<_> = words.split(' ').collect();
        let mut command = BytesMut::new();
        encode_command(&mut command, &words);
        let out = without_credentials(&command)?;
        Some(Args::of(&out).map(|word| String::from_utf8_lossy(&word).into_owned()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_client_s_credentials_never_reach_redis_and_the_rest_of_hello_does() {
        assert_eq!(of("HELLO 3 AUTH default secret").as_deref(), Some("HELLO 3"));
        assert_eq!(of("hello 3 SETNAME n auth u p").as_deref(), Some("hello 3 SETNAME n"));
        assert_eq!(of("HELLO 2 AUTH u p SETNAME AUTH").as_deref(), Some("HELLO 2 SETNAME AUTH"));
        assert_eq!(of("HELLO 3"), None);
        assert_eq!(of("HELLO"), None);
        assert_eq!(of("HELLO 3 SETNAME n"), None);
    }

    #[test]
    fn a_name_that_reads_like_a_keyword_is_kept() {
        assert_eq!(of("HELLO 3 SETNAME AUTH AUTH u p").as_deref(), Some("HELLO 3 SETNAME AUTH"));
    }
}
