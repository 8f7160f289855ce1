//! For programs that keep the `redis` crate's own connections: its credentials provider on our keeper.
//!
//! What this mends: renewal never ends and never spins, the user name is the strictly read object id, one slow
//! connection holds up no other, and dropping one stream leaves the rest alone. What it cannot: the crate sends the
//! `AUTH` among other commands, so with Redis 7.2 and later a refused token can shift replies (redis/redis#15640);
//! its task for one connection ends with the first late or refused `AUTH`; each connect authenticates twice.
//! [`ManagedConnection`](crate::ManagedConnection) has none of these; with this provider set a response timeout of 5 s
//! at least, and make no blocking calls on the connection.

use std::pin::Pin;
use std::sync::Arc;

use entrant_credential::{Keeper, Snapshot};
use entrant_proto::reauth;
use entrant_types::{Clock, ObjectId, Outside};
use futures_util::Stream;
use redis::{BasicAuth, RedisResult, StreamingCredentialsProvider};
use tokio::sync::watch;

use crate::error::carry;

/// The `redis` crate's credentials provider on a keeper. Share one among all connections.
#[derive(Clone, Debug)]
pub struct KeeperCredentials {
    keeper: Keeper,
    clock: Arc<dyn Clock>,
}

impl KeeperCredentials {
    /// A provider of `keeper`'s tokens.
    #[must_use]
    pub fn new(keeper: Keeper, outside: &Outside) -> Self {
        Self { keeper, clock: Arc::clone(&outside.clock) }
    }
}

/// What one connection was given last.
struct Given {
    provider: KeeperCredentials,
    snapshots: watch::Receiver<Snapshot>,
    last: Option<(u64, ObjectId)>,
}

impl StreamingCredentialsProvider for KeeperCredentials {
    /// The present token at once, or why there is none; then each new one. The stream never ends.
    fn subscribe(&self) -> Pin<Box<dyn Stream<Item = RedisResult<BasicAuth>> + Send + 'static>> {
        let given = Given { provider: self.clone(), snapshots: self.keeper.subscribe(), last: None };
        Box::pin(futures_util::stream::unfold(given, |mut given| async move {
            let credentials = given.next().await;
            Some((credentials, given))
        }))
    }
}

impl Given {
    async fn next(&mut self) -> RedisResult<BasicAuth> {
        let unusable = |fault| carry(fault, std::io::ErrorKind::NotConnected);
        let Some((generation, owner)) = self.last else {
            let token = self.provider.keeper.token().await.map_err(unusable)?;
            let object_id = reauth::object_id(&token).map_err(unusable)?;
            self.last = Some((self.snapshots.borrow_and_update().generation, object_id));
            return Ok(BasicAuth::new(object_id.to_string(), token.secret.expose().to_owned()));
        };
        loop {
            if self.snapshots.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            let snapshot = self.snapshots.borrow_and_update().clone();
            let now = self.provider.clock.now();
            let Some(token) = snapshot.token.filter(|token| token.lifetime.is_valid(now)) else { continue };
            if snapshot.generation <= generation {
                continue;
            }
            match reauth::object_id(&token) {
                Ok(object_id) if object_id == owner => {
                    self.last = Some((snapshot.generation, owner));
                    return Ok(BasicAuth::new(owner.to_string(), token.secret.expose().to_owned()));
                }
                Ok(object_id) => {
                    // A live connection never changes its user: it ends with its token, and the next one is the new.
                    tracing::warn!(from = %owner, to = %object_id, "another identity: not given to a live connection");
                }
                Err(fault) => tracing::error!(%fault, "the new token cannot be used for Redis"),
            }
        }
    }
}
