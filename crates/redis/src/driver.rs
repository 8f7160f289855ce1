//! Makes the connection and keeps it, for as long as the process lives.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use entrant_credential::{Keeper, Snapshot};
use entrant_proto::reauth::{self, Credential};
use entrant_types::{AccessToken, Clock, Code, Entropy, Fault, Timestamp, metric};
use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::config::RedisConfig;
use crate::link::{Link, Pump};
use crate::status::{State, Status};
use crate::transport;

/// Azure closes connections that were idle for ten minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(240);
/// The server's clock and ours differ by a little.
const EXPIRY_SKEW: Duration = Duration::from_secs(5);

pub(crate) struct Shared {
    pub(crate) config: RedisConfig,
    pub(crate) keeper: Keeper,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// What commands find.
#[derive(Clone)]
pub(crate) enum Phase {
    Connecting,
    Ready(Arc<Link>),
    Down(Box<Fault>),
}

/// A connection in service.
pub(crate) struct Live {
    pub(crate) link: Arc<Link>,
    pub(crate) pump: Pump,
    pub(crate) credential: Credential,
    /// The token that the server refused, and how many in a row.
    pub(crate) refused: Option<u64>,
    pub(crate) refusals: u32,
}

/// Why a connection is no longer in service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The other side or the network ended it.
    Lost,
    /// The identity changed: it was drained.
    Drained,
}

/// Makes one connection and keeps it. See [`ManagedConnection::new`](crate::ManagedConnection::new).
pub struct Driver {
    pub(crate) shared: Arc<Shared>,
    phases: watch::Sender<Phase>,
    pub(crate) status: watch::Sender<Status>,
    /// The newest token for which a fresh one was asked after a refusal.
    asked_after: Option<u64>,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

impl Driver {
    pub(crate) const fn new(shared: Arc<Shared>, phases: watch::Sender<Phase>, status: watch::Sender<Status>) -> Self {
        Self { shared, phases, status, asked_after: None }
    }

    /// Connects, authenticates, re-authenticates and reconnects. Never returns: no failure ends it, each only
    /// changes the wait.
    pub async fn run(mut self) {
        let mut snapshots = self.shared.keeper.subscribe();
        let mut backoff = Backoff::default();
        loop {
            match self.establish(&mut snapshots).await {
                Ok(mut live) => {
                    backoff.reset();
                    self.phases.send_replace(Phase::Ready(Arc::clone(&live.link)));
                    let end = self.serve(&mut live, &mut snapshots).await;
                    self.phases.send_replace(Phase::Connecting);
                    self.ended(&live, end);
                }
                Err(fault) => {
                    tracing::error!(server = %self.shared.config.address(), %fault, "no Redis connection");
                    self.status.send_modify(|status| {
                        status.state = State::Down;
                        status.last_fault = Some(fault.clone());
                    });
                    self.phases.send_replace(Phase::Down(Box::new(fault)));
                    let wait = backoff.next(&*self.shared.entropy);
                    self.pause(wait, &mut snapshots).await;
                }
            }
        }
    }

    /// A token, a connection, an `AUTH`.
    async fn establish(&mut self, snapshots: &mut watch::Receiver<Snapshot>) -> Result<Live, Fault> {
        let token = self.shared.keeper.token().await?;
        let generation = snapshots.borrow_and_update().generation;
        let object_id = reauth::object_id(&token)?;
        let config = &self.shared.config;
        tracing::info!(server = %config.address(), %object_id, "connecting to Redis");
        let opened = transport::open(config, &token, object_id).await;
        count_auth("connect", opened.as_ref().err());
        if opened.as_ref().is_err_and(is_refusal) && self.asked_after.is_none_or(|asked| asked < generation) {
            // Perhaps only this token is bad: one fresh one is worth a try.
            self.asked_after = Some(generation);
            self.shared.keeper.refresh_now();
        }
        let (link, pump) = Link::start(config, opened?).await?;
        let credential = Credential { generation, object_id, expires: token.lifetime.expires };
        let now = self.shared.clock.now();
        tracing::info!(server = %config.address(), %object_id, token_expires = %credential.expires, "Redis connection established");
        metrics::gauge!(metric::REDIS_CONNECTIONS).increment(1.0);
        self.status.send_modify(|status| {
            status.state = State::Ready;
            status.object_id = Some(object_id);
            status.token_expires = Some(credential.expires);
            status.connected_since = Some(now);
            status.last_auth = Some(now);
            status.connects += 1;
            status.last_fault = None;
        });
        Ok(Live { link, pump, credential, refused: None, refusals: 0 })
    }

