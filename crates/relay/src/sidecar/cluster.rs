//! Clusters (OSS policy): a local port for every node, and addresses rewritten so that clients find them.
//!
//! A client learns of nodes from redirections and from `CLUSTER` replies, and connects to the addresses it reads there:
//! addresses of a network it may not reach, at ports that change. The sidecar names a loopback port of its own for each
//! instead, and listens there from that moment on; a connection to it goes to that node, with the newest token.

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::BytesMut;
use entrant_proto::resp::Version;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Shared;
use super::listen::Listener;
use super::serve::{Serving, accept};
use super::upstream::Upstream;
use crate::topology;

/// Nodes that get a port at most. Redis itself is tested up to a thousand.
const MOST_NODES: usize = 1000;
/// Where the sidecar's ports are.
const HOST: &str = "127.0.0.1";

/// What is dialled for a node of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeAddress {
    /// The host of the upstream at the node's port: Azure announces internal addresses, while every node is reached by
    /// the public name, which is also the only one in its certificate.
    PublicName,
    /// The address that the node announces.
    Announced,
}

/// The nodes known so far and their local ports.
pub(super) struct Cluster {
    policy: NodeAddress,
    /// By what is dialled.
    ports: Mutex<HashMap<(String, u16), u16>>,
    run: OnceLock<Run>,
    told: AtomicBool,
}

/// What a new node's listener needs.
struct Run {
    serving: Serving,
    accepting: CancellationToken,
    listening: TaskTracker,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Cluster {
    pub(super) fn new(policy: NodeAddress) -> Self {
        let (ports, told) = (Mutex::default(), AtomicBool::new(false));
        Self { policy, ports, run: OnceLock::new(), told }
    }

    /// From now on new nodes get listeners. `listeners` are the sidecar's own, which lead to the upstream itself.
    pub(super) fn begin(
        &self,
        upstream: &Upstream,
        listeners: &[Listener],
        serving: &Serving,
        accepting: &CancellationToken,
        listening: &TaskTracker,
    ) {
        let own = listeners.iter().find_map(Listener::port);
        if let Some(port) = own {
            let key = (upstream.host.clone(), upstream.port);
            self.ports.lock().unwrap_or_else(PoisonError::into_inner).insert(key, port);
        }
        let run = Run { serving: serving.clone(), accepting: accepting.clone(), listening: listening.clone() };
        // Set once: a sidecar runs once.
        let _ = self.run.set(run);
    }

    /// A redirection, rewritten; `None`: it is none.
    pub(super) fn redirection(&self, shared: &Arc<Shared>, line: &[u8]) -> Option<Vec<u8>> {
        topology::redirection(line, &mut |host, port| Some((HOST, self.local(shared, host, port)?)))
    }

    /// A reply to a `CLUSTER` command, rewritten; `None`: of no known shape.
    pub(super) fn reply(&self, shared: &Arc<Shared>, frame: &[u8], resp3: bool) -> Option<BytesMut> {
        let version = if resp3 { Version::Resp3 } else { Version::Resp2 };
        topology::reply(frame, version, &mut |host, port| Some((HOST, self.local(shared, host, port)?)))
    }

    /// The local port of a node; a new node gets one.
    fn local(&self, shared: &Arc<Shared>, host: &str, port: u16) -> Option<u16> {
        let host = match self.policy {
            NodeAddress::Announced if !host.is_empty() && host != "?" => host,
            _ => &shared.upstream.host,
        };
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ports.get(&(host.to_owned(), port)) {
            return Some(*known);
        }
        let run = self.run.get()?;
        if ports.len() >= MOST_NODES {
            if !self.told.swap(true, Ordering::Relaxed) {
                tracing::error!(limit = MOST_NODES, "the cluster has more nodes than the sidecar has ports for");
            }
            return None;
        }
        let listener = match listen() {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, node = %format!("{host}:{port}"), "no local port for a node of the cluster");
                return None;
            }
        };
        let local = listener.port()?;
        ports.insert((host.to_owned(), port), local);
        tracing::info!(node = %format!("{host}:{port}"), local, "listening for a node of the cluster");
        let node = Arc::new(shared.for_node(host, port));
        run.listening.spawn(accept(node, listener, run.serving.clone(), run.accepting.clone()));
        Some(local)
    }
}

fn listen() -> std::io::Result<Listener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener).map(Listener::Tcp)
}
