//! The local password: where other users of the machine reach the sidecar, not each of them has its identity.
//!
//! Until a client has given the password it is answered as by a Redis with `requirepass`, and nothing it says goes
//! any further.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use entrant_proto::resp::{Args, RequestFramer, RequestLimits};
use entrant_types::Secret;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::Shared;

/// How long a client may take to give the password, in real time: until then it holds a place.
const PATIENCE: Duration = Duration::from_secs(10);
/// Wrong passwords, after which a client has to connect again.
const ATTEMPTS: u32 = 3;

const NOAUTH: &[u8] = b"-NOAUTH Authentication required.\r\n";
const WRONGPASS: &[u8] = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";

/// Lets a client in that gives the password, with `AUTH` or in `HELLO`. What it has sent and nobody has answered is
/// returned. `None`: it did not, and is to be closed.
pub(super) async fn enter<C>(client: &mut C, shared: &Shared, draining: &CancellationToken) -> Option<BytesMut>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let Some(password) = &shared.config.client_password else { return Some(BytesMut::new()) };
    // Boxed: its room would be every client's for as long as it is served.
    let asked = Box::pin(tokio::time::timeout(PATIENCE, ask(client, password)));
    draining.run_until_cancelled(asked).await?.unwrap_or(Ok(None)).unwrap_or(None)
}

async fn ask<C: AsyncRead + AsyncWrite + Unpin>(client: &mut C, password: &Secret) -> io::Result<Option<BytesMut>> {
    let (mut framer, mut buffer) = (RequestFramer::new(RequestLimits::BEFORE_AUTH), BytesMut::new());
    let mut left = ATTEMPTS;
    loop {
        let piece = match framer.next(&buffer) {
            Ok(Some(piece)) if piece.last => piece,
            // Longer than one piece: nothing that is allowed here is.
            Ok(Some(_)) => return Ok(None),
            Ok(None) if client.read_buf(&mut buffer).await? == 0 => return Ok(None),
            Ok(None) => continue,
            Err(error) => {
                client.write_all(error.reply().to_string().as_bytes()).await?;
                return Ok(None);
            }
        };
        let words: Vec<Cow<'_, [u8]>> = Args::of(buffer.get(..piece.len).unwrap_or_default()).collect();
        let answer = match answer(&words, password) {
            // The rest of it is for Redis; its credentials are cut out later.
            Answer::EnterAndKeep => return Ok(Some(buffer)),
            Answer::Enter => {
                client.write_all(b"+OK\r\n").await?;
                buffer.advance(piece.len);
                return Ok(Some(buffer));
            }
            Answer::Leave => {
                client.write_all(b"+OK\r\n").await?;
                return Ok(None);
            }
            Answer::Nothing => &[][..],
            Answer::Say(answer) => answer,
        };
        client.write_all(answer).await?;
        buffer.advance(piece.len);
        left -= u32::from(answer == WRONGPASS);
        if left == 0 {
            return Ok(None);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Enter,
    EnterAndKeep,
    Leave,
    Nothing,
    Say(&'static [u8]),
}

fn answer(words: &[Cow<'_, [u8]>], password: &Secret) -> Answer {
    let is = |word: &Cow<'_, [u8]>, upper: &str| word.eq_ignore_ascii_case(upper.as_bytes());
    let right = |given: &[u8]| std::str::from_utf8(given).is_ok_and(|text| Secret::new(text.to_owned()) == *password);
    match words {
        [] => Answer::Nothing,
        [auth, given] | [auth, _, given] if is(auth, "AUTH") => {
            if right(given) {
                Answer::Enter
            } else {
                Answer::Say(WRONGPASS)
            }
        }
        [auth, ..] if is(auth, "AUTH") => Answer::Say(b"-ERR wrong number of arguments for 'auth' command\r\n"),
        [hello, _, rest @ ..] if is(hello, "HELLO") => match credentials(rest) {
            Some(given) if right(given) => Answer::EnterAndKeep,
            Some(_) => Answer::Say(WRONGPASS),
            None => Answer::Say(NOAUTH),
        },
        [quit, ..] if is(quit, "QUIT") => Answer::Leave,
        _ => Answer::Say(NOAUTH),
    }
}

/// The password in what follows `HELLO`'s version.
fn credentials<'a>(words: &'a [Cow<'_, [u8]>]) -> Option<&'a [u8]> {
    match words {
        [word, _, password, ..] if word.eq_ignore_ascii_case(b"AUTH") => Some(password),
        [word, _, rest @ ..] if word.eq_ignore_ascii_case(b"SETNAME") => credentials(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Answer {
        let words: Vec<_> = line.split(' ').map(|word| Cow::Borrowed(word.as_bytes())).collect();
        answer(&words, &Secret::new("right".to_owned()))
    }

    #[test]
    fn the_password_opens_in_every_spelling_of_redis_and_nothing_else_does() {
        for line in ["AUTH right", "auth anybody right"] {
            assert_eq!(of(line), Answer::Enter, "{line}");
        }
        for line in ["HELLO 3 AUTH default right", "hello 2 setname me auth u right"] {
            assert_eq!(of(line), Answer::EnterAndKeep, "{line}");
        }
        for line in ["AUTH wrong", "AUTH right wrong", "HELLO 3 AUTH right wrong", "AUTH righ", "AUTH rightt"] {
            assert_eq!(of(line), Answer::Say(WRONGPASS), "{line}");
        }
        for line in ["PING", "HELLO 3", "HELLO 3 SETNAME right", "GET right", "HELLO 3 SETNAME AUTH right right"] {
            assert_eq!(of(line), Answer::Say(NOAUTH), "{line}");
        }
    }
}
