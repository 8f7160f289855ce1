//! One subscriber's connection: frames in, messages out, `AUTH` in between.

use std::collections::VecDeque;

use entrant_proto::reauth::{self, Credential, Delivery, Family, Machine, Request, Step, Verdict};
use entrant_proto::resp::{ReplyFramer, ReplyLimits, Value};
use entrant_types::{AccessToken, Code, Entropy, Fault, Timestamp, Whose};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::handover::MARKERS;
use super::{Event, Message, Order};
use crate::config::Protocol;
use crate::transport::Stream;

/// The state of one connection.
pub(super) struct Feed {
    pub(super) stream: Stream,
    pub(super) machine: Machine,
    framer: ReplyFramer,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Orders sent and not yet confirmed, oldest first.
    pub(super) sent: VecDeque<Order>,
    /// Subscriptions confirmed and not yet noted.
    pub(super) confirmed: Vec<(Family, Vec<u8>)>,
    /// Events that the program has not taken.
    pub(super) events: VecDeque<Event>,
    /// The tokens that an `AUTH` may be made of.
    tokens: Vec<(Credential, AccessToken)>,
    /// Messages on this channel and those before it are another connection's.
    pub(super) skip_to: Option<Vec<u8>>,
    /// Messages behind one on this channel are another connection's.
    pub(super) stop_at: Option<Vec<u8>>,
    /// That one has come.
    pub(super) stopped: bool,
}

impl Feed {
    /// A connection that was authenticated with `token`, in the protocol asked for.
    pub(super) async fn start(
        stream: Stream,
        protocol: Protocol,
        credential: Credential,
        token: AccessToken,
        phase: f64,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let mut feed = Self {
            stream,
            machine: Machine::new(credential, phase, now),
            framer: ReplyFramer::new(ReplyLimits::WHOLE),
            input: Vec::new(),
            output: Vec::new(),
            sent: VecDeque::new(),
            confirmed: Vec::new(),
            events: VecDeque::new(),
            tokens: vec![(credential, token)],
            skip_to: None,
            stop_at: None,
            stopped: false,
        };
        if protocol == Protocol::Resp2 {
            return Ok(feed);
        }
        feed.request(&[b"HELLO", b"3"], now);
        feed.flush().await?;
        while feed.machine.outstanding() > 0 {
            feed.read().await?;
            feed.take(now)?;
        }
        Ok(feed)
    }

    /// A newer token is there.
    pub(super) fn offer(&mut self, credential: Credential, token: AccessToken, now: Timestamp) {
        let current = self.machine.credential().generation;
        self.tokens.retain(|(known, _)| known.generation >= current);
        self.tokens.push((credential, token));
        self.machine.offer(credential, now);
    }

    /// Sends an order, if nothing stands in its way.
    pub(super) fn order(&mut self, order: Order, now: Timestamp) -> Result<(), Order> {
        let command: &[u8] = match (order.family, order.subscribe) {
            (Family::Pattern, true) => b"PSUBSCRIBE",
            (Family::Pattern, false) => b"PUNSUBSCRIBE",
            (_, true) => b"SUBSCRIBE",
            (_, false) => b"UNSUBSCRIBE",
        };
        if !self.request(&[command, &order.name], now) {
            return Err(order);
        }
        self.sent.push_back(order);
        Ok(())
    }

    /// The marker is of no use any more: the order that ends its subscription.
    pub(super) fn forget_marker(&mut self) -> Option<Order> {
        let name = self.stop_at.take()?;
        Some(Order { family: Family::Channel, name, subscribe: false, done: oneshot::channel().0 })
    }

