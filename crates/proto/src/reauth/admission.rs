//! What happens to a request at a command boundary, and which replies are then to come.

use entrant_types::Timestamp;

use super::command::{Effect, Request};
use super::machine::{Machine, Opaque, Slot};
use super::reply::LocalAnswer;
use super::step::CloseReason;

/// What to do with a request at a command boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it on.
    Forward,
    /// It is a `HELLO`: send it on without its `AUTH name password`.
    ForwardWithoutCredentials,
    /// It is the client's own `AUTH` where replies cannot be counted: send ours in its place.
    ForwardOwnAuth,
    /// Do not send it on; [`Machine::take_answer`] has its reply when its turn comes.
    Answer,
    /// Not now: keep it, read no more from the client, and ask again after the next [`Step`] or reply.
    Wait,
    /// It cannot be served any more; [`Machine::step`] says why the connection ends.
    Close,
}

/// Longest connection name or database kept for a replay.
const MAX_NAME: usize = 256;

impl Machine {
    /// Looks at a request whose first byte is next. On anything but [`Verdict::Wait`] and [`Verdict::Close`] the
    /// request counts as begun, and [`request_done`](Self::request_done) must follow its last byte.
    pub fn admit(&mut self, request: &Request<'_>, now: Timestamp) -> Verdict {
        if self.closing.is_some() {
            return Verdict::Close;
        }
        if self.holds_client() {
            return Verdict::Wait;
        }
        let effect = request.effect();
        if self.opaque.is_some() {
            self.last_activity = now;
            return self.admit_opaque(effect);
        }
        if self.must_go_after_auth(effect, now) {
            return Verdict::Wait;
        }
        self.last_activity = now;
        self.mid_request = true;
        self.prefix = false;
        if std::mem::take(&mut self.skip_next) {
            return self.admit_skipped(effect);
        }
        if self.multi { self.admit_in_transaction(effect) } else { self.admit_plain(effect, request) }
    }

    /// A whole request that is known to be answered by one reply and to change nothing else. `false`: not now.
    pub fn admit_ordinary(&mut self, now: Timestamp) -> bool {
        if self.holds_client() || self.opaque.is_some() {
            return false;
        }
        self.last_activity = now;
        self.slots.push_back(Slot::Plain);
        true
    }

    /// Commands after which no `AUTH` can follow for long go after one, if a newer token is there.
    fn must_go_after_auth(&mut self, effect: Effect, now: Timestamp) -> bool {
        let delays = matches!(effect, Effect::Blocking | Effect::Monitor | Effect::ReplyOff | Effect::Foreign)
            || (matches!(effect, Effect::Subscribe(_)) && !self.resp3);
        let in_time = self.offer.is_some_and(|offer| now < offer.window.last);
        if !delays || !in_time || !self.injectable() {
            return false;
        }
        self.held = true;
        true
    }

    fn admit_opaque(&mut self, effect: Effect) -> Verdict {
        self.mid_request = true;
        match effect {
            Effect::Auth => Verdict::ForwardOwnAuth,
            Effect::Hello => Verdict::ForwardWithoutCredentials,
            // The identity would be lost with no way to see when to restore it.
            Effect::Reset => {
                self.mid_request = false;
                self.closing = Some(CloseReason::CannotReauthenticate);
                Verdict::Close
            }
            _ => Verdict::Forward,
        }
    }

    /// The command after `CLIENT REPLY SKIP`: it has no reply.
    fn admit_skipped(&mut self, effect: Effect) -> Verdict {
        match effect {
            Effect::Plain
            | Effect::Blocking
            | Effect::Select
            | Effect::SetName
            | Effect::Topology
            | Effect::Tracking => {
                self.tracking |= matches!(effect, Effect::Tracking);
                self.unsure |= matches!(effect, Effect::Select | Effect::SetName);
                self.unsettled = Some(self.slots.len());
                Verdict::Forward
            }
            Effect::ReplyOn => {
                self.unsettled = Some(self.slots.len());
                self.expect(Slot::Plain)
            }
            _ => {
                self.go_opaque(Opaque::Uncounted);
                self.admit_opaque(effect)
            }
        }
    }

