//! The connections to the nodes of a cluster, made as they are needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use entrant_credential::Keeper;
use entrant_types::{Code, Fault, Outside, Whose};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::topology::{Address, MOST_NODES, Topology};
use crate::config::{NodeAddress, RedisConfig};
use crate::connection::ManagedConnection;
use crate::driver::Driver;

/// What is known of the cluster.
#[derive(Clone, Debug)]
pub(super) enum View {
    /// The first answer is still to come.
    Unknown,
    Known(Arc<Topology>),
    /// No node has answered yet, and why.
    Failed(Box<Fault>),
}

/// A new node's driver, and the end of its service.
pub(super) struct Start {
    pub(super) driver: Driver,
    /// Ends when the node is no longer wanted.
    pub(super) wanted: oneshot::Receiver<()>,
}

struct Node {
    connection: ManagedConnection,
    /// Dropped with the node.
    _wanted: oneshot::Sender<()>,
}

/// What all handles of a cluster share.
pub(super) struct Nodes {
    pub(super) config: RedisConfig,
    keeper: Keeper,
    pub(super) outside: Outside,
    /// By what is dialled.
    nodes: Mutex<HashMap<Address, Node>>,
    starts: mpsc::UnboundedSender<Start>,
    pub(super) view: watch::Sender<View>,
    /// The topology has changed, or may have.
    pub(super) stale: Notify,
}

impl Nodes {
    pub(super) fn new(
        config: RedisConfig,
        keeper: Keeper,
        outside: &Outside,
    ) -> (Self, mpsc::UnboundedReceiver<Start>) {
        // No more than one for each node, and of those there is a limit.
        let (starts, started) = mpsc::unbounded_channel();
        let nodes = Self {
            config,
            keeper,
            outside: outside.clone(),
            nodes: Mutex::default(),
            starts,
            view: watch::channel(View::Unknown).0,
            stale: Notify::new(),
        };
        (nodes, started)
    }

    /// The connection to the node that the cluster calls so.
    pub(super) fn announced(&self, (host, port): &Address) -> ManagedConnection {
        let host = match self.config.nodes {
            NodeAddress::Announced if !host.is_empty() => host,
            _ => &self.config.host,
        };
        self.dialled((host.clone(), *port))
    }

    /// The connection to the configured address, which any node may answer at.
    pub(super) fn entry(&self) -> ManagedConnection {
        self.dialled((self.config.host.clone(), self.config.port))
    }

    fn dialled(&self, address: Address) -> ManagedConnection {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = nodes.get(&address) {
            return node.connection.clone();
        }
        // A server may redirect to ever new addresses. Beyond the limit any node is asked in their place: it redirects
        // again, and the command's turns end.
        if let Some(node) = nodes.values().next().filter(|_| nodes.len() >= MOST_NODES) {
            return node.connection.clone();
        }
        let mut config = self.config.clone();
        // Every node shows the certificate of the public name.
        config.server_name = Some(config.server_name.unwrap_or(config.host));
        (config.host, config.port) = address.clone();
        let (connection, driver) = ManagedConnection::new(config, self.keeper.clone(), &self.outside);
        let (sender, wanted) = oneshot::channel();
        // Without a driver the connection says so itself.
        let _ = self.starts.send(Start { driver, wanted });
        nodes.insert(address, Node { connection: connection.clone(), _wanted: sender });
        connection
    }

    /// Every connection there is.
    pub(super) fn all(&self) -> Vec<ManagedConnection> {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.values().map(|node| node.connection.clone()).collect()
    }

    /// Lets go of nodes that have no slots any more.
    pub(super) fn prune(&self, topology: &Topology) {
        let own = (self.config.host.clone(), self.config.port);
        let wanted = |address: &Address| {
            *address == own
                || topology.nodes().iter().any(|(host, port)| {
                    *port == address.1 && (self.config.nodes == NodeAddress::PublicName || *host == address.0)
                })
        };
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).retain(|address, _| wanted(address));
    }

    /// Notes that `slot` is another node's now, and has the whole looked up again.
    pub(super) fn moved(&self, slot: u16, to: &Address) {
        self.view.send_if_modified(|view| {
            let View::Known(topology) = view else { return false };
            let Some(moved) = topology.with(slot, to) else { return false };
            *view = View::Known(Arc::new(moved));
            true
        });
        self.stale.notify_one();
    }

    /// The topology, once there is one.
    pub(super) async fn topology(&self) -> Result<Arc<Topology>, Fault> {
        let limit = self.config.connect_timeout;
        let mut views = self.view.subscribe();
        let known = async {
            loop {
                match &*views.borrow_and_update() {
                    View::Known(topology) => return Ok(Arc::clone(topology)),
                    View::Failed(fault) => return Err((**fault).clone()),
                    View::Unknown => {}
                }
                if views.changed().await.is_err() {
                    return Err(nobody("was shut down"));
                }
            }
        };
        let known = tokio::time::timeout(limit, known).await;
        known.unwrap_or_else(|_| Err(nobody("did not say in time which node has which keys; is its driver running?")))
    }
}

fn nobody(did: &str) -> Fault {
    Fault::new(Whose::Caller, format!("the cluster {did}"), "Keep the cluster's driver running while it is used.")
        .code(Code::Entrant("redis_cluster"))
}

#[cfg(test)]
mod tests {
    use entrant_credential::{KeeperOptions, Outcome, Source};
    use entrant_testkit::Stage;
    use entrant_types::{BoxFuture, Scope};

    use super::*;

    #[derive(Debug)]
    struct Nothing;

    impl Source for Nothing {
        fn name(&self) -> &'static str {
            "nothing"
        }

        fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Outcome> {
            Box::pin(async { Outcome::NotApplicable("a test".to_owned()) })
        }
    }

    #[tokio::test]
    async fn redirects_to_ever_new_addresses_make_no_more_connections_than_a_cluster_has_nodes() {
        let outside = Stage::new().outside();
        let scope = Scope::new("https://redis.azure.com/.default");
        let (keeper, _driver) = Keeper::new(Arc::new(Nothing), scope, KeeperOptions::default(), &outside);
        let config = RedisConfig { nodes: NodeAddress::Announced, ..RedisConfig::new("localhost", 1, None) };
        let (nodes, mut started) = Nodes::new(config, keeper, &outside);
        for number in 0..2 * MOST_NODES {
            nodes.announced(&(format!("127.0.0.1-{number}"), 1));
        }
        assert_eq!(nodes.all().len(), MOST_NODES);
        let drivers = std::iter::from_fn(|| started.try_recv().ok()).count();
        assert_eq!(drivers, MOST_NODES, "a driver for each, and none beyond");
    }
}
