//! The shared connection as a program sees it.

use std::fmt;
use std::io;
use std::sync::Arc;

use entrant_credential::Keeper;
use entrant_types::{Code, Fault, Outside, Retry, Whose};
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};
use tokio::sync::watch;

use crate::alone::Alone;
use crate::config::RedisConfig;
use crate::driver::{Driver, Phase, Shared};
use crate::error::carry;
use crate::link::Link;
use crate::screen::{Route, refuse, route};
use crate::status::Status;

/// One authenticated connection that many tasks share. Cloning is cheap; a clone is the same connection.
///
/// Implements the `redis` crate's [`ConnectionLike`], so that its commands, pipelines and scripts work on it.
/// Commands wait while a re-authentication is under way and while a connection is first being made; while it is
/// down they fail at once, and [`fault_of`](crate::fault_of) the error says why. Commands that would disturb other
/// tasks (`AUTH`, `MULTI` outside a pipeline, `SUBSCRIBE`, `MONITOR`, `SELECT`, …) are refused before they are sent.
#[derive(Clone)]
pub struct ManagedConnection {
    shared: Arc<Shared>,
    phases: watch::Receiver<Phase>,
    status: watch::Receiver<Status>,
    alone: Arc<Alone>,
}

impl fmt::Debug for ManagedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedConnection").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

impl ManagedConnection {
    /// A connection on `keeper`'s tokens, and the driver that makes and keeps it. Nothing happens until
    /// [`Driver::run`] is polled; dropping that future closes the connection.
    #[must_use]
    pub fn new(config: RedisConfig, keeper: Keeper, outside: &Outside) -> (Self, Driver) {
        let (phases, phase) = watch::channel(Phase::Connecting);
        let (statuses, status) = watch::channel(Status::new(config.address()));
        let shared = Arc::new(Shared {
            config,
            keeper,
            clock: Arc::clone(&outside.clock),
            entropy: Arc::clone(&outside.entropy),
        });
        let driver = Driver::new(Arc::clone(&shared), phases, statuses);
        (Self { shared, phases: phase, status, alone: Arc::new(Alone::new()) }, driver)
    }

    /// What the connection is doing now.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = self.status.borrow().clone();
        status.next_refresh = self.shared.keeper.snapshot().next_attempt;
        status
    }

    /// Follows what the connection is doing; changes with every state, `AUTH` and failure.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Waits for the connection, at most as long as connecting may take.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ready(&self) -> Result<(), Fault> {
        self.link().await.map(drop)
    }

    async fn link(&self) -> Result<Arc<Link>, Fault> {
        let limit = self.shared.config.connect_timeout;
        tokio::time::timeout(limit, self.next_link()).await.unwrap_or_else(|_| {
            Err(Fault::new(
                Whose::Network,
                format!("no connection to Redis at {} after {} s", self.shared.config.address(), limit.as_secs()),
                "It is still being tried; see the log for the attempt under way.",
            )
            .code(Code::Entrant("redis_connecting")))
        })
    }

    async fn next_link(&self) -> Result<Arc<Link>, Fault> {
        let mut phases = self.phases.clone();
        loop {
            match &*phases.borrow_and_update() {
                Phase::Ready(link) => return Ok(Arc::clone(link)),
                Phase::Down(fault) => return Err((**fault).clone()),
                Phase::Connecting => {}
            }
            if phases.changed().await.is_err() {
                let what = format!("the connection to Redis at {} was shut down", self.shared.config.address());
                return Err(Fault::new(Whose::Caller, what, "Keep the driver running while the connection is used.")
                    .retry(Retry::Never)
                    .code(Code::Entrant("redis_driver_gone")));
            }
        }
    }

    async fn usable(&self) -> RedisResult<Arc<Link>> {
        self.link().await.map_err(|fault| carry(fault, io::ErrorKind::NotConnected))
    }

    async fn command(&self, command: &Cmd) -> RedisResult<Value> {
        if route(command)? == Route::Alone {
            return self.alone.command(&self.shared, command).await;
        }
        loop {
            // A link that is being drained sends nothing more; its successor is on the way.
            if let Some(result) = self.usable().await?.command(command).await {
                return result;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Whether a node may be asked for this command with `ASKING`: not if it blocks, which the shared connection cannot.
    pub(crate) fn may_ask(command: &Cmd) -> bool {
        matches!(route(command), Ok(Route::Shared))
    }

    /// One command after `ASKING`, both as one piece.
    pub(crate) async fn asking(&self, command: &Cmd) -> RedisResult<Value> {
        let mut pair = redis::pipe();
        pair.cmd("ASKING").add_command(command.clone());
        loop {
            if let Some(result) = self.usable().await?.pipeline(&pair, 0, 2).await {
                return result.map(|mut replies| replies.pop().unwrap_or(Value::Nil));
            }
            tokio::task::yield_now().await;
        }
    }

    async fn pipeline(&self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        for command in pipeline.cmd_iter() {
            // Inside MULTI nothing blocks; elsewhere it would hold up every other task.
            if route(command)? == Route::Alone && !pipeline.is_transaction() {
                return Err(refuse(command, "send it by itself, not in a pipeline"));
            }
        }
        loop {
            if let Some(result) = self.usable().await?.pipeline(pipeline, offset, count).await {
                return result;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl ConnectionLike for ManagedConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.command(cmd))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.pipeline(pipeline, offset, count))
    }

    fn get_db(&self) -> i64 {
        self.shared.config.database
    }
}
