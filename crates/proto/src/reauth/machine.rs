//! One connection's memory: its identity, the replies it owes, and what stands in the way of an `AUTH`.

use std::collections::VecDeque;

use entrant_types::{ObjectId, Timestamp};

use super::command::Family;
use super::reply::LocalAnswer;
use super::subscriptions::Subscriptions;
use super::window::Window;

/// An identity that a connection has, or may be given: whose it is and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Which token of its keeper; grows with each new one.
    pub generation: u64,
    /// Whose token.
    pub object_id: ObjectId,
    /// When it ends.
    pub expires: Timestamp,
}

/// Why replies cannot be counted any more, so that nothing is injected for the rest of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opaque {
    /// `CLIENT REPLY OFF`.
    ReplyOff,
    /// Replication or the script debugger.
    Foreign,
    /// A command inside a transaction that changes how the replies are framed.
    InTransaction,
    /// A reply that no request explains, or none where one was due.
    Uncounted,
}

impl Opaque {
    /// A word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReplyOff => "reply_off",
            Self::Foreign => "foreign_protocol",
            Self::InTransaction => "in_transaction",
            Self::Uncounted => "uncounted",
        }
    }
}

/// What the next reply belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Plain,
    Topology,
    Discard,
    Hello(Option<u8>),
    /// With what was asked for at the front of `wishes`.
    Select,
    SetName,
    Reset,
    Monitor,
    /// Confirmations to come; 0: as many as there are subscriptions, known when the first one comes.
    Subscribe(Family, u32),
    Unsubscribe(Family, u32),
    /// Injected: its reply is ours.
    Auth,
    Sentinel,
    Ping,
    /// Answered here, in its turn.
    Local(LocalAnswer),
}

/// An `AUTH` on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub credential: Credential,
    /// The nonce of the sentinel that follows, if one does.
    pub nonce: Option<[u8; 16]>,
    /// What the server answered, while the sentinel is awaited.
    pub answered: Option<bool>,
    pub deadline: Timestamp,
}

/// A newer token that waits for its moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub credential: Credential,
    pub window: Window,
}

/// One connection. Born after its first `AUTH` was confirmed.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) credential: Credential,
    pub(super) phase: f64,
    pub(super) offer: Option<Offer>,
    pub(super) attempt: Option<Attempt>,
    /// Refused attempts since the last confirmed one.
    pub(super) refusals: u32,
    pub(super) refused_generation: Option<u64>,
    pub(super) slots: VecDeque<Slot>,
    /// A request has begun and has not ended.
    pub(super) mid_request: bool,
    pub(super) multi: bool,
    /// The last request changes the meaning of the next one.
    pub(super) prefix: bool,
    pub(super) skip_next: bool,
    /// A SKIP was sent, and so many replies are to come before the first one that shows whether it was obeyed.
    pub(super) unsettled: Option<usize>,
    pub(super) monitor: bool,
    pub(super) opaque: Option<Opaque>,
    /// A `RESET` is on its way, and what follows it needs an identity first.
    pub(super) resetting: bool,
    pub(super) identity_lost: bool,
    pub(super) resp3: bool,
    pub(super) tracking: bool,
    /// The client waits so that a gap comes about.
    pub(super) held: bool,
    pub(super) subscriptions: Subscriptions,
    pub(super) database: Option<Vec<u8>>,
    pub(super) name: Option<Vec<u8>>,
    /// Databases and names asked for and not answered yet: one for each such slot, `HELLO`'s included.
    pub(super) wishes: VecDeque<Option<Vec<u8>>>,
    /// Database or name may have changed unseen: in a transaction, or with the reply skipped.
    pub(super) unsure: bool,
    pub(super) last_activity: Timestamp,
    pub(super) ping_deadline: Option<Timestamp>,
    pub(super) closing: Option<super::CloseReason>,
    pub(super) want_token: bool,
    pub(super) alarm: bool,
}

impl Machine {
    /// A RESP2 connection that was authenticated with `credential` at `now`. `phase` (0.0 to 1.0) is drawn once
    /// per connection and spreads the re-AUTHs of many connections.
    #[must_use]
    pub fn new(credential: Credential, phase: f64, now: Timestamp) -> Self {
        Self {
            credential,
            phase,
            offer: None,
            attempt: None,
            refusals: 0,
            refused_generation: None,
            slots: VecDeque::new(),
            mid_request: false,
            multi: false,
            prefix: false,
            skip_next: false,
            unsettled: None,
            monitor: false,
            opaque: None,
            resetting: false,
            identity_lost: false,
            resp3: false,
            tracking: false,
            held: false,
            subscriptions: Subscriptions::default(),
            database: None,
            name: None,
            wishes: VecDeque::new(),
            unsure: false,
            last_activity: now,
            ping_deadline: None,
            closing: None,
            want_token: false,
            alarm: false,
        }
    }

    /// The request admitted last has been sent on whole (or answered).
    pub const fn request_done(&mut self) {
        self.mid_request = false;
    }

    /// How many replies are to come.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.slots.len()
    }

    /// Whether the next request would have to wait.
    #[must_use]
    pub const fn holds_client(&self) -> bool {
        self.attempt.is_some() || self.resetting || self.identity_lost || self.held || self.closing.is_some()
    }

    /// Whether the next frame that is not a push says where the nodes of a cluster are.
    #[must_use]
    pub fn expects_topology(&self) -> bool {
        self.opaque.is_none() && self.slots.front() == Some(&Slot::Topology)
    }

    /// Whether the client has switched to RESP3.
    #[must_use]
    pub const fn is_resp3(&self) -> bool {
        self.resp3
    }

    /// Whether a transaction is open.
    #[must_use]
    pub const fn in_transaction(&self) -> bool {
        self.multi
    }

    /// Why nothing is injected any more, if so.
    #[must_use]
    pub const fn opaque(&self) -> Option<Opaque> {
        self.opaque
    }

    /// Gives up on counting, for instance because a reply could not be framed.
    pub const fn go_opaque(&mut self, reason: Opaque) {
        if self.opaque.is_none() {
            self.opaque = Some(reason);
        }
        (self.held, self.resetting) = (false, false);
    }

    /// The identity of the last confirmed `AUTH`.
    #[must_use]
    pub const fn credential(&self) -> Credential {
        self.credential
    }

    /// What the connection is subscribed to.
    #[must_use]
    pub const fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    /// What a replacement connection must be told before its subscriptions: database and name, as the server confirmed them.
    #[must_use]
    pub fn replay(&self) -> (Option<&[u8]>, Option<&[u8]>) {
        (self.database.as_deref(), self.name.as_deref())
    }

    /// The reply of a request that was answered here, once every earlier reply is through.
    pub fn take_answer(&mut self) -> Option<LocalAnswer> {
        match self.slots.front() {
            Some(Slot::Local(answer)) => {
                let answer = *answer;
                self.slots.pop_front();
                // Our own answer proves nothing.
                self.unsettled = self.unsettled.map(|before| before.saturating_sub(1));
                Some(answer)
            }
            _ => None,
        }
    }
}
