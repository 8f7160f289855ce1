//! Which commands may go over a connection that many tasks share.

use std::borrow::Cow;

use entrant_proto::reauth::{Effect, Request};
use redis::{Arg, Cmd, ErrorKind, RedisError};

/// How a command travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Over the shared connection.
    Shared,
    /// Over a connection of its own, since it may block.
    Alone,
}

/// The route of one command.
///
/// # Errors
/// The command would change the connection under the feet of every other task.
pub(crate) fn route(command: &Cmd) -> Result<Route, RedisError> {
    let words = command.args_iter().map(|arg| match arg {
        Arg::Simple(word) => Cow::Borrowed(word),
        _ => Cow::Borrowed(&b"0"[..]),
    });
    let argc = u32::try_from(words.len()).unwrap_or(u32::MAX);
    let Some(request) = Request::read(words.clone(), argc) else { return Ok(Route::Shared) };
    let why = match request.effect() {
        Effect::Plain if is_watch(&request.name) => "tasks share the connection: use a Lua script for check and set",
        Effect::Plain | Effect::Topology => return Ok(Route::Shared),
        Effect::Blocking => return Ok(if blocks(&request.name, words) { Route::Alone } else { Route::Shared }),
        Effect::Auth | Effect::Hello | Effect::Reset => "the connection's identity and protocol are kept by its driver",
        Effect::Multi | Effect::Exec | Effect::Discard => "use an atomic pipeline: it is sent as one piece",
        Effect::Subscribe(_) | Effect::Unsubscribe(_) | Effect::Monitor => "use a Subscriber",
        Effect::OneShot | Effect::ReplyOn | Effect::ReplyOff | Effect::ReplySkip | Effect::Tracking => {
            "it changes how replies of other tasks come back"
        }
        Effect::Select => "set the database in the configuration",
        Effect::SetName | Effect::Foreign => "it concerns every task of the connection",
    };
    Err(refuse(command, why))
}

/// The refusal of a command that a shared connection cannot take.
pub(crate) fn refuse(command: &Cmd, why: &str) -> RedisError {
    let name = match command.args_iter().next() {
        Some(Arg::Simple(name)) => String::from_utf8_lossy(name).to_ascii_uppercase(),
        _ => String::new(),
    };
    let text = format!("{name}: {why}");
    RedisError::from((ErrorKind::InvalidClientConfig, "this command cannot go over a shared connection", text))
}

fn is_watch(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"WATCH") || name.eq_ignore_ascii_case(b"UNWATCH")
}

/// `WAIT` and `WAITAOF` speak of this connection's writes, so they stay on it; the streams block only with BLOCK.
fn blocks<'a>(name: &[u8], mut words: impl Iterator<Item = Cow<'a, [u8]>>) -> bool {
    if name.eq_ignore_ascii_case(b"WAIT") || name.eq_ignore_ascii_case(b"WAITAOF") {
        return false;
    }
    if !name.eq_ignore_ascii_case(b"XREAD") && !name.eq_ignore_ascii_case(b"XREADGROUP") {
        return true;
    }
    words
        .find(|word| word.eq_ignore_ascii_case(b"BLOCK") || word.eq_ignore_ascii_case(b"STREAMS"))
        .is_some_and(|word| word.eq_ignore_ascii_case(b"BLOCK"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Route, RedisError> {
        let mut command = Cmd::new();
        line.split(' ').for_each(|word| {
            command.arg(word);
        });
        route(&command)
    }

    #[test]
    fn case_01_02_06_08_09_and_14_library_commands_that_would_disturb_other_tasks_are_refused() {
        for line in ["GET k", "EVAL x 0", "XREAD COUNT 1 STREAMS block 0", "WAIT 1 0", "CLIENT INFO"] {
            assert_eq!(of(line).unwrap(), Route::Shared, "{line}");
        }
        for line in ["BLPOP q 0", "blmove a b LEFT LEFT 1", "XREAD BLOCK 0 STREAMS s $", "BZPOPMIN z 0"] {
            assert_eq!(of(line).unwrap(), Route::Alone, "{line}");
        }
        for line in
            ["AUTH u p", "MULTI", "subscribe c", "CLIENT REPLY OFF", "RESET", "HELLO 2", "MONITOR", "ASKING", "WATCH k"]
        {
            assert!(of(line).is_err(), "{line}");
        }
    }
}
