//! One authenticated connection and the gate through which every command passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use entrant_proto::reauth::Credential;
use entrant_types::{Code, Fault, Whose};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError, RedisResult, Value,
};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::config::RedisConfig;
use crate::error::carry;
use crate::transport::Stream;

/// Commands under way at once. All places together are the gate: who holds them all is alone on the wire, and
/// since places are given in the order of asking, later commands wait behind.
const PLACES: u32 = 16_384;

/// One authenticated connection.
#[derive(Debug)]
pub(crate) struct Link {
    connection: MultiplexedConnection,
    gate: Semaphore,
    /// A command was given up while its reply was still to come.
    abandoned: AtomicBool,
    /// A command had no reply in time.
    suspected: Notify,
    limit: Duration,
    server: String,
}

/// The task that moves a link's bytes; ends when the connection does.
pub(crate) type Pump = JoinSet<()>;

impl Link {
    /// Switches an authenticated stream to RESP3 and starts moving its bytes.
    pub(crate) async fn start(config: &RedisConfig, stream: Stream) -> Result<(Arc<Self>, Pump), Fault> {
        let info = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_db(config.database)
            .set_skip_set_lib_name();
        // Limits are ours: the crate's would give up an AUTH that is only late.
        let options = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let setup = MultiplexedConnection::new_with_config(&info, stream, options);
        let setup =
            tokio::time::timeout(config.connect_timeout, setup).await.unwrap_or_else(|_| Err(timed_out(config)));
        let (connection, driver) = setup.map_err(|error| {
            Fault::new(
                Whose::Provider,
                format!("Redis at {} refused HELLO 3 or SELECT {} ({error})", config.address(), config.database),
                "RESP3 needs Redis 6 or later; database numbers other than 0 need a server that has them.",
            )
            .code(Code::Entrant("redis_setup"))
        })?;
        let mut pump = JoinSet::new();
        pump.spawn(driver);
        let link = Self {
            connection,
            gate: Semaphore::new(PLACES as usize),
            abandoned: AtomicBool::new(false),
            suspected: Notify::new(),
            limit: config.response_limit(),
            server: config.address(),
        };
        Ok((Arc::new(link), pump))
    }

    /// One command. `None`: the link was closed before it was sent.
    pub(crate) async fn command(&self, command: &Cmd) -> Option<RedisResult<Value>> {
        self.command_within(command, self.limit).await
    }

    /// One command with a limit of its own, since it blocks.
    pub(crate) async fn command_within(&self, command: &Cmd, limit: Duration) -> Option<RedisResult<Value>> {
        let mut connection = self.connection.clone();
        self.pass(limit, async { connection.send_packed_command(command).await }).await
    }

    /// One pipeline. `None`: the link was closed before it was sent.
    pub(crate) async fn pipeline(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
    ) -> Option<RedisResult<Vec<Value>>> {
        let mut connection = self.connection.clone();
        self.pass(self.limit, async { connection.send_packed_commands(pipeline, offset, count).await }).await
    }

    async fn pass<T>(&self, limit: Duration, exchange: impl Future<Output = RedisResult<T>>) -> Option<RedisResult<T>> {
        let exchange = async {
            let _place = self.gate.acquire().await.ok()?;
            let mut watch = Abandonment { link: self, settled: false };
            let result = exchange.await;
            watch.settled = true;
            Some(result)
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(result) => result,
            Err(_) => {
                self.suspected.notify_one();
                Some(Err(self.no_reply(limit)))
            }
        }
    }

    /// Holds every later command, waits until nothing is under way, then sends `AUTH` alone and waits for its
    /// answer. `limit` is for the answer; a command under way has its own.
    pub(crate) async fn authenticate(&self, credential: &Credential, token: &str, limit: Duration) -> Authenticated {
        let Ok(_all) = self.gate.acquire_many(PLACES).await else { return Authenticated::Lost };
        let mut connection = self.connection.clone();
        let exchange = async {
            // Replies come in order: when this one is in, so are those that nobody waits for any more.
            if self.abandoned.swap(false, Ordering::AcqRel) {
                match connection.send_packed_command(&redis::cmd("PING")).await {
                    Err(error) if error.is_unrecoverable_error() => return Authenticated::Lost,
                    _ => {}
                }
            }
            let mut auth = redis::cmd("AUTH");
            auth.arg(credential.object_id.to_string()).arg(token);
            match connection.send_packed_command(&auth).await {
                Ok(Value::Okay) => Authenticated::Confirmed,
                Ok(Value::ServerError(error)) => refused(&RedisError::from(error)),
                Ok(_) => Authenticated::Lost,
                Err(error) => refused(&error),
            }
        };
        let outcome = tokio::time::timeout(limit, exchange).await.unwrap_or(Authenticated::Lost);
        if outcome == Authenticated::Lost {
            // Who waited behind the AUTH has sent nothing yet, and waits for the next connection instead.
            self.gate.close();
        }
        outcome
    }

    /// Lets what is under way finish and takes no more.
    pub(crate) async fn drain(&self) {
        let _ = self.gate.acquire_many(PLACES).await;
        self.gate.close();
    }

    /// Ends when a command had no reply in time: perhaps it is slow, perhaps the server is gone without a word.
    pub(crate) async fn suspected(&self) {
        self.suspected.notified().await;
    }

    /// Whether the server still answers, an error counting as an answer: an access string may forbid `PING`.
    pub(crate) async fn is_alive(&self) -> bool {
        match self.command(&redis::cmd("PING")).await {
            Some(Ok(_)) => true,
            Some(Err(error)) => !error.is_io_error(),
            None => false,
        }
    }

    fn no_reply(&self, limit: Duration) -> RedisError {
        let fault = Fault::new(
            Whose::Provider,
            format!("Redis at {} did not answer within {} s", self.server, limit.as_secs()),
            "Whether the command ran is unknown. Look for slow commands or an overloaded server.",
        );
        carry(fault.code(Code::Entrant("redis_response_timeout")), std::io::ErrorKind::TimedOut)
    }
}

/// How an `AUTH` on a live connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Authenticated {
    /// The connection now has the new token.
    Confirmed,
    /// The server refused with this error word; the old identity stays.
    Refused(String),
    /// No usable answer: the connection must not be used any more.
    Lost,
}

fn refused(error: &RedisError) -> Authenticated {
    match error.code() {
        Some("ERR") | None if !error.is_io_error() => {
            let frame = format!("-{} {}", error.code().unwrap_or("ERR"), error.detail().unwrap_or_default());
            Authenticated::Refused(entrant_proto::reauth::error_code(frame.as_bytes()).unwrap_or("ERR").to_owned())
        }
        Some(code) => Authenticated::Refused(code.to_owned()),
        None => Authenticated::Lost,
    }
}

fn timed_out(config: &RedisConfig) -> RedisError {
    let text = format!("no answer within {} s", config.connect_timeout.as_secs());
    RedisError::from(std::io::Error::new(std::io::ErrorKind::TimedOut, text))
}

/// Notes a command that was sent and then given up, by a timeout or because its future was dropped.
struct Abandonment<'a> {
    link: &'a Link,
    settled: bool,
}

impl Drop for Abandonment<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.link.abandoned.store(true, Ordering::Release);
        }
    }
}
