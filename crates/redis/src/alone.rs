//! Blocking commands: each on a connection of its own, which is left for a fresh one before its token ends.
//!
//! An `AUTH` behind a blocking command is not read before that unblocks, and moving a blocked command to another
//! connection could take two elements. So a long block is cut into slices: between two of them the command moves
//! to a connection that has the newest token. The price is its place among the waiting, given up at each cut.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entrant_proto::reauth::{self, Credential};
use entrant_types::{Code, Fault, Whose};
use redis::{Arg, Cmd, RedisError, RedisResult, Value};
use tokio::sync::Semaphore;

use crate::driver::{Shared, count_auth};
use crate::error::carry;
use crate::link::{Link, Pump};
use crate::transport;

/// Blocking commands at once. Each holds a connection, and Azure rate-limits those.
const PLACES: usize = 256;
/// Connections kept for the next blocking command.
const SPARES: usize = 8;
/// The longest slice. A token is renewed with a quarter of its life left, so ten seconds end in time even when
/// a development clock makes an hour's token live a minute.
const LONGEST_SLICE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Spare {
    link: Arc<Link>,
    pump: Pump,
    credential: Credential,
}

/// The connections of blocking commands.
#[derive(Debug)]
pub(crate) struct Alone {
    spares: Mutex<Vec<Spare>>,
    places: Semaphore,
}

impl Alone {
    pub(crate) const fn new() -> Self {
        Self { spares: Mutex::new(Vec::new()), places: Semaphore::const_new(PLACES) }
    }

    /// Runs one blocking command to its end.
    pub(crate) async fn command(&self, shared: &Shared, command: &Cmd) -> RedisResult<Value> {
        let _place = self.places.try_acquire().map_err(|_| carry(too_many(), io::ErrorKind::ResourceBusy))?;
        let Some(mut block) = Block::of(command) else { return self.slice(shared, command, LONGEST_SLICE).await };
        loop {
            let (slice, last) = block.next_slice();
            let part = block.with_timeout(command, slice);
            let value = self.slice(shared, &part, slice).await?;
            if last || value != Value::Nil {
                return Ok(value);
            }
        }
    }

    async fn slice(&self, shared: &Shared, command: &Cmd, span: Duration) -> RedisResult<Value> {
        let unusable = |fault| carry(fault, io::ErrorKind::NotConnected);
        let spare = self.spare(shared).await.map_err(unusable)?;
        let result = spare.link.command_within(command, span + shared.config.response_limit()).await;
        let result = result.unwrap_or_else(|| Err(carry(too_many(), io::ErrorKind::NotConnected)));
        if !result.as_ref().is_err_and(RedisError::is_io_error) {
            self.keep(spare);
        }
        result
    }

    /// A connection with the newest token: one that was kept, or a new one.
    async fn spare(&self, shared: &Shared) -> Result<Spare, Fault> {
        let token = shared.keeper.token().await?;
        let generation = shared.keeper.snapshot().generation;
        while let Some(mut spare) = self.take() {
            if spare.credential.generation == generation && spare.pump.try_join_next().is_none() {
                return Ok(spare);
            }
        }
        let object_id = reauth::object_id(&token)?;
        let opened = transport::open(&shared.config, &token, object_id).await;
        count_auth("connect", opened.as_ref().err());
        let (link, pump) = Link::start(&shared.config, opened?).await?;
        Ok(Spare { link, pump, credential: Credential { generation, object_id, expires: token.lifetime.expires } })
    }

    fn take(&self) -> Option<Spare> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, spare: Spare) {
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() < SPARES {
            spares.push(spare);
        }
    }
}

fn too_many() -> Fault {
    Fault::new(
        Whose::Caller,
        format!("{PLACES} blocking Redis commands are under way"),
        "Block in fewer tasks, or poll with a command that does not block.",
    )
    .code(Code::Entrant("redis_too_many_blocked"))
}

