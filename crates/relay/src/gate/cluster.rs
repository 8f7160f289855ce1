//! A Redis Cluster behind the gate: a port of the gate for every node, and addresses rewritten so that clients find them.
//!
//! Redirections are recognised as they pass. For `CLUSTER SLOTS`, `SHARDS`, `NODES` and `REPLICAS` a stand-in goes to
//! the backend, as for refused credentials, so that the answer keeps its place among the others; the gate asks the
//! real question on a connection of its own, as the same user.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::BytesMut;
use entrant_proto::resp::{Args, Version};
use entrant_types::{Fault, ObjectId};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Backend, Shared, accept, keep_users};
use crate::topology;

/// Nodes that get a port at most. Redis itself is tested up to a thousand.
const MOST_NODES: usize = 1000;
/// Begins the word that the backend's error repeats; the question follows.
pub(super) const STAND_IN: &str = "topology-asked-by-the-gate:";
/// Longest argument of a question: a node's id has 40 characters.
const MAX_ARGUMENT: usize = 64;

/// How clients reach the nodes of a cluster behind a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterFront {
    /// The name or address by which clients know the gate; its certificate must have it.
    pub host: String,
    /// Where the nodes' ports listen.
    pub bind: IpAddr,
    /// The first node's port; the others follow, in the order in which they are met. `None`: any that are free.
    pub first_port: Option<u16>,
}

/// The nodes known so far and their ports.
pub(super) struct Cluster {
    front: ClusterFront,
    ports: Mutex<HashMap<(String, u16), u16>>,
    run: OnceLock<(TaskTracker, CancellationToken)>,
    told: AtomicBool,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("front", &self.front).finish_non_exhaustive()
    }
}

impl Cluster {
    pub(super) fn new(front: ClusterFront) -> Self {
        Self { front, ports: Mutex::default(), run: OnceLock::new(), told: AtomicBool::new(false) }
    }

    /// From now on nodes get listeners. The gate's own port leads to the node that the backend's address names.
    pub(super) fn begin(&self, backend: &Backend, own: Option<SocketAddr>, run: (TaskTracker, CancellationToken)) {
        if let (Backend::Tcp { host, port, .. }, Some(own)) = (backend, own) {
            self.ports.lock().unwrap_or_else(PoisonError::into_inner).insert((host.clone(), *port), own.port());
        }
        // Set once: a gate runs once.
        let _ = self.run.set(run);
    }

    /// A redirection, rewritten; `None`: it is none.
    pub(super) fn redirection(&self, shared: &Arc<Shared>, line: &[u8]) -> Option<Vec<u8>> {
        topology::redirection(line, &mut |host, port| Some((&self.front.host, self.port(shared, host, port)?)))
    }

    /// The answer to the question of a stand-in.
    pub(super) async fn answer(
        &self,
        shared: &Arc<Shared>,
        user: ObjectId,
        version: Version,
        question: &str,
    ) -> Vec<u8> {
        let asked = async {
            let reply = shared.users.ask(user, version, &words(question)).await?;
            Ok::<_, Fault>(topology::relocated(reply, version, &mut |host, port| {
                Some((&self.front.host, self.port(shared, host, port)?))
            }))
        };
        match asked.await {
            Ok(Some(reply)) => reply.to_vec(),
            Ok(None) => b"-ERR the cluster's reply cannot be passed on by the gate\r\n".to_vec(),
            Err(fault) => {
                tracing::error!(object_id = %user, %fault, "a question about the cluster has no answer");
                b"-ERR the Redis behind the gate cannot be reached or refused the gate\r\n".to_vec()
            }
        }
    }

    /// The gate's port for a node; a new node gets one.
    fn port(&self, shared: &Arc<Shared>, host: &str, port: u16) -> Option<u16> {
        let asked = shared.users.backend();
        let host = match asked {
            Backend::Tcp { host: own, .. } if host.is_empty() || host == "?" => own,
            _ => host,
        };
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ports.get(&(host.to_owned(), port)) {
            return Some(*known);
        }
        let (tracker, cancel) = self.run.get()?;
        if ports.len() >= MOST_NODES {
            if !self.told.swap(true, Ordering::Relaxed) {
                tracing::error!(limit = MOST_NODES, "the cluster has more nodes than the gate has ports for");
            }
            return None;
        }
        let node = Arc::new(shared.at(asked.node(host, port)?));
        let listener = match self.listen() {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, node = %format!("{host}:{port}"), "no port for a node of the cluster");
                return None;
            }
        };
        let local = listener.local_addr().ok()?.port();
        ports.insert((host.to_owned(), port), local);
        tracing::info!(node = %format!("{host}:{port}"), local, "listening for a node of the cluster");
        tracker.spawn(serve(node, listener, tracker.clone(), cancel.clone()));
        Some(local)
    }

    /// The next port that is free.
    fn listen(&self) -> std::io::Result<TcpListener> {
        let bind = |port| {
            let listener = std::net::TcpListener::bind((self.front.bind, port))?;
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        let Some(first) = self.front.first_port else { return bind(0) };
        let mut last = std::io::ErrorKind::AddrInUse.into();
        for offset in 0..u16::try_from(MOST_NODES).unwrap_or(u16::MAX) {
            match bind(first.saturating_add(offset)) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

async fn serve(node: Arc<Shared>, listener: TcpListener, tracker: TaskTracker, cancel: CancellationToken) {
    tokio::select! {
        () = cancel.cancelled() => {}
        () = accept(&node, &listener, &tracker, &cancel) => {}
        () = keep_users(&node) => {}
    }
}

/// Whether this is a question about where nodes are: then what its stand-in says. Looks at lengths before letters, since
/// it is asked for every command.
pub(super) fn question(bytes: &[u8]) -> Option<String> {
    if let [b'*', _, b'\r', b'\n', b'$', length, after, ..] = bytes
        && (*length, *after) != (b'7', b'\r')
    {
        return None;
    }
    let mut args = Args::of(bytes);
    if !args.next()?.eq_ignore_ascii_case(b"CLUSTER") {
        return None;
    }
    let name = String::from_utf8(args.next()?.to_ascii_lowercase()).ok()?;
    let rest: Vec<_> = args.collect();
    match (name.as_str(), rest.as_slice()) {
        ("slots" | "shards" | "nodes", []) => Some(name),
        ("replicas" | "slaves", [id]) if id.len() <= MAX_ARGUMENT && id.iter().all(u8::is_ascii_alphanumeric) => {
            Some(format!("{name}:{}", String::from_utf8_lossy(id)))
        }
        _ => None,
    }
}

/// The question that an error of the backend repeats, if it is that of a stand-in.
pub(super) fn asked(error: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(error).ok()?;
    let (_, rest) = text.split_once(STAND_IN)?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != ':').unwrap_or(rest.len());
    Some(rest.get(..end)?.to_owned())
}

fn words(question: &str) -> BytesMut {
    let mut out = BytesMut::new();
    let words: Vec<&str> = std::iter::once("CLUSTER").chain(question.split(':')).collect();
    entrant_proto::resp::encode_command(&mut out, &words);
    out
}
