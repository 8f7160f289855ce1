//! Where Redis is and how long to wait for it.

use std::sync::Arc;
use std::time::Duration;

/// Where Redis is and how long to wait for it.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// Host name or address to dial.
    pub host: String,
    /// Port; Azure Managed Redis listens on 10000.
    pub port: u16,
    /// The name that the server's certificate must have, when it is not `host` (a cluster's shard, a tunnel).
    pub server_name: Option<String>,
    /// TLS, as `entrant-host` builds it from a CA file or the system's store. `None` speaks plain text, which is
    /// refused unless `host` is loopback: the token would cross the network in the clear.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The database to select.
    pub database: i64,
    /// Limit for connecting, TLS and the first `AUTH` together. Azure advises 5 s at least.
    pub connect_timeout: Duration,
    /// Limit for one command, from being called to its reply. Never below 5 s: a failover takes seconds, and a
    /// reply that comes late is still a reply.
    pub response_timeout: Duration,
    /// What subscribers speak.
    pub subscribers: Protocol,
    /// What is dialled for a node of a cluster.
    pub nodes: NodeAddress,
}

/// The version of the protocol that a [`Subscriber`](crate::Subscriber) speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// For servers before Redis 6. A new token means a new connection, which takes over at a message that the subscriber
    /// publishes to itself: the identity may publish to, and subscribe to, `entrant:handover:*`.
    Resp2,
    /// One connection, authenticated again in line.
    #[default]
    Resp3,
}

/// What is dialled for a node of a cluster. The certificate is checked against the public name either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeAddress {
    /// The configured host at the node's port: Azure announces internal addresses, while every node is reached by the
    /// public name, which is also the only one in its certificate.
    #[default]
    PublicName,
    /// The address that the node announces.
    Announced,
}

impl RedisConfig {
    /// The usual limits: 10 s to connect, 10 s for a command.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16, tls: Option<Arc<rustls::ClientConfig>>) -> Self {
        Self {
            host: host.into(),
            port,
            server_name: None,
            tls,
            database: 0,
            connect_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(10),
            subscribers: Protocol::default(),
            nodes: NodeAddress::default(),
        }
    }

    /// `host:port`, as messages name the server.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(crate) fn response_limit(&self) -> Duration {
        self.response_timeout.max(Duration::from_secs(5))
    }
}