    fn admit_in_transaction(&mut self, effect: Effect) -> Verdict {
        match effect {
            Effect::Exec => self.multi = false,
            Effect::Discard => {
                self.multi = false;
                return self.expect(Slot::Discard);
            }
            Effect::Reset => return self.reset(),
            // Queued, it would add an element to EXEC's reply; left out, one would be missing.
            Effect::Auth => {
                self.slots.push_back(Slot::Local(LocalAnswer::NoAuthInTransaction));
                return Verdict::Answer;
            }
            Effect::Hello => {
                self.go_opaque(Opaque::InTransaction);
                return Verdict::ForwardWithoutCredentials;
            }
            Effect::Subscribe(_)
            | Effect::Unsubscribe(_)
            | Effect::Monitor
            | Effect::ReplyOn
            | Effect::ReplyOff
            | Effect::ReplySkip
            | Effect::Foreign => {
                self.go_opaque(Opaque::InTransaction);
                return Verdict::Forward;
            }
            Effect::Tracking => self.tracking = true,
            Effect::Select | Effect::SetName => self.unsure = true,
            Effect::Plain | Effect::Multi | Effect::OneShot | Effect::Blocking | Effect::Topology => {}
        }
        self.expect(Slot::Plain)
    }

    fn admit_plain(&mut self, effect: Effect, request: &Request<'_>) -> Verdict {
        let confirmations = request.argc.saturating_sub(1);
        match effect {
            Effect::Auth => {
                self.slots.push_back(Slot::Local(LocalAnswer::Ok));
                return Verdict::Answer;
            }
            Effect::Hello => {
                let version = match request.first.as_deref() {
                    Some(b"2") => Some(2),
                    Some(b"3") => Some(3),
                    _ => None,
                };
                self.wish(request.second.as_deref());
                self.expect(Slot::Hello(version));
                return Verdict::ForwardWithoutCredentials;
            }
            Effect::Reset => return self.reset(),
            Effect::Multi => self.multi = true,
            Effect::Discard => return self.expect(Slot::Discard),
            Effect::OneShot => self.prefix = true,
            Effect::ReplyOff => {
                self.go_opaque(Opaque::ReplyOff);
                return Verdict::Forward;
            }
            Effect::ReplySkip => {
                (self.skip_next, self.prefix) = (true, true);
                return Verdict::Forward;
            }
            Effect::Tracking => self.tracking = true,
            Effect::Subscribe(family) if confirmations > 0 => {
                return self.expect(Slot::Subscribe(family, confirmations));
            }
            Effect::Unsubscribe(family) => return self.expect(Slot::Unsubscribe(family, confirmations)),
            Effect::Monitor => return self.expect(Slot::Monitor),
            Effect::Topology => return self.expect(Slot::Topology),
            Effect::Foreign => {
                self.go_opaque(Opaque::Foreign);
                return Verdict::Forward;
            }
            Effect::Select => {
                self.wish(request.first.as_deref());
                return self.expect(Slot::Select);
            }
            Effect::SetName => {
                self.wish(request.second.as_deref());
                return self.expect(Slot::SetName);
            }
            Effect::Plain | Effect::Exec | Effect::Blocking | Effect::ReplyOn | Effect::Subscribe(_) => {}
        }
        self.expect(Slot::Plain)
    }

    /// Keeps what a replacement connection would have to be told, until the server has said yes.
    fn wish(&mut self, value: Option<&[u8]>) {
        self.unsure |= value.is_some_and(|value| value.len() > MAX_NAME);
        self.wishes.push_back(value.filter(|value| value.len() <= MAX_NAME).map(<[u8]>::to_vec));
    }

    fn reset(&mut self) -> Verdict {
        self.resetting = true;
        self.expect(Slot::Reset)
    }

    fn expect(&mut self, slot: Slot) -> Verdict {
        self.slots.push_back(slot);
        Verdict::Forward
    }
}
