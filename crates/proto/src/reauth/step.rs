//! What to do now: inject, hold, replace, close.

use std::time::Duration;

use entrant_types::Timestamp;

use super::machine::{Attempt, Credential, Machine, Offer, Slot};
use super::window::Window;

/// What the connection's driver must do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before the next request, reply, token or [`Machine::wake_at`].
    Nothing,
    /// Send `AUTH` with this credential's token now, followed by `ECHO` of the nonce if there is one. The client
    /// is held until it is answered.
    Inject {
        /// Whose token.
        credential: Credential,
        /// The sentinel's nonce.
        nonce: Option<[u8; 16]>,
    },
    /// Send a keep-alive `PING`; its reply will be swallowed.
    Ping,
    /// Ask the keeper for one fresh token: the server refused this one.
    ForceToken,
    /// The fresh token was refused as well. Said once.
    Alarm,
    /// Subscribed in RESP2, where `AUTH` is refused: open another connection with the newest token, subscribe it
    /// to the same, then take it in place of this one and call [`Machine::succeeded`].
    Replace,
    /// End the connection.
    Close(CloseReason),
}

/// Why we end a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The new token is of another identity: a live connection never changes its user.
    IdentityChanged,
    /// Its state forbids an `AUTH` (see [`super::Opaque`], `MONITOR`), and a newer token is there.
    CannotReauthenticate,
    /// A reply slot is in doubt after an `AUTH`.
    ReplyInDoubt,
    /// `AUTH` or `PING` had no reply at all: half-open.
    Unanswered,
    /// Refused while the connection has no identity (after `RESET`).
    Refused,
}

impl CloseReason {
    /// A word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdentityChanged => "identity_changed",
            Self::CannotReauthenticate => "cannot_reauthenticate",
            Self::ReplyInDoubt => "reply_in_doubt",
            Self::Unanswered => "unanswered",
            Self::Refused => "refused",
        }
    }
}

/// Why the server ended a connection, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Its token had ended.
    Expired,
    /// Its token had ended inside a transaction that the client kept open.
    ExpiredInTransaction,
    /// Anything else.
    Network,
}

impl DropReason {
    /// A word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::ExpiredInTransaction => "expired_in_transaction",
            Self::Network => "network",
        }
    }
}

/// An `AUTH` alone on the wire is answered in a round trip; a slow server or a slow client may take far longer
/// and that is no failure. Half a minute without a byte on a connection that is otherwise idle is.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Azure closes connections that were idle for ten minutes.
const IDLE_BEFORE_PING: Duration = Duration::from_secs(300);
/// Silence that counts as idle where replies cannot be counted.
const SILENCE: Duration = Duration::from_secs(2);
/// Between two attempts to replace a connection.
const REPLACE_AGAIN: Duration = Duration::from_secs(5);
/// The server's clock and ours differ by a little.
const EXPIRY_SKEW: Duration = Duration::from_secs(5);

impl Machine {
    /// A newer token is there. An older or equal one changes nothing.
    pub fn offer(&mut self, credential: Credential, now: Timestamp) {
        let newest = self.offer.map_or(self.credential, |offer| offer.credential);
        let refused = self.refused_generation.is_some_and(|refused| credential.generation <= refused);
        if credential.generation <= newest.generation || refused {
            return;
        }
        let window = Window::spread(now, self.credential.expires, self.phase);
        let window = if self.refusals > 0 { window.at_once(now) } else { window };
        self.offer = Some(Offer { credential, window });
    }

    /// The replacement that [`Step::Replace`] asked for has taken over.
    pub fn succeeded(&mut self, credential: Credential, now: Timestamp) {
        self.credential = credential;
        self.offer = self.offer.filter(|offer| offer.credential.generation > credential.generation);
        self.last_activity = now;
    }

    /// The replacement could not be made: try again a little later.
    pub fn postpone(&mut self, now: Timestamp) {
        if let Some(offer) = &mut self.offer {
            offer.window.retire = now + REPLACE_AGAIN;
        }
    }

    /// What to do now. Call it after every request, reply, token and at [`wake_at`](Self::wake_at), until it
    /// says [`Step::Nothing`]. `nonce` makes fresh randomness for a sentinel.
    pub fn step(&mut self, nonce: impl FnOnce() -> [u8; 16], now: Timestamp) -> Step {
        if let Some(reason) = self.closing {
            return Step::Close(reason);
        }
        if std::mem::take(&mut self.want_token) {
            return Step::ForceToken;
        }
        if std::mem::take(&mut self.alarm) {
            return Step::Alarm;
        }
        if self.attempt.is_some_and(|attempt| now >= attempt.deadline)
            || self.ping_deadline.is_some_and(|deadline| now >= deadline)
        {
            return self.close(CloseReason::Unanswered);
        }
        if self.attempt.is_some() {
            return Step::Nothing;
        }
        if self.identity_lost {
            return self.restore_identity(now);
        }
        let step = match self.offer {
            Some(offer) if offer.credential.object_id != self.credential.object_id => self.drain(offer, now),
            Some(offer) if self.opaque.is_none() => self.renew(offer, nonce, now),
            Some(offer) => self.retire(offer.window, now),
            None => Step::Nothing,
        };
        if step == Step::Nothing { self.keep_alive(now) } else { step }
    }

