//! Makes a subscriber's connection and keeps it, for as long as the process lives.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use entrant_credential::Snapshot;
use entrant_proto::reauth::{self, Credential, Delivery, Family};
use entrant_types::{Fault, Timestamp, metric};
use tokio::sync::{mpsc, oneshot, watch};

use super::feed::Feed;
use super::handover::Handover;
use super::{Event, Order};
use crate::backoff::Backoff;
use crate::config::Protocol;
use crate::driver::{Shared, count_auth};
use crate::transport;

/// A wait without an end, as clocks have none.
const IDLE: Duration = Duration::from_secs(3600);
/// A program has few subscribers, and keepers spread programs: a new token is used as soon as it is there.
pub(super) const AT_ONCE: f64 = 0.0;
/// Events read ahead of the program, beside those in its queue.
const READ_AHEAD: usize = 256;

/// Makes one subscriber's connection and keeps it. See [`Subscriber::new`](super::Subscriber::new).
pub struct SubscriberDriver {
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<Event>,
    /// What the program is subscribed to, by kind (patterns: `true`) and name.
    wanted: BTreeMap<(bool, Vec<u8>), Family>,
    /// Orders that wait for a connection or for an `AUTH`.
    waiting: VecDeque<Order>,
}

impl fmt::Debug for SubscriberDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriberDriver").field("subscriptions", &self.wanted.len()).finish_non_exhaustive()
    }
}

impl SubscriberDriver {
    pub(super) fn new(shared: Shared, orders: mpsc::Receiver<Order>, events: mpsc::Sender<Event>) -> Self {
        Self { shared: Arc::new(shared), orders, events, wanted: BTreeMap::new(), waiting: VecDeque::new() }
    }

    /// Connects, subscribes, re-authenticates and reconnects until the [`Subscriber`](super::Subscriber) is dropped.
    pub async fn run(mut self) {
        let mut snapshots = self.shared.keeper.subscribe();
        let mut backoff = Backoff::default();
        while !self.events.is_closed() {
            let fault = match self.connect(&mut snapshots).await {
                Ok(mut feed) => {
                    backoff.reset();
                    let Err(fault) = self.serve(&mut feed, &mut snapshots).await else { return };
                    metrics::gauge!(metric::REDIS_CONNECTIONS).decrement(1.0);
                    let reason = feed.machine.drop_reason(self.shared.clock.now()).as_str();
                    metrics::counter!(metric::REDIS_CONNECTION_DROPS, "reason" => reason).increment(1);
                    tracing::warn!(%fault, "Redis subscriber dropped");
                    // The next connection will confirm them.
                    self.waiting.extend(feed.sent.drain(..));
                    self.give(&mut feed.events).await;
                    fault
                }
                Err(fault) => {
                    tracing::error!(%fault, "no connection for a Redis subscriber");
                    while let Ok(order) = self.orders.try_recv() {
                        self.accept(order);
                    }
                    for order in self.waiting.drain(..) {
                        let _ = order.done.send(Err(fault.clone()));
                    }
                    fault
                }
            };
            if !self.wanted.is_empty() && self.events.send(Event::Gap(fault)).await.is_err() {
                return;
            }
            let wait = backoff.next(&*self.shared.entropy);
            self.shared.clock.sleep_until(self.shared.clock.now() + wait).await;
        }
    }

    async fn connect(&mut self, snapshots: &mut watch::Receiver<Snapshot>) -> Result<Feed, Fault> {
        let token = self.shared.keeper.token().await?;
        let generation = snapshots.borrow_and_update().generation;
        let object_id = reauth::object_id(&token)?;
        let opened = transport::open(&self.shared.config, &token, object_id).await;
        count_auth("connect", opened.as_ref().err());
        let credential = Credential { generation, object_id, expires: token.lifetime.expires };
        let now = self.shared.clock.now();
        let mut feed = Feed::start(opened?, self.shared.config.subscribers, credential, token, AT_ONCE, now).await?;
        metrics::gauge!(metric::REDIS_CONNECTIONS).increment(1.0);
        for ((_, name), family) in &self.wanted {
            let order = Order { family: *family, name: name.clone(), subscribe: true, done: oneshot::channel().0 };
            let _ = feed.order(order, now);
        }
        Ok(feed)
    }

