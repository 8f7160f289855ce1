//! Whose a reply is: the client's, or the answer to something injected.

use entrant_types::Timestamp;

use super::command::Family;
use super::machine::{Attempt, Machine, Opaque, Slot};
use super::notice::Notice;
use super::step::CloseReason;

/// What to do with a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Send it to the client.
    Client,
    /// It answers something injected: drop it.
    Swallow,
    /// Drop it; the identity was renewed and now ends then.
    Confirmed(Timestamp),
    /// Drop it; the new token was refused, the old identity stays. `silent`: the server sent no reply at all.
    Refused {
        /// The first word of the error, such as `WRONGPASS`; empty when silent.
        code: String,
        /// No reply came (redis/redis#15640): the sentinel gave it away.
        silent: bool,
    },
}

/// The reply to a request that is answered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalAnswer {
    /// `+OK`
    Ok,
    /// The client's `AUTH` inside `MULTI`.
    NoAuthInTransaction,
}

impl LocalAnswer {
    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Ok => b"+OK\r\n",
            Self::NoAuthInTransaction => b"-ERR AUTH inside MULTI is not supported: the proxy authenticates\r\n",
        }
    }
}

/// The first word of an error reply, `ERR ` before another upper-case word left out (Azure prints
/// `ERR WRONGPASS …`). `None`: not an error.
#[must_use]
pub fn error_code(frame: &[u8]) -> Option<&str> {
    let text = match frame {
        [b'-', text @ ..] => text,
        [b'!', rest @ ..] => rest.get(rest.iter().position(|byte| *byte == b'\n')? + 1..)?,
        _ => return None,
    };
    let mut words = text.split(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    let first = words.next().unwrap_or_default();
    let upper = |word: &&[u8]| word.len() > 2 && word.iter().all(u8::is_ascii_uppercase);
    let code = if first == b"ERR" { words.next().filter(upper).unwrap_or(first) } else { first };
    Some(std::str::from_utf8(code).unwrap_or("ERR"))
}

impl Machine {
    /// Whether the next frame that is not a push answers something injected, so that it must not be passed on
    /// before [`reply`](Self::reply) has seen it whole.
    #[must_use]
    pub fn expects_own(&self) -> bool {
        matches!(self.slots.front(), Some(Slot::Auth | Slot::Sentinel | Slot::Ping))
    }

    /// A reply of the server has come in whole. `frame` is its beginning, enough to hold the name of a
    /// subscription, attributes left out.
    pub fn reply(&mut self, frame: &[u8], now: Timestamp) -> Delivery {
        self.last_activity = now;
        if self.opaque.is_some() {
            return Delivery::Client;
        }
        // No server sends attributes unasked; behind one, the beginning of the reply itself cannot be seen.
        if frame.first() == Some(&b'|') {
            return if self.expects_own() { self.doubt() } else { self.lose_count() };
        }
        if self.is_out_of_band(frame) {
            return Delivery::Client;
        }
        let error = error_code(frame);
        let Some(slot) = self.slots.pop_front() else { return self.lose_count() };
        if self.skip_was_refused(error) {
            return self.lose_count();
        }
        match slot {
            Slot::Plain | Slot::Topology | Slot::Local(_) => {}
            Slot::Discard => self.multi |= error == Some("NOPERM"),
            Slot::Select => {
                let wish = self.wishes.pop_front().flatten();
                if error.is_none() {
                    self.database = wish;
                }
            }
            Slot::SetName => {
                let wish = self.wishes.pop_front().flatten();
                if error.is_none() {
                    self.name = wish;
                }
            }
            Slot::Hello(version) => {
                let name = self.wishes.pop_front().flatten();
                if error.is_none() && name.is_some() {
                    self.name = name;
                }
                if let (None, Some(version)) = (error, version) {
                    self.resp3 = version == 3;
                }
            }
            Slot::Reset if error.is_none() => self.forget(),
            Slot::Reset => self.resetting = false,
            Slot::Monitor => self.monitor = error.is_none(),
            // Only an error ends a subscription request with a frame of its own.
            Slot::Subscribe(..) | Slot::Unsubscribe(..) if error.is_some() => {}
            Slot::Subscribe(..) | Slot::Unsubscribe(..) => self.go_opaque(Opaque::Uncounted),
            Slot::Auth => return self.auth_answered(frame, error),
            Slot::Sentinel => return self.sentinel_answered(frame, error),
            Slot::Ping => {
                self.ping_deadline = None;
                return Delivery::Swallow;
            }
        }
        Delivery::Client
    }

    /// Whether a frame answers no request: pushes, RESP2 messages, monitor lines. Confirmations of
    /// subscriptions are counted on the way.
    fn is_out_of_band(&mut self, frame: &[u8]) -> bool {
        let kind = frame.first().copied().unwrap_or_default();
        if kind == b'>' {
            if let Some(notice) = Notice::read(frame) {
                self.confirm(notice);
            }
            return true;
        }
        if self.monitor && matches!(frame, [b'+', b'0'..=b'9', ..]) {
            return true;
        }
        let subscribing = matches!(self.slots.front(), Some(Slot::Subscribe(..) | Slot::Unsubscribe(..)));
        if kind != b'*' || self.resp3 || (self.subscriptions.is_empty() && !subscribing) {
            return false;
        }
        match Notice::read(frame) {
            Some(notice) => {
                self.confirm(notice);
                true
            }
            None => false,
        }
    }

    fn confirm(&mut self, notice: Notice<'_>) {
        let (family, subscribed) = match notice {
            Notice::Message => return,
            Notice::Subscribed(family, _) => (family, true),
            Notice::Unsubscribed(family, _) => (family, false),
        };
        self.count_confirmation(family, subscribed);
        match notice {
            Notice::Subscribed(family, name) => self.subscriptions.add(family, name),
            Notice::Unsubscribed(family, Some(name)) => self.subscriptions.remove(family, name),
            Notice::Unsubscribed(_, None) | Notice::Message => {}
        }
    }

    /// One confirmation less to come, if the oldest request is of this kind. Otherwise the server ended the
    /// subscription by itself (a shard channel whose slot has moved).
    fn count_confirmation(&mut self, family: Family, subscribed: bool) {
        let all = u32::try_from(self.subscriptions.count(family)).unwrap_or(u32::MAX).max(1);
        let left = match (self.slots.front_mut(), subscribed) {
            (Some(Slot::Subscribe(own, left)), true) if *own == family => left,
            (Some(Slot::Unsubscribe(own, left)), false) if *own == family => {
                if *left == 0 {
                    *left = all;
                }
                left
            }
            _ => return,
        };
        *left -= 1;
        if *left == 0 {
            self.slots.pop_front();
            self.skip_was_refused(None);
        }
    }

    /// `RESET` was done: user `default`, RESP2, nothing selected, nothing subscribed.
    fn forget(&mut self) {
        (self.identity_lost, self.resetting) = (true, false);
        (self.multi, self.monitor, self.resp3, self.tracking) = (false, false, false, false);
        (self.prefix, self.skip_next, self.unsettled) = (false, false, None);
        (self.database, self.name, self.unsure) = (None, None, false);
        self.subscriptions = super::Subscriptions::default();
    }

    fn auth_answered(&mut self, frame: &[u8], error: Option<&str>) -> Delivery {
        let Some(attempt) = self.attempt.as_mut() else { return self.doubt() };
        if frame.starts_with(b"+OK\r") {
            attempt.answered = Some(true);
            if attempt.nonce.is_some() { Delivery::Swallow } else { self.settle(true, "") }
        } else if let Some(nonce) = attempt.nonce {
            // The AUTH itself may have had no reply: then this is the sentinel's.
            let sentinel = is_sentinel(frame, error, &nonce);
            if sentinel {
                self.slots.retain(|slot| *slot != Slot::Sentinel);
                return self.settle(false, "");
            }
            match error {
                Some(code) => {
                    attempt.answered = Some(false);
                    let generation = attempt.credential.generation;
                    self.refused(generation);
                    Delivery::Refused { code: code.to_owned(), silent: false }
                }
                None => self.doubt(),
            }
        } else if let Some(code) = error {
            self.settle(false, code)
        } else {
            self.doubt()
        }
    }

    fn sentinel_answered(&mut self, frame: &[u8], error: Option<&str>) -> Delivery {
        match self.attempt {
            Some(Attempt { nonce: Some(nonce), answered: Some(ok), .. })
                if error.is_some() || is_sentinel(frame, error, &nonce) =>
            {
                if ok {
                    self.settle(true, "")
                } else {
                    self.attempt = None;
                    Delivery::Swallow
                }
            }
            _ => self.doubt(),
        }
    }

    /// Counts towards the first reply after a `CLIENT REPLY SKIP`. A server that knows no SKIP, or does not allow it,
    /// answers it, and the command behind it as well: then two more replies are to come than were counted.
    fn skip_was_refused(&mut self, error: Option<&str>) -> bool {
        match self.unsettled {
            None => false,
            Some(0) => {
                self.unsettled = None;
                matches!(error, Some("NOPERM" | "ERR"))
            }
            Some(before) => {
                self.unsettled = Some(before - 1);
                false
            }
        }
    }

    fn lose_count(&mut self) -> Delivery {
        self.go_opaque(Opaque::Uncounted);
        Delivery::Client
    }

    /// A reply came that cannot be an answer to an `AUTH`: every later reply might be another caller's.
    fn doubt(&mut self) -> Delivery {
        self.closing = Some(CloseReason::ReplyInDoubt);
        Delivery::Swallow
    }

    fn settle(&mut self, confirmed: bool, code: &str) -> Delivery {
        let Some(attempt) = self.attempt.take() else { return self.doubt() };
        if !confirmed {
            self.refused(attempt.credential.generation);
            return Delivery::Refused { code: code.to_owned(), silent: code.is_empty() };
        }
        self.credential = attempt.credential;
        (self.refusals, self.refused_generation) = (0, None);
        (self.identity_lost, self.held) = (false, false);
        if self.offer.is_some_and(|offer| offer.credential.generation <= self.credential.generation) {
            self.offer = None;
        }
        Delivery::Confirmed(self.credential.expires)
    }
}

/// The echo of the nonce, or the refusal to echo: an access string may forbid `ECHO`, and a busy or loading
/// server refuses it too, while it answers `AUTH`.
fn is_sentinel(frame: &[u8], error: Option<&str>, nonce: &[u8; 16]) -> bool {
    match error {
        Some(code) => matches!(code, "NOPERM" | "BUSY" | "LOADING" | "MASTERDOWN"),
        None => frame.get(5..37) == Some(super::encode::nonce_text(nonce).as_slice()) && frame.starts_with(b"$32\r\n"),
    }
}