    /// When [`step`](Self::step) may have something new to say, if nothing else happens before.
    #[must_use]
    pub fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        let idle = self.quiet().then(|| self.last_activity + IDLE_BEFORE_PING).filter(|moment| *moment > now);
        let silence = (self.opaque.is_some() && self.offer.is_some()).then(|| self.last_activity + SILENCE);
        [
            self.attempt.map(|attempt| attempt.deadline),
            self.ping_deadline,
            self.offer.and_then(|offer| offer.window.next_after(now)),
            silence.filter(|moment| *moment > now),
            idle,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Why the server may have ended the connection at `now`.
    #[must_use]
    pub fn drop_reason(&self, now: Timestamp) -> DropReason {
        match now + EXPIRY_SKEW >= self.credential.expires {
            true if self.multi => DropReason::ExpiredInTransaction,
            true => DropReason::Expired,
            false => DropReason::Network,
        }
    }

    /// Whether no reply is outstanding and no request half sent.
    pub(super) fn quiet(&self) -> bool {
        self.slots.is_empty() && !self.mid_request
    }

    /// Whether an `AUTH` may be sent once the connection is quiet.
    pub(super) fn injectable(&self) -> bool {
        let deaf = self.monitor || (!self.resp3 && !self.subscriptions.is_empty());
        !(self.multi || self.prefix || self.unsettled.is_some() || self.opaque.is_some() || deaf)
    }

    fn renew(&mut self, offer: Offer, nonce: impl FnOnce() -> [u8; 16], now: Timestamp) -> Step {
        let window = offer.window;
        if !self.injectable() {
            self.held = false;
            return if self.multi || self.prefix { Step::Nothing } else { self.retire(window, now) };
        }
        if self.quiet() && (self.held || now >= window.due) {
            let nonce = (self.resp3 && (self.tracking || !self.subscriptions.is_empty())).then(nonce);
            return self.inject(offer.credential, nonce, now);
        }
        // `held` may stand since a command asked to go after the AUTH; past `last` nothing is forced.
        self.held = (self.held || now >= window.gap) && now < window.last;
        Step::Nothing
    }

    fn inject(&mut self, credential: Credential, nonce: Option<[u8; 16]>, now: Timestamp) -> Step {
        let deadline = (now + ANSWER_LIMIT).max(self.credential.expires.min(now + 4 * ANSWER_LIMIT));
        self.attempt = Some(Attempt { credential, nonce, answered: None, deadline });
        self.slots.push_back(Slot::Auth);
        if nonce.is_some() {
            self.slots.push_back(Slot::Sentinel);
        }
        Step::Inject { credential, nonce }
    }

    /// After `RESET` the connection has no identity: the newest token goes out before anything else.
    fn restore_identity(&mut self, now: Timestamp) -> Step {
        let newest = self.offer.map_or(self.credential, |offer| offer.credential);
        if newest.object_id != self.credential.object_id {
            return self.close(CloseReason::IdentityChanged);
        }
        if self.quiet() { self.inject(newest, None, now) } else { Step::Nothing }
    }

    fn drain(&mut self, offer: Offer, now: Timestamp) -> Step {
        if now >= offer.window.due && self.seems_idle(now) && (self.opaque.is_some() || !self.multi) {
            return self.close(CloseReason::IdentityChanged);
        }
        self.held = now >= offer.window.gap && now < offer.window.last && !self.multi;
        Step::Nothing
    }

    /// No `AUTH` is possible: at its moment the connection is replaced, or ended while the client is idle.
    fn retire(&mut self, window: Window, now: Timestamp) -> Step {
        if now < window.retire || self.mid_request {
            return Step::Nothing;
        }
        let subscribed = !self.subscriptions.is_empty() && !self.monitor && self.opaque.is_none();
        if subscribed && !self.subscriptions.overflowed() && !self.unsure {
            return if self.slots.is_empty() { Step::Replace } else { Step::Nothing };
        }
        if self.seems_idle(now) { self.close(CloseReason::CannotReauthenticate) } else { Step::Nothing }
    }

    /// Whether nothing is under way. Where replies are not counted, silence is all there is to go by.
    fn seems_idle(&self, now: Timestamp) -> bool {
        let silent = now >= self.last_activity + SILENCE;
        !self.mid_request && if self.opaque.is_some() { silent } else { self.slots.is_empty() }
    }

    fn keep_alive(&mut self, now: Timestamp) -> Step {
        let possible = self.quiet() && !self.multi && !self.prefix && self.unsettled.is_none() && self.opaque.is_none();
        if !possible || now < self.last_activity + IDLE_BEFORE_PING {
            return Step::Nothing;
        }
        self.slots.push_back(Slot::Ping);
        self.last_activity = now;
        self.ping_deadline = Some(now + ANSWER_LIMIT);
        Step::Ping
    }

    /// Rule 21: the old identity stays. One fresh token is forced and tried once; then somebody must be told.
    pub(super) fn refused(&mut self, generation: u64) {
        if self.identity_lost {
            self.closing = Some(CloseReason::Refused);
        }
        self.refusals += 1;
        self.refused_generation = Some(generation);
        self.held = false;
        self.offer = self.offer.filter(|offer| offer.credential.generation > generation);
        if self.refusals == 1 {
            self.want_token = true;
        } else if self.refusals == 2 {
            self.alarm = true;
        }
    }

    fn close(&mut self, reason: CloseReason) -> Step {
        self.closing = Some(reason);
        Step::Close(reason)
    }
}
