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
