//! Pub/sub on Entra tokens: a connection of its own. RESP3 is authenticated in line, RESP2 handed over, both without a gap.

mod driver;
mod feed;
mod handover;

use std::fmt;
use std::sync::Arc;

use entrant_credential::Keeper;
use entrant_proto::reauth::Family;
use entrant_types::{Code, Fault, Outside, Retry, Whose};
use tokio::sync::{mpsc, oneshot};

use crate::config::RedisConfig;
use crate::driver::Shared;

pub use driver::SubscriberDriver;

/// Messages that wait for [`Subscriber::next`]. Beyond them the server's output buffer fills, and its limit
/// (`client-output-buffer-limit pubsub`) decides.
const QUEUE: usize = 1024;
/// Orders that wait for the driver.
const ORDERS: usize = 64;

/// One published message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The pattern that matched, if it came by one.
    pub pattern: Option<Vec<u8>>,
    /// The channel that it was published on.
    pub channel: Vec<u8>,
    /// What was published.
    pub payload: Vec<u8>,
}

/// Shows no content.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channel = String::from_utf8_lossy(&self.channel);
        write!(f, "Message {{ channel: {channel:?}, payload: {} bytes }}", self.payload.len())
    }
}

/// What a subscriber hears of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message.
    Message(Message),
    /// The connection was lost, and messages may have been: pub/sub keeps none. It is made anew by itself, with all
    /// subscriptions. Never because of a token alone.
    Gap(Fault),
}

/// Subscriptions and their messages. They outlive connections and tokens.
#[derive(Debug)]
pub struct Subscriber {
    orders: mpsc::Sender<Order>,
    events: mpsc::Receiver<Event>,
}

/// One change of the subscriptions.
#[derive(Debug)]
struct Order {
    family: Family,
    name: Vec<u8>,
    subscribe: bool,
    done: oneshot::Sender<Result<(), Fault>>,
}

impl Subscriber {
    /// A subscriber on `keeper`'s tokens, and the driver that makes and keeps its connection. Nothing happens until
    /// [`SubscriberDriver::run`] is polled.
    #[must_use]
    pub fn new(config: RedisConfig, keeper: Keeper, outside: &Outside) -> (Self, SubscriberDriver) {
        let (orders, taken) = mpsc::channel(ORDERS);
        let (sent, events) = mpsc::channel(QUEUE);
        let shared =
            Shared { config, keeper, clock: Arc::clone(&outside.clock), entropy: Arc::clone(&outside.entropy) };
        (Self { orders, events }, SubscriberDriver::new(shared, taken, sent))
    }

    /// Subscribes to a channel; returns when the server has confirmed it.
    ///
    /// # Errors
    /// The server refused it, or there is no connection and why.
    pub async fn subscribe(&self, channel: impl Into<Vec<u8>>) -> Result<(), Fault> {
        self.order(Family::Channel, channel.into(), true).await
    }

    /// Subscribes to all channels that match a pattern; returns when the server has confirmed it.
    ///
    /// # Errors
    /// The server refused it, or there is no connection and why.
    pub async fn psubscribe(&self, pattern: impl Into<Vec<u8>>) -> Result<(), Fault> {
        self.order(Family::Pattern, pattern.into(), true).await
    }

    /// Ends the subscription to a channel.
    ///
    /// # Errors
    /// There is no connection and why; then it is not made anew either.
    pub async fn unsubscribe(&self, channel: impl Into<Vec<u8>>) -> Result<(), Fault> {
        self.order(Family::Channel, channel.into(), false).await
    }

    /// Ends the subscription to a pattern.
    ///
    /// # Errors
    /// There is no connection and why; then it is not made anew either.
    pub async fn punsubscribe(&self, pattern: impl Into<Vec<u8>>) -> Result<(), Fault> {
        self.order(Family::Pattern, pattern.into(), false).await
    }

    /// The next message or gap. `None` once the driver is gone.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    async fn order(&self, family: Family, name: Vec<u8>, subscribe: bool) -> Result<(), Fault> {
        let (done, answer) = oneshot::channel();
        let gone = || {
            Fault::new(Whose::Caller, "the subscriber's driver is gone", "Keep the driver running while it is used.")
                .retry(Retry::Never)
                .code(Code::Entrant("redis_driver_gone"))
        };
        self.orders.send(Order { family, name, subscribe, done }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
