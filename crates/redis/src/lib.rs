//! Redis connections on Entra tokens, for programs on the `redis` crate.
//!
//! [`ManagedConnection`] is one connection that many tasks share. It authenticates as `AUTH object-id token`, is
//! authenticated again on every new token before the next command, reconnects for ever, and says honestly why it
//! cannot. The `redis` crate carries commands and replies; connecting, authenticating and supervising are ours.
//!
//! ```no_run
//! # async fn example(keeper: entrant_credential::Keeper, outside: entrant_types::Outside,
//! #     tls: std::sync::Arc<rustls::ClientConfig>) -> redis::RedisResult<()> {
//! use redis::AsyncCommands as _;
//! let config = entrant_redis::RedisConfig::new("cache.region.redis.azure.net", 10_000, Some(tls));
//! let (mut redis, driver) = entrant_redis::ManagedConnection::new(config, keeper, &outside);
//! tokio::spawn(driver.run());
//! let () = redis.set("key", "value").await?;
//! # Ok(()) }
//! ```

mod alone;
mod backoff;
mod cluster;
mod config;
mod connection;
mod driver;
mod error;
mod link;
mod reauth;
mod screen;
mod status;
#[cfg(feature = "streaming-credentials")]
mod streaming;
mod subscriber;
mod transport;

pub use cluster::{ClusterConnection, ClusterDriver};
pub use config::{NodeAddress, Protocol, RedisConfig};
pub use connection::ManagedConnection;
pub use driver::Driver;
pub use error::fault_of;
pub use status::{State, Status};
#[cfg(feature = "streaming-credentials")]
pub use streaming::KeeperCredentials;
pub use subscriber::{Event, Message, Subscriber, SubscriberDriver};
