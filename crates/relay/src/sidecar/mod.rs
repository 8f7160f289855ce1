//! The sidecar: any Redis client, in any language, on Entra tokens.
//!
//! A client speaks plain RESP to a loopback address or a Unix socket. Each has a connection of its own to Redis, by
//! TLS, authenticated with the newest token before the client's first byte and again before each token ends. The
//! client notices nothing: its own `AUTH` is answered here, `HELLO … AUTH` goes on without its credentials, and
//! everything else passes byte for byte. When and whether an `AUTH` may be injected is decided by
//! [`entrant_proto::reauth`].

mod alarm;
mod asked;
mod cluster;
mod door;
mod health;
mod hello;
mod listen;
mod renewal;
mod replies;
mod requests;
mod serve;
mod session;
pub mod sharing;
mod succession;
mod thread;
mod upstream;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use entrant_credential::Keeper;
use entrant_proto::reauth::{self, Credential};
use entrant_types::{Clock, Entropy, Fault, Outside, Secret};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use cluster::NodeAddress;
pub use health::Health;
pub use listen::{Listen, Listener};
pub use upstream::Upstream;

use cluster::Cluster;
use session::Token;

/// Limits and manners of a sidecar.
#[derive(Clone, Debug)]
pub struct SidecarConfig {
    /// Where Redis is.
    pub upstream: Upstream,
    /// Most clients at once; more are told so and closed, and readiness fails. 0: no limit but the system's.
    pub max_connections: usize,
    /// Whether clients share connections as long as their commands allow it; see [`sharing`].
    pub sharing: bool,
    /// With sharing: how many connections of each RESP version are shared.
    pub shared_connections: usize,
    /// For a cluster that its clients must know as one (OSS policy): what is dialled for a node. `None`: one endpoint
    /// serves all (Enterprise policy, or no cluster). With it nothing is shared.
    pub cluster: Option<NodeAddress>,
    /// What clients must give as their password, with any user name. `None`: whoever connects is served.
    pub client_password: Option<Secret>,
    /// Tokens are got and renewed only while there are clients, so readiness does not ask for one; see
    /// [`Sidecar::while_used`].
    pub lazy_refresh: bool,
    /// After the end was asked for, new clients are still served for so long: time for a load balancer to notice.
    pub min_drain: Duration,
    /// How long clients may then take to finish what is under way.
    pub max_drain: Duration,
}

impl SidecarConfig {
    /// The usual limits: no fixed number of connections, no minimal drain time, 10 s at most.
    #[must_use]
    pub const fn new(upstream: Upstream) -> Self {
        Self {
            upstream,
            max_connections: 0,
            sharing: false,
            shared_connections: 1,
            cluster: None,
            client_password: None,
            lazy_refresh: false,
            min_drain: Duration::ZERO,
            max_drain: Duration::from_secs(10),
        }
    }
}

/// What every connection of a sidecar shares.
struct Shared {
    config: SidecarConfig,
    upstream: Upstream,
    keeper: Keeper,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    connections: Arc<AtomicUsize>,
    /// Whether there is any client.
    used: watch::Sender<bool>,
    listening: AtomicBool,
    cluster: Option<Arc<Cluster>>,
}

/// A sidecar. Cloning is cheap; a clone is the same sidecar.
#[derive(Clone)]
pub struct Sidecar {
    shared: Arc<Shared>,
}

