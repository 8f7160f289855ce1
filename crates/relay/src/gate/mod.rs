//! The gate: Entra ID in front of any Redis or Valkey.
//!
//! A client connects by TLS and sends `AUTH object-id token` or `HELLO … AUTH object-id token`. The token is
//! validated, an access policy must be assigned to the object id, and the connection lives until the token
//! expires, unless a new AUTH prolongs it. Behind the gate each client has a connection of its own to the
//! backend, logged in as an ACL user that is named by the object id and holds its access string.

mod authenticate;
mod backend;
mod cluster;
mod connection;
mod credentials;
mod faults;
mod login;
mod registry;
mod relay;
mod stand_in;
mod throttle;
mod users;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use entrant_types::{Clock, Code, Fault, ObjectId, Outside, Retry, Whose, metric};
use entrant_validate::Validator;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use authenticate::{Identity, REDIS_APPLICATION_ID, REDIS_AUDIENCES, Refusal};
pub use backend::Backend;
pub use cluster::ClusterFront;
pub use faults::{AuthRules, FaultSwitches, GateFaults};
pub use registry::{CloseReason, ConnectionView};

use crate::assignments::{AssignmentMap, Assignments};
use authenticate::Authenticator;
use cluster::Cluster;
use faults::Tally;
use registry::Registry;
use throttle::Throttle;
use users::{Passwords, Users};

/// How long a gate that ends waits for its connections.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// How long the gate waits after the listener failed (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long the gate waits before it offers the access policies to an unreachable backend again.
const PROVISION_PAUSE: Duration = Duration::from_secs(5);

/// Limits and manners of a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateConfig {
    /// Most connections at once; more are closed at once. Azure Cache for Redis stops at 40,000; two file
    /// descriptors each make 10,000 a sane default.
    pub max_connections: usize,
    /// How long TLS handshake and AUTH may take together each, in real time: an unauthenticated client holds memory.
    pub auth_limit: Duration,
    /// A connection on which nothing was sent either way for this long is closed. Azure: ten minutes.
    pub idle_limit: Duration,
    /// Write `ERR WRONGPASS …` instead of `WRONGPASS …`; both are seen from Azure.
    pub err_prefix: bool,
    /// For a Redis Cluster behind the gate. `None`: no cluster.
    pub cluster: Option<ClusterFront>,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            auth_limit: Duration::from_secs(10),
            idle_limit: Duration::from_secs(600),
            err_prefix: false,
            cluster: None,
        }
    }
}

/// What a gate is made of.
#[derive(Debug)]
pub struct GateParts {
    /// Judges tokens; its policy should accept [`REDIS_AUDIENCES`].
    pub validator: Arc<Validator>,
    /// Who may do what.
    pub assignments: Assignments,
    /// The Redis behind.
    pub backend: Backend,
    /// The certificate to show; TLS 1.2 and 1.3.
    pub tls: Arc<rustls::ServerConfig>,
    /// Clock and randomness.
    pub outside: Outside,
}

/// What every connection of a gate shares.
struct Shared {
    config: GateConfig,
    clock: Arc<dyn Clock>,
    authenticator: Arc<Authenticator>,
    assignments: Assignments,
    users: Users,
    registry: Arc<Registry>,
    faults: FaultSwitches,
    tally: Arc<Tally>,
    throttle: Arc<Throttle>,
    tls: TlsAcceptor,
    cluster: Option<Arc<Cluster>>,
}

