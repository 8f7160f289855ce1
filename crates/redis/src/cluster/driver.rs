//! Runs the connections of a cluster and keeps its topology, for as long as the process lives.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use entrant_types::{Code, Fault, Timestamp, Whose};
use redis::Value;
use redis::aio::ConnectionLike as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::nodes::{Nodes, Start, View};
use super::topology::Topology;
use crate::backoff::Backoff;
use crate::connection::ManagedConnection;
use crate::error::fault_of;

/// Between looks at a topology that nothing has put in doubt.
const INTERVAL: Duration = Duration::from_secs(60);
/// Between any two looks: a thousand moved slots are one change.
const FLOOR: Duration = Duration::from_millis(500);
/// A node without slots answers its last commands.
const LINGER: Duration = Duration::from_secs(30);

/// Makes the connections of one cluster and keeps them. See [`ClusterConnection::new`](super::ClusterConnection::new).
pub struct ClusterDriver {
    pub(super) nodes: Arc<Nodes>,
    pub(super) starts: mpsc::UnboundedReceiver<Start>,
}

impl fmt::Debug for ClusterDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterDriver").field("server", &self.nodes.config.address()).finish_non_exhaustive()
    }
}

impl ClusterDriver {
    /// Looks up the nodes, and connects, authenticates, re-authenticates and reconnects to each that is used. Never
    /// returns: no failure ends it.
    pub async fn run(self) {
        let Self { nodes, starts } = self;
        tokio::join!(keep_nodes(Arc::clone(&nodes), starts), keep_topology(&nodes));
    }
}

async fn keep_nodes(nodes: Arc<Nodes>, mut starts: mpsc::UnboundedReceiver<Start>) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            start = starts.recv() => {
                // `nodes` has a sender: there is always another.
                let Some(Start { driver, wanted }) = start else { return };
                let clock = Arc::clone(&nodes.outside.clock);
                running.spawn(async move {
                    tokio::select! {
                        () = driver.run() => {}
                        () = async {
                            let _ = wanted.await;
                            clock.sleep_until(clock.now() + LINGER).await;
                        } => {}
                    }
                });
            }
            Some(_) = running.join_next() => {}
        }
    }
}

async fn keep_topology(nodes: &Nodes) {
    let clock = Arc::clone(&nodes.outside.clock);
    let mut backoff = Backoff::default();
    loop {
        let wait = match look_up(nodes).await {
            Ok(topology) => {
                backoff.reset();
                nodes.prune(&topology);
                tracing::debug!(nodes = topology.nodes().len(), "Redis cluster looked up");
                nodes.view.send_replace(View::Known(Arc::new(topology)));
                INTERVAL
            }
            Err(fault) => {
                tracing::error!(server = %nodes.config.address(), %fault, "no node says which node has which keys");
                nodes.view.send_if_modified(|view| {
                    let first = !matches!(view, View::Known(_));
                    if first {
                        *view = View::Failed(Box::new(fault));
                    }
                    first
                });
                backoff.next(&*nodes.outside.entropy)
            }
        };
        let until: Timestamp = clock.now() + wait;
        clock.sleep_until(clock.now() + FLOOR.min(wait)).await;
        tokio::select! {
            () = clock.sleep_until(until) => {}
            () = nodes.stale.notified() => {}
        }
    }
}

/// Asks the nodes one after the other, the configured address first.
async fn look_up(nodes: &Nodes) -> Result<Topology, Fault> {
    let mut failure = None;
    for connection in std::iter::once(nodes.entry()).chain(nodes.all()) {
        match ask(nodes, connection).await {
            Ok(topology) => return Ok(topology),
            Err(fault) => failure = failure.or(Some(fault)),
        }
    }
    Err(failure.unwrap_or_else(|| unreadable(nodes)))
}

async fn ask(nodes: &Nodes, mut connection: ManagedConnection) -> Result<Topology, Fault> {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    match connection.req_packed_command(&command).await.and_then(Value::extract_error) {
        Ok(reply) => Topology::read(&reply).ok_or_else(|| unreadable(nodes)),
        Err(error) => Err(fault_of(&error)),
    }
}

fn unreadable(nodes: &Nodes) -> Fault {
    Fault::new(
        Whose::Configuration,
        format!("Redis at {} does not answer CLUSTER SLOTS as a cluster does", nodes.config.address()),
        "Use a ManagedConnection for a server that is not a cluster, or that hides being one (Enterprise policy).",
    )
    .code(Code::Entrant("redis_cluster"))
}