impl fmt::Debug for Sidecar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sidecar").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl Sidecar {
    /// A sidecar on `keeper`'s tokens, not yet running.
    #[must_use]
    pub fn build(config: SidecarConfig, keeper: Keeper, outside: &Outside) -> Self {
        let shared = Shared {
            upstream: config.upstream.clone(),
            cluster: config.cluster.map(|policy| Arc::new(Cluster::new(policy))),
            config,
            keeper,
            clock: Arc::clone(&outside.clock),
            entropy: Arc::clone(&outside.entropy),
            connections: Arc::default(),
            used: watch::Sender::new(false),
            listening: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Serves clients until `shutdown`, then drains: clients finish what is under way and no more.
    pub async fn run(&self, listeners: Vec<Listener>, shutdown: CancellationToken) {
        let (accepting, draining, aborting) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        let listening = TaskTracker::new();
        let serving = serve::Serving {
            tasks: tasks.clone(),
            draining: draining.clone(),
            aborting: aborting.clone(),
            own_thread: false,
        };
        if let Some(cluster) = &self.shared.cluster {
            cluster.begin(&self.shared.upstream, &listeners, &serving, &accepting, &listening);
        }
        let started = match (&self.shared.cluster, self.shared.config.sharing) {
            (None, true) => sharing::start(&self.shared, listeners, &serving, &accepting),
            (None, false) => serve::start(&self.shared, listeners, &serving, &accepting),
            (Some(_), _) => {
                for listener in listeners {
                    let task = serve::accept(Arc::clone(&self.shared), listener, serving.clone(), accepting.clone());
                    listening.spawn(task);
                }
                Ok(())
            }
        };
        if let Err(fault) = started {
            tracing::error!(%fault, "the sidecar cannot serve");
            return;
        }
        self.shared.listening.store(true, Ordering::Release);
        shutdown.cancelled().await;
        let clock = &self.shared.clock;
        if !self.shared.config.min_drain.is_zero() {
            clock.sleep_until(clock.now() + self.shared.config.min_drain).await;
        }
        self.shared.listening.store(false, Ordering::Release);
        accepting.cancel();
        listening.close();
        listening.wait().await;
        draining.cancel();
        tasks.close();
        tokio::select! {
            () = tasks.wait() => {}
            () = clock.sleep_until(clock.now() + self.shared.config.max_drain) => {
                tracing::warn!(connections = self.connections(), "closing clients that did not finish in time");
                aborting.cancel();
                tasks.wait().await;
            }
        }
    }

    /// What the probes answer now.
    #[must_use]
    pub fn health(&self) -> Health {
        let shared = &self.shared;
        let startup = shared.listening.load(Ordering::Acquire);
        let not_ready = if !startup {
            Some(health::not_listening())
        } else if shared.is_full() {
            Some(health::full(shared.config.max_connections))
        } else if shared.keeper.current().is_none() && !shared.is_resting() {
            Some(shared.keeper.snapshot().last_fault.unwrap_or_else(health::no_token))
        } else {
            None
        };
        Health { startup, not_ready, liveness: true }
    }

    /// Clients served now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Drives the keeper's `driver` while there are clients and lets it rest while there are none. Its sleeps are by
    /// the clock: after a rest it does at once what has become due.
    pub async fn while_used<D: Future>(&self, driver: D) -> D::Output {
        let mut driver = std::pin::pin!(driver);
        let mut used = self.shared.used.subscribe();
        loop {
            // The sender lives as long as this sidecar.
            let _ = used.wait_for(|used| *used).await;
            tokio::select! {
                output = driver.as_mut() => return output,
                _ = used.wait_for(|used| !*used) => {}
            }
        }
    }

    /// Gets a token, connects, authenticates: what `--run-connection-test` does before listening.
    ///
    /// # Errors
    /// Which of the three failed, and what to change.
    pub async fn check(&self) -> Result<(), Fault> {
        let _place = serve::Place::take(&self.shared);
        let token = self.shared.token().await?;
        self.shared.upstream.open(&token.token, token.credential.object_id).await.map(drop)
    }
}

impl Shared {
    /// The present token and whose it is.
    async fn token(&self) -> Result<Token, Fault> {
        let token = self.keeper.token().await?;
        let object_id = reauth::object_id(&token)?;
        let generation = self.keeper.snapshot().generation;
        Ok(Token { credential: Credential { generation, object_id, expires: token.lifetime.expires }, token })
    }

    /// The same for one node of the cluster.
    fn for_node(&self, host: &str, port: u16) -> Self {
        // The name in the certificate stays that of the whole.
        let name = self.upstream.server_name.clone().unwrap_or_else(|| self.upstream.host.clone());
        let upstream = Upstream { host: host.to_owned(), port, server_name: Some(name), ..self.upstream.clone() };
        Self {
            config: self.config.clone(),
            upstream,
            keeper: self.keeper.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            connections: Arc::clone(&self.connections),
            used: self.used.clone(),
            listening: AtomicBool::new(true),
            cluster: self.cluster.clone(),
        }
    }

    /// Without clients and without the wish for a token.
    fn is_resting(&self) -> bool {
        self.config.lazy_refresh && !*self.used.borrow()
    }

    fn is_full(&self) -> bool {
        let limit = self.config.max_connections;
        limit != 0 && self.connections.load(Ordering::Relaxed) >= limit
    }
}