/// A gate, not yet running.
pub struct Gate {
    shared: Arc<Shared>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl Gate {
    /// Puts a gate together; nothing starts yet.
    ///
    /// # Errors
    /// When a limit is zero, or a cluster is asked for and the backend is no server of a network.
    pub fn build(config: GateConfig, parts: GateParts) -> Result<Self, Fault> {
        if config.max_connections == 0 || config.auth_limit.is_zero() || config.idle_limit.is_zero() {
            let what = "The gate's limits for connections, AUTH time and idle time must be above zero.";
            return Err(Fault::new(Whose::Configuration, what, "Give larger limits.").retry(Retry::Never));
        }
        let GateParts { validator, assignments, backend, tls, outside } = parts;
        if config.cluster.is_some() && !matches!(backend, Backend::Tcp { .. }) {
            let what = format!("The Redis behind the gate ({backend}) cannot be a cluster.");
            return Err(Fault::new(Whose::Configuration, what, "Name one of its nodes: redis://HOST:PORT.")
                .retry(Retry::Never)
                .code(Code::Entrant("bad_backend")));
        }
        let clock = outside.clock;
        let shared = Shared {
            authenticator: Arc::new(Authenticator::new(validator, assignments.clone(), Arc::clone(&clock))),
            users: Users::new(backend, &*outside.entropy),
            registry: Arc::new(Registry::new(Arc::clone(&clock), config.idle_limit)),
            faults: FaultSwitches::default(),
            tally: Arc::default(),
            throttle: Arc::default(),
            tls: TlsAcceptor::from(tls),
            cluster: config.cluster.clone().map(|front| Arc::new(Cluster::new(front))),
            assignments,
            clock,
            config,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What the console and the tests hold on to while the gate runs.
    #[must_use]
    pub fn handle(&self) -> GateHandle {
        GateHandle { shared: Arc::clone(&self.shared) }
    }

    /// Serves until `shutdown`, then closes all connections.
    pub async fn run(self, listener: TcpListener, shutdown: CancellationToken) {
        let shared = self.shared;
        let tracker = TaskTracker::new();
        let connections = shutdown.child_token();
        if let Some(cluster) = &shared.cluster {
            cluster.begin(shared.users.backend(), listener.local_addr().ok(), (tracker.clone(), connections.clone()));
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = accept(&shared, &listener, &tracker, &connections) => {}
            () = shared.registry.watch_deadlines() => {}
            () = keep_users(&shared) => {}
        }
        drop(listener);
        connections.cancel();
        tracker.close();
        if tokio::time::timeout(DRAIN_LIMIT, tracker.wait()).await.is_err() {
            tracing::warn!(connections = shared.registry.len(), "connections did not end in time");
        }
    }
}

async fn accept(shared: &Arc<Shared>, listener: &TcpListener, tracker: &TaskTracker, cancel: &CancellationToken) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                if shared.registry.len() >= shared.config.max_connections {
                    shared.count_closed(CloseReason::TooMany);
                    tracing::warn!(%peer, limit = shared.config.max_connections, "too many connections");
                    continue;
                }
                // Only latency depends on it.
                let _ = socket.set_nodelay(true);
                tracker.spawn(live(Arc::clone(shared), socket, peer, cancel.child_token()));
            }
            Err(error) => {
                tracing::error!(%error, "the gate cannot accept a connection");
                shared.clock.sleep_until(shared.clock.now() + ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn live(shared: Arc<Shared>, socket: TcpStream, peer: std::net::SocketAddr, cancel: CancellationToken) {
    let live = shared.registry.open(peer, cancel);
    shared.tally.count("opened", "");
    metrics::gauge!(metric::GATE_CONNECTIONS).increment(1);
    let reason = connection::serve(Arc::clone(&shared), socket, Arc::clone(&live)).await;
    metrics::gauge!(metric::GATE_CONNECTIONS).decrement(1);
    shared.registry.forget(&live);
    shared.count_closed(reason);
    let object_id = live.identity().map(|identity| identity.object_id.to_string());
    tracing::info!(connection = live.id, %peer, object_id, reason = reason.as_str(), "connection closed");
}

/// Keeps the backend's users equal to the assignments. Never ends.
async fn keep_users(shared: &Shared) {
    let mut changes = shared.assignments.subscribe();
    let mut in_force = Arc::new(AssignmentMap::new());
    let mut logged: Option<Fault> = None;
    loop {
        changes.mark_unchanged();
        let wanted = shared.assignments.current();
        let gone: Vec<ObjectId> = in_force.keys().filter(|id| !wanted.contains_key(*id)).copied().collect();
        if !gone.is_empty() {
            let closed = shared.registry.close_where(CloseReason::Revoked, |id| gone.contains(&id));
            tracing::info!(assignments = gone.len(), closed, "access policy assignments were deleted");
        }
        let changed: AssignmentMap = wanted
            .iter()
            .filter(|(id, assignment)| in_force.get(id) != Some(assignment))
            .map(|(id, assignment)| (*id, assignment.clone()))
            .collect();
        let done = async {
            shared.users.remove(&gone).await?;
            // What an earlier process of this gate has left goes; what another gate has added since stays.
            let first = in_force.is_empty();
            shared.users.set(&changed, if first { Passwords::OnlyOurs } else { Passwords::OursToo }).await
        };
        match done.await {
            Ok(()) => {
                (in_force, logged) = (wanted, None);
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            Err(fault) => {
                if logged.as_ref() != Some(&fault) {
                    tracing::error!(%fault, "access policies are not in force at the backend yet");
                }
                logged = Some(fault);
                let pause = shared.clock.sleep_until(shared.clock.now() + PROVISION_PAUSE);
                tokio::select! {
                    () = pause => {}
                    _ = changes.changed() => {}
                }
            }
        }
    }
}

impl Shared {
    /// The same gate before another node of the cluster.
    fn at(&self, backend: Backend) -> Self {
        Self {
            config: self.config.clone(),
            clock: Arc::clone(&self.clock),
            authenticator: Arc::clone(&self.authenticator),
            assignments: self.assignments.clone(),
            users: self.users.at(backend),
            registry: Arc::clone(&self.registry),
            faults: self.faults.clone(),
            tally: Arc::clone(&self.tally),
            throttle: Arc::clone(&self.throttle),
            tls: self.tls.clone(),
            cluster: self.cluster.clone(),
        }
    }

    /// Makes the backend's user of one object id anew.
    async fn provision(&self, object_id: ObjectId) -> Result<(), Fault> {
        let assignment = self.assignments.get(object_id);
        let map = assignment.map(|assignment| (object_id, assignment)).into_iter().collect();
        self.users.set(&map, Passwords::OursToo).await
    }

    fn count_closed(&self, reason: CloseReason) {
        metrics::counter!(metric::GATE_CLOSED, "reason" => reason.as_str()).increment(1);
        self.tally.count("closed", reason.as_str());
    }
}

/// A running gate from outside: fault switches, counters, connections. Cloning is cheap.
#[derive(Clone)]
pub struct GateHandle {
    shared: Arc<Shared>,
}

impl fmt::Debug for GateHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GateHandle")
    }
}

impl GateHandle {
    /// The fault switches.
    #[must_use]
    pub fn faults(&self) -> &FaultSwitches {
        &self.shared.faults
    }

    /// Who may do what; deleting an assignment closes its connections.
    #[must_use]
    pub fn assignments(&self) -> &Assignments {
        &self.shared.assignments
    }

    /// Closes every connection of `object_id`, as if its access were revoked; returns how many. It may log in
    /// again while its assignment stands.
    pub fn revoke(&self, object_id: ObjectId) -> usize {
        self.shared.registry.close_where(CloseReason::Revoked, |id| id == object_id)
    }

    /// Closes every connection that has logged in, as a failover does; returns how many.
    pub fn disconnect_all(&self) -> usize {
        self.shared.registry.close_where(CloseReason::Injected, |_| true)
    }

    /// How often each event happened, by `(event, detail)`: `("auth", "ok")`, `("auth", "missing_policy")`,
    /// `("opened", "")`, `("closed", "expired")`.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.shared.tally.counts()
    }

    /// The live connections, oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionView> {
        self.shared.registry.views()
    }
}