    /// Until the connection ends (`Err`) or the subscriber is dropped (`Ok`).
    async fn serve(&mut self, feed: &mut Feed, snapshots: &mut watch::Receiver<Snapshot>) -> Result<(), Fault> {
        let (clock, events) = (Arc::clone(&self.shared.clock), self.events.clone());
        let mut followed = true;
        let (mut handover, mut backoff, mut not_before) = (None, Backoff::default(), clock.now());
        loop {
            let now = clock.now();
            let snapshot = snapshots.borrow_and_update().clone();
            if self.shared.config.subscribers == Protocol::Resp3 {
                self.offer(feed, &snapshot);
            } else if handover.is_none() && now >= not_before && self.may_hand_over(feed, &snapshot, now) {
                let wanted = self.wanted.iter().map(|((_, name), family)| (*family, name.clone())).collect();
                handover = Handover::begin(&self.shared, feed, wanted, &snapshot, now);
            }
            if let Some(next) = handover.as_mut().and_then(|handover: &mut Handover| handover.take(feed)) {
                self.waiting.extend(feed.forget_marker());
                (*feed, handover) = (next, None);
                backoff.reset();
                tell(&Delivery::Confirmed(feed.machine.credential().expires));
            }
            if feed.step(&*self.shared.entropy, now)? {
                self.shared.keeper.refresh_now();
            }
            while let Some(order) = if handover.is_none() { self.waiting.pop_front() } else { None } {
                if let Err(order) = feed.order(order, now) {
                    self.waiting.push_front(order);
                    break;
                }
            }
            feed.flush().await?;
            let mut wake = feed.machine.wake_at(now).unwrap_or(now + IDLE);
            if not_before > now {
                wake = wake.min(not_before);
            }
            tokio::select! {
                prepared = Handover::prepared(&mut handover) => if let Err(fault) = prepared {
                    if feed.stopped {
                        return Err(fault);
                    }
                    tracing::warn!(%fault, "no new connection for a Redis subscriber yet");
                    self.waiting.extend(feed.forget_marker());
                    (handover, not_before) = (None, now + backoff.next(&*self.shared.entropy));
                },
                read = feed.read(), if feed.events.len() < READ_AHEAD && !feed.stopped => {
                    read?;
                    for outcome in feed.take(clock.now())? {
                        tell(&outcome);
                    }
                    for (family, name) in feed.confirmed.drain(..) {
                        self.wanted.insert((family == Family::Pattern, name), family);
                    }
                }
                place = events.reserve(), if !feed.events.is_empty() => {
                    let Ok(place) = place else { return Ok(()) };
                    if let Some(event) = feed.events.pop_front() {
                        place.send(event);
                    }
                }
                order = self.orders.recv() => {
                    let Some(order) = order else { return Ok(()) };
                    self.accept(order);
                }
                // Once it fails no new token will come; the connection lives as long as the one it has.
                changed = snapshots.changed(), if followed => followed = changed.is_ok(),
                () = clock.sleep_until(wake) => {}
            }
        }
    }

    /// What is no longer wanted is not made anew, whatever becomes of the order.
    fn accept(&mut self, order: Order) {
        if !order.subscribe {
            self.wanted.remove(&(order.family == Family::Pattern, order.name.clone()));
        }
        self.waiting.push_back(order);
    }

    /// Whether there is a newer token than the connection's, and nothing under way that a new one would not have.
    fn may_hand_over(&self, feed: &Feed, snapshot: &Snapshot, now: Timestamp) -> bool {
        snapshot.generation > feed.machine.credential().generation
            && snapshot.token.as_ref().is_some_and(|token| token.lifetime.is_valid(now))
            && feed.sent.is_empty()
            && self.waiting.is_empty()
    }

    fn offer(&self, feed: &mut Feed, snapshot: &Snapshot) {
        let now = self.shared.clock.now();
        let Some(token) = snapshot.token.clone().filter(|token| token.lifetime.is_valid(now)) else { return };
        if snapshot.generation <= feed.machine.credential().generation {
            return;
        }
        match reauth::object_id(&token) {
            Ok(object_id) => {
                let expires = token.lifetime.expires;
                feed.offer(Credential { generation: snapshot.generation, object_id, expires }, token, now);
            }
            Err(fault) => tracing::error!(%fault, "the new token cannot be used for Redis"),
        }
    }

    async fn give(&self, events: &mut VecDeque<Event>) {
        for event in events.drain(..) {
            if self.events.send(event).await.is_err() {
                return;
            }
        }
    }
}

fn tell(outcome: &Delivery) {
    match outcome {
        Delivery::Confirmed(expires) => {
            count_auth("reauth", None);
            tracing::debug!(token_expires = %expires, "Redis subscriber re-authenticated");
        }
        Delivery::Refused { code, silent } => {
            tracing::warn!(code, silent, "Redis refused the new token of a subscriber; it keeps the old one");
            metrics::counter!(metric::REDIS_AUTHS, "kind" => "reauth", "result" => "error").increment(1);
            metrics::counter!(metric::REDIS_AUTH_FAILURES, "kind" => "reauth").increment(1);
        }
        Delivery::Client | Delivery::Swallow => {}
    }
}
