//! RESP2: a subscribed connection cannot be authenticated again, so another takes over, without a loss or a repeat.
//!
//! Both connections are subscribed to all channels and to a marker of their own, then the marker is published. The
//! server pushes every message to both in one order, so what comes before the marker is taken from the old connection,
//! and what comes behind it from the new one.

use std::sync::Arc;

use entrant_credential::Snapshot;
use entrant_proto::reauth::{self, Credential, Family};
use entrant_types::{AccessToken, Fault, Timestamp};
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::Order;
use super::driver::AT_ONCE;
use super::feed::{Feed, lost};
use crate::driver::{Shared, count_auth};
use crate::transport;

/// What the names of marker channels begin with.
pub(super) const MARKERS: &[u8] = b"entrant:handover:";
/// Longest reply to `PUBLISH` that is read.
const MAX_REPLY: usize = 256;
/// The old connection and the new one.
const BOTH: i64 = 2;

/// A handover under way.
pub(super) struct Handover {
    ready: BoxFuture<'static, Result<Feed, Fault>>,
    next: Option<Feed>,
}

impl Handover {
    /// Begins one: the old connection is to stop at the marker. `None`: there is no token to do it with.
    pub(super) fn begin(
        shared: &Arc<Shared>,
        old: &mut Feed,
        wanted: Vec<(Family, Vec<u8>)>,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<Self> {
        let token = snapshot.token.clone()?;
        let mut nonce = [0_u8; 16];
        shared.entropy.fill(&mut nonce);
        let mut marker = MARKERS.to_vec();
        nonce.iter().for_each(|byte| marker.extend_from_slice(format!("{byte:02x}").as_bytes()));
        let (done, confirmed) = oneshot::channel();
        old.order(Order { family: Family::Channel, name: marker.clone(), subscribe: true, done }, now).ok()?;
        old.stop_at = Some(marker.clone());
        let (shared, generation) = (Arc::clone(shared), snapshot.generation);
        let prepare = async move {
            confirmed.await.map_err(|_| lost("was closed"))??;
            let feed = subscribed(&shared, &token, generation, wanted, marker.clone()).await?;
            publish(&shared, &token, &marker).await?;
            Ok(feed)
        };
        Some(Self { ready: Box::pin(prepare), next: None })
    }

    /// Waits until the new connection is ready to take over; for ever if there is nothing to wait for.
    pub(super) async fn prepared(handover: &mut Option<Self>) -> Result<(), Fault> {
        match handover {
            Some(Self { ready, next }) if next.is_none() => *next = Some(ready.await?),
            _ => std::future::pending().await,
        }
        Ok(())
    }

    /// The new connection, once the old one has stopped: it has the old one's events before its own.
    pub(super) fn take(&mut self, old: &mut Feed) -> Option<Feed> {
        let mut next = if old.stopped { self.next.take()? } else { return None };
        old.events.extend(next.events.drain(..));
        next.events = std::mem::take(&mut old.events);
        Some(next)
    }
}

/// A connection that is subscribed to everything, the marker last, and gives only what comes behind that.
async fn subscribed(
    shared: &Shared,
    token: &AccessToken,
    generation: u64,
    wanted: Vec<(Family, Vec<u8>)>,
    marker: Vec<u8>,
) -> Result<Feed, Fault> {
    let object_id = reauth::object_id(token)?;
    let opened = transport::open(&shared.config, token, object_id).await;
    count_auth("connect", opened.as_ref().err());
    let credential = Credential { generation, object_id, expires: token.lifetime.expires };
    let now = shared.clock.now();
    let mut feed = Feed::start(opened?, shared.config.subscribers, credential, token.clone(), AT_ONCE, now).await?;
    let mut all = Vec::new();
    for (family, name) in wanted.into_iter().chain([(Family::Channel, marker.clone())]) {
        let (done, confirmed) = oneshot::channel();
        feed.order(Order { family, name, subscribe: true, done }, now).map_err(|_| lost("takes no subscription"))?;
        all.push(confirmed);
    }
    feed.skip_to = Some(marker);
    let confirm = async {
        feed.flush().await?;
        while !feed.sent.is_empty() {
            feed.read().await?;
            feed.take(shared.clock.now())?;
        }
        for confirmed in all {
            confirmed.await.map_err(|_| lost("was closed"))??;
        }
        Ok(())
    };
    let limit = shared.config.connect_timeout;
    tokio::time::timeout(limit, confirm).await.unwrap_or_else(|_| Err(lost("was not confirmed in time")))?;
    // They are noted already.
    feed.confirmed.clear();
    Ok(feed)
}

/// Publishes the marker, over a connection of its own: in RESP2 a subscribed one takes no other command.
async fn publish(shared: &Shared, token: &AccessToken, marker: &[u8]) -> Result<(), Fault> {
    let mut stream = transport::open(&shared.config, token, reauth::object_id(token)?).await?;
    let exchange = async {
        let mut command = format!("*3\r\n$7\r\nPUBLISH\r\n${}\r\n", marker.len()).into_bytes();
        command.extend_from_slice(marker);
        command.extend_from_slice(b"\r\n$1\r\n.\r\n");
        stream.write_all(&command).await?;
        stream.flush().await?;
        let mut reply = Vec::new();
        while !reply.ends_with(b"\r\n") && reply.len() < MAX_REPLY {
            if stream.read_buf(&mut reply).await? == 0 {
                break;
            }
        }
        Ok::<_, std::io::Error>(reply)
    };
    let reply = tokio::time::timeout(shared.config.connect_timeout, exchange).await;
    let reply = reply.ok().and_then(Result::ok).unwrap_or_default();
    let reached =
        std::str::from_utf8(&reply).ok().and_then(|text| text.strip_prefix(':')?.trim_end().parse::<i64>().ok());
    if reached.is_some_and(|reached| reached >= BOTH) {
        return Ok(());
    }
    Err(lost("cannot be replaced: its identity must be allowed to PUBLISH to entrant:handover:*, at the same node"))
}