    /// Until the connection ends: a new token is an `AUTH` before the next command, quiet is a keep-alive.
    async fn serve(&self, live: &mut Live, snapshots: &mut watch::Receiver<Snapshot>) -> End {
        let clock = Arc::clone(&self.shared.clock);
        let mut followed = true;
        loop {
            let newest = snapshots.borrow_and_update().clone();
            if let Some(token) = self.newer(live, &newest)
                && let Some(end) = self.renew(live, &token, newest.generation).await
            {
                return end;
            }
            tokio::select! {
                _ = live.pump.join_next() => return End::Lost,
                changed = snapshots.changed(), if followed => followed = changed.is_ok(),
                () = clock.sleep_until(clock.now() + KEEP_ALIVE) => {
                    if !live.link.is_alive().await {
                        return End::Lost;
                    }
                }
                () = live.link.suspected() => {
                    if !live.link.is_alive().await {
                        return End::Lost;
                    }
                }
            }
        }
    }

    /// The snapshot's token, if the connection should have it: newer, valid, and not refused before.
    fn newer(&self, live: &Live, snapshot: &Snapshot) -> Option<AccessToken> {
        let known = live.refused.unwrap_or(0).max(live.credential.generation);
        let now = self.shared.clock.now();
        snapshot.token.clone().filter(|token| snapshot.generation > known && token.lifetime.is_valid(now))
    }

    fn ended(&self, live: &Live, end: End) {
        metrics::gauge!(metric::REDIS_CONNECTIONS).decrement(1.0);
        self.status.send_modify(|status| {
            status.state = State::Connecting;
            status.connected_since = None;
            status.drops += u64::from(end == End::Lost);
        });
        if end == End::Drained {
            return;
        }
        let reason = drop_reason(self.shared.clock.now(), live.credential.expires);
        metrics::counter!(metric::REDIS_CONNECTION_DROPS, "reason" => reason).increment(1);
        tracing::warn!(server = %self.shared.config.address(), reason, "Redis connection dropped");
    }

    /// Waits before the next attempt; a new token ends the wait.
    async fn pause(&self, wait: Duration, snapshots: &mut watch::Receiver<Snapshot>) {
        let clock = &self.shared.clock;
        let until = clock.sleep_until(clock.now() + wait);
        let seen = snapshots.borrow_and_update().generation;
        let renewed = async {
            loop {
                match snapshots.changed().await {
                    Ok(()) if snapshots.borrow_and_update().generation != seen => return,
                    Ok(()) => {}
                    Err(_) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = until => {}
            () = renewed => {}
        }
    }
}

fn drop_reason(now: Timestamp, expires: Timestamp) -> &'static str {
    if now + EXPIRY_SKEW >= expires { "expired" } else { "network" }
}

pub(crate) fn count_auth(kind: &'static str, failure: Option<&Fault>) {
    let result = if failure.is_none() { "ok" } else { "error" };
    metrics::counter!(metric::REDIS_AUTHS, "kind" => kind, "result" => result).increment(1);
    if failure.is_some_and(is_refusal) {
        metrics::counter!(metric::REDIS_AUTH_FAILURES, "kind" => kind).increment(1);
    }
}

/// Whether Redis itself said no.
fn is_refusal(fault: &Fault) -> bool {
    fault.codes.iter().any(|code| matches!(code, Code::Redis(_)))
}