/// How long a command blocks and which of its words says so.
#[derive(Debug)]
struct Block {
    word: usize,
    millis: bool,
    /// `None`: for ever.
    left: Option<Duration>,
    /// `XREAD … $` means "from now on": asked twice, it would miss what came in between.
    divisible: bool,
}

impl Block {
    fn of(command: &Cmd) -> Option<Self> {
        let words: Vec<&[u8]> =
            command.args_iter().map(|arg| if let Arg::Simple(word) = arg { word } else { b"0" }).collect();
        let name = words.first()?.to_ascii_uppercase();
        let (word, millis) = match name.as_slice() {
            b"BLMPOP" | b"BZMPOP" => (1, false),
            b"XREAD" | b"XREADGROUP" => (words.iter().position(|word| word.eq_ignore_ascii_case(b"BLOCK"))? + 1, true),
            _ => (words.len().checked_sub(1)?, false),
        };
        let span: f64 = std::str::from_utf8(words.get(word)?).ok()?.parse().ok()?;
        let span = Duration::try_from_secs_f64(if millis { span / 1000.0 } else { span }).ok()?;
        let divisible = !(millis && words.contains(&&b"$"[..]));
        Some(Self { word, millis, left: (!span.is_zero()).then_some(span), divisible })
    }

    /// The next slice, and whether it is the last.
    fn next_slice(&mut self) -> (Duration, bool) {
        match &mut self.left {
            Some(left) if !self.divisible || *left <= LONGEST_SLICE => (*left, true),
            Some(left) => {
                *left -= LONGEST_SLICE;
                (LONGEST_SLICE, false)
            }
            // For ever, but not to be asked twice: a day is longer than any token.
            None if !self.divisible => (Duration::from_secs(86_400), true),
            None => (LONGEST_SLICE, false),
        }
    }

    fn with_timeout(&self, command: &Cmd, slice: Duration) -> Cmd {
        let mut part = Cmd::new();
        for (index, arg) in command.args_iter().enumerate() {
            match arg {
                _ if index == self.word && self.millis => part.arg(slice.as_millis().max(1).to_string()),
                _ if index == self.word => part.arg(slice.as_secs_f64().max(0.001).to_string()),
                Arg::Simple(word) => part.arg(word),
                _ => part.arg("0"),
            };
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(line: &str, at_most: usize) -> Vec<String> {
        let mut command = Cmd::new();
        line.split(' ').for_each(|word| {
            command.arg(word);
        });
        let mut block = Block::of(&command).unwrap();
        let mut out = Vec::new();
        for _ in 0..at_most {
            let (slice, last) = block.next_slice();
            let part = block.with_timeout(&command, slice);
            let packed = part.get_packed_command();
            out.push(String::from_utf8_lossy(&packed).split("\r\n").skip(2).step_by(2).collect::<Vec<_>>().join(" "));
            if last {
                break;
            }
        }
        out
    }

    #[test]
    fn a_long_block_is_cut_into_slices_that_add_up() {
        assert_eq!(slices("BLPOP a b 25", 9), ["BLPOP a b 10", "BLPOP a b 10", "BLPOP a b 5"]);
        assert_eq!(slices("BLMPOP 0.5 1 a LEFT", 9), ["BLMPOP 0.5 1 a LEFT"]);
        assert_eq!(slices("BRPOP a 0", 3).len(), 3);
        assert_eq!(
            slices("XREAD BLOCK 12000 STREAMS s 0-1", 9),
            ["XREAD BLOCK 10000 STREAMS s 0-1", "XREAD BLOCK 2000 STREAMS s 0-1"]
        );
    }

    #[test]
    fn reading_a_stream_from_now_on_is_never_cut() {
        assert_eq!(slices("XREAD BLOCK 60000 STREAMS s $", 9), ["XREAD BLOCK 60000 STREAMS s $"]);
        assert_eq!(slices("XREAD BLOCK 0 STREAMS s $", 9).len(), 1);
    }
}
