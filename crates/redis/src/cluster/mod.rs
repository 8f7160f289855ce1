//! A cluster (OSS policy) as one connection: every node authenticated with the newest token, redirections followed.
//!
//! Each node has a [`ManagedConnection`] of its own, on one keeper: a node that appears later, by a redirection or by
//! another topology, gets the token that is newest then, and is authenticated again like all others.

mod driver;
mod nodes;
mod pipeline;
mod place;
mod slot;
mod topology;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use entrant_credential::Keeper;
use entrant_types::{Code, Fault, Outside, Whose};
use futures_util::future::join_all;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};

use crate::config::RedisConfig;
use crate::connection::ManagedConnection;
use crate::error::carry;
use crate::status::Status;

pub use driver::ClusterDriver;
use nodes::Nodes;
use place::{Place, Sum, divide, place};
use topology::{Redirection, Topology};

/// Redirections of one command at most.
const TURNS: u32 = 16;
/// The first wait for a slot that is on its way; doubled each time up to a second.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// The nodes of a cluster, as one connection that many tasks share. Cloning is cheap; a clone is the same connection.
///
/// Implements the `redis` crate's [`ConnectionLike`]. A command goes to the node that has its first key; `DEL`,
/// `EXISTS`, `MGET`, `MSET`, `TOUCH` and `UNLINK` are divided where their keys are in several slots, and are then not
/// atomic; `DBSIZE`, `FLUSHALL`, `FLUSHDB`, `KEYS`, `SCRIPT LOAD` and the like go to all nodes. A pipeline is divided
/// among the nodes, unless it is atomic: then all its keys must be in one slot. What a
/// [`ManagedConnection`] refuses is refused here too, and so is `SCAN`.
#[derive(Clone)]
pub struct ClusterConnection {
    nodes: Arc<Nodes>,
    turn: Arc<AtomicUsize>,
}

impl fmt::Debug for ClusterConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterConnection").field("server", &self.nodes.config.address()).finish_non_exhaustive()
    }
}

impl ClusterConnection {
    /// The cluster behind `config`'s address on `keeper`'s tokens, and the driver that looks up its nodes and keeps
    /// their connections. Nothing happens until [`ClusterDriver::run`] is polled.
    #[must_use]
    pub fn new(config: RedisConfig, keeper: Keeper, outside: &Outside) -> (Self, ClusterDriver) {
        let (nodes, starts) = Nodes::new(config, keeper, outside);
        let nodes = Arc::new(nodes);
        let driver = ClusterDriver { nodes: Arc::clone(&nodes), starts };
        (Self { nodes, turn: Arc::default() }, driver)
    }

    /// Waits until the nodes are known, at most as long as connecting may take.
    ///
    /// # Errors
    /// Why they are not.
    pub async fn ready(&self) -> Result<(), Fault> {
        self.nodes.topology().await.map(drop)
    }

    /// What the connection to each node is doing now.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        self.nodes.all().iter().map(ManagedConnection::status).collect()
    }

    async fn topology(&self) -> RedisResult<Arc<Topology>> {
        self.nodes.topology().await.map_err(|fault| carry(fault, io::ErrorKind::NotConnected))
    }

    async fn command(&self, command: &Cmd) -> RedisResult<Value> {
        if let Some((parts, sum)) = divide(command) {
            let places: Vec<usize> = parts.iter().flat_map(|part| part.places.clone()).collect();
            let replies = join_all(parts.iter().map(|part| self.at(Place::Slot(part.slot), &part.command))).await;
            return Ok(in_order(sum_up(sum, replies)?, sum, &places));
        }
        match place(command)? {
            Place::Everywhere(sum) => self.everywhere(command, sum).await,
            place => self.at(place, command).await,
        }
    }

    async fn everywhere(&self, command: &Cmd, sum: Sum) -> RedisResult<Value> {
        let topology = self.topology().await?;
        let asked = topology.nodes().iter().map(|node| {
            let mut connection = self.nodes.announced(node);
            async move { connection.req_packed_command(command).await }
        });
        sum_up(sum, join_all(asked).await)
    }

    /// One command at one place, wherever that is by then.
    async fn at(&self, place: Place, command: &Cmd) -> RedisResult<Value> {
        let mut connection = self.connection(place).await?;
        let (mut asking, mut wait) = (false, FIRST_WAIT);
        for _ in 0..TURNS {
            let reply =
                if asking { connection.asking(command).await } else { connection.req_packed_command(command).await };
            asking = false;
            connection = match Redirection::of(&reply) {
                Some(Redirection::Moved(slot, node)) => {
                    self.nodes.moved(slot, &node);
                    self.nodes.announced(&node)
                }
                Some(Redirection::Ask(node)) if ManagedConnection::may_ask(command) => {
                    asking = true;
                    self.nodes.announced(&node)
                }
                Some(Redirection::Ask(_) | Redirection::Later) => {
                    self.later(&mut wait).await;
                    self.connection(place).await?
                }
                None => {
                    if reply.as_ref().is_err_and(redis::RedisError::is_io_error) {
                        // Perhaps the node is gone for good and another has its slots.
                        self.nodes.stale.notify_one();
                    }
                    return reply;
                }
            };
        }
        Err(carry(restless(), io::ErrorKind::Other))
    }

    /// The connection that serves a place at present.
    async fn connection(&self, place: Place) -> RedisResult<ManagedConnection> {
        let topology = self.topology().await?;
        let node = match place {
            Place::Slot(slot) => topology.owner(slot),
            _ => topology.nodes().get(self.turn.fetch_add(1, Ordering::Relaxed) % topology.nodes().len().max(1)),
        };
        // A slot that nobody has: any node says so.
        Ok(node.map_or_else(|| self.nodes.entry(), |node| self.nodes.announced(node)))
    }

    async fn later(&self, wait: &mut Duration) {
        self.nodes.stale.notify_one();
        let clock = &self.nodes.outside.clock;
        clock.sleep_until(clock.now() + *wait).await;
        *wait = (*wait * 2).min(Duration::from_secs(1));
    }
}

/// One reply of many. The first error is everybody's.
fn sum_up(sum: Sum, replies: Vec<RedisResult<Value>>) -> RedisResult<Value> {
    let mut values = Vec::with_capacity(replies.len());
    for reply in replies {
        values.push(reply?.extract_error()?);
    }
    Ok(match sum {
        Sum::One => values.pop().unwrap_or(Value::Nil),
        Sum::Number => {
            Value::Int(values.iter().map(|value| if let Value::Int(number) = value { *number } else { 0 }).sum())
        }
        Sum::List => Value::Array(values.into_iter().flat_map(elements).collect()),
    })
}

fn elements(value: Value) -> Vec<Value> {
    match value {
        Value::Array(elements) | Value::Set(elements) => elements,
        other => vec![other],
    }
}

/// The elements of a list, each where `places` says that it belongs.
fn in_order(value: Value, sum: Sum, places: &[usize]) -> Value {
    let (Sum::List, Value::Array(elements)) = (sum, &value) else { return value };
    let mut pairs: Vec<(usize, Value)> = places.iter().copied().zip(elements.iter().cloned()).collect();
    pairs.sort_by_key(|(place, _)| *place);
    Value::Array(pairs.into_iter().map(|(_, element)| element).collect())
}

fn restless() -> Fault {
    Fault::new(
        Whose::Provider,
        format!("the cluster redirected one command {TURNS} times"),
        "Look whether its nodes agree on their slots (CLUSTER NODES on each), and whether slots are on their way.",
    )
    .code(Code::Entrant("redis_cluster"))
}

impl ConnectionLike for ClusterConnection {
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
        0
    }
}