    fn request(&mut self, words: &[&[u8]], now: Timestamp) -> bool {
        let Some(request) = Request::of(words) else { return false };
        if matches!(self.machine.admit(&request, now), Verdict::Wait | Verdict::Close) {
            return false;
        }
        self.machine.request_done();
        self.output.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.output.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            self.output.extend_from_slice(word);
            self.output.extend_from_slice(b"\r\n");
        }
        true
    }

    /// Does what the machine says. What the keeper must do is returned.
    pub(super) fn step(&mut self, entropy: &dyn Entropy, now: Timestamp) -> Result<bool, Fault> {
        let mut force = false;
        loop {
            let nonce = || {
                let mut nonce = [0; 16];
                entropy.fill(&mut nonce);
                nonce
            };
            match self.machine.step(nonce, now) {
                Step::Nothing => return Ok(force),
                Step::Inject { credential, nonce } => {
                    let token = self.tokens.iter().find(|(known, _)| known.generation == credential.generation);
                    let Some((_, token)) = token else { return Err(lost("has no token to renew itself with")) };
                    self.output.extend_from_slice(&reauth::encode::auth(credential.object_id, token));
                    if let Some(nonce) = nonce {
                        self.output.extend_from_slice(&reauth::encode::sentinel(&nonce));
                    }
                }
                Step::Ping => self.output.extend_from_slice(reauth::encode::PING),
                Step::ForceToken => force = true,
                Step::Alarm => tracing::error!("Redis refused the fresh token of a subscriber as well"),
                Step::Replace => return Err(lost("cannot be authenticated again")),
                Step::Close(reason) => return Err(lost(reason.as_str())),
            }
        }
    }

    /// Sends what is to be sent.
    pub(super) async fn flush(&mut self) -> Result<(), Fault> {
        if self.output.is_empty() {
            return Ok(());
        }
        let sent = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|_| lost("was closed"))?;
        // It may have held a token.
        zero(&mut self.output);
        Ok(())
    }

    /// Waits for bytes. Safe to give up.
    pub(super) async fn read(&mut self) -> Result<(), Fault> {
        match self.stream.read_buf(&mut self.input).await {
            Ok(0) | Err(_) => Err(lost("was closed")),
            Ok(_) => Ok(()),
        }
    }

    /// Takes every whole frame. Returns the outcomes of `AUTH`s.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<Vec<Delivery>, Fault> {
        let (mut used, mut outcomes) = (0, Vec::new());
        while let Some(piece) = self.framer.next(self.input.get(used..).unwrap_or_default()).map_err(|_| garbled())? {
            let frame = self.input.get(used..used + piece.len).unwrap_or_default();
            used += piece.len;
            match self.machine.reply(frame, now) {
                Delivery::Client => {
                    let (value, _) = Value::parse(frame).map_err(|_| garbled())?.ok_or_else(garbled)?;
                    self.take_value(&value)?;
                }
                Delivery::Swallow => {}
                outcome => outcomes.push(outcome),
            }
        }
        self.input.drain(..used);
        Ok(outcomes)
    }

    fn take_value(&mut self, value: &Value) -> Result<(), Fault> {
        let (Value::Push(elements) | Value::Array(elements)) = value else {
            if let Value::Error(text) = value {
                refuse(&mut self.sent, &String::from_utf8_lossy(text));
            }
            return Ok(());
        };
        let text = |index: usize| elements.get(index).and_then(Value::text).map(<[u8]>::to_vec);
        match elements.first().and_then(Value::text) {
            Some(b"message" | b"smessage") => {
                let (Some(channel), Some(payload)) = (text(1), text(2)) else { return Err(garbled()) };
                self.deliver(Message { pattern: None, channel, payload });
            }
            Some(b"pmessage") => {
                let (Some(channel), Some(payload)) = (text(2), text(3)) else { return Err(garbled()) };
                self.deliver(Message { pattern: text(1), channel, payload });
            }
            Some(b"subscribe" | b"psubscribe" | b"unsubscribe" | b"punsubscribe") => {
                // Confirmations come in the order of the requests.
                if let Some(order) = self.sent.pop_front() {
                    let _ = order.done.send(Ok(()));
                    if order.subscribe && !order.name.starts_with(MARKERS) {
                        self.confirmed.push((order.family, order.name));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn deliver(&mut self, message: Message) {
        // A pattern may match the marker as well: only the marker's own subscription counts.
        if message.channel.starts_with(MARKERS) {
            let marker = message.pattern.is_none().then_some(&message.channel);
            if marker.is_some() && self.skip_to.as_ref() == marker {
                self.skip_to = None;
            }
            self.stopped |= marker.is_some() && self.stop_at.as_ref() == marker;
        } else if self.skip_to.is_none() && !self.stopped {
            self.events.push_back(Event::Message(message));
        }
    }
}

fn refuse(sent: &mut VecDeque<Order>, text: &str) {
    let Some(order) = sent.pop_front() else { return };
    let name = String::from_utf8_lossy(&order.name).into_owned();
    let code = text.split(' ').next().unwrap_or_default().to_owned();
    let fault = Fault::new(
        Whose::Configuration,
        format!("Redis refused the subscription to {name:?} ({text})"),
        "Allow the channel in the access string (&pattern) of the identity's access policy assignment.",
    );
    let _ = order.done.send(Err(fault.code(Code::Redis(code))));
}

fn zero(bytes: &mut Vec<u8>) {
    bytes.fill(0);
    bytes.clear();
}

fn garbled() -> Fault {
    lost("brought something that is not RESP3")
}

pub(super) fn lost(did: &str) -> Fault {
    Fault::new(
        Whose::Network,
        format!("the connection of a Redis subscriber {did}"),
        "It is made anew by itself; messages published meanwhile are lost.",
    )
    .code(Code::Entrant("redis_subscriber_lost"))
}
