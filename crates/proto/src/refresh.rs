//! The refresh machine: when to ask a provider for a token, and what to do with the answer.
//!
//! Pure: `(state, event, now, jitter)` gives `(state, action)`. It has no final state: every event gives a
//! fetch or a moment to wait for, so whoever drives it has nothing to decide and no way to stop early.
//! Moments are wall-clock; a clock that is set back is noticed, and everything planned moves with it.

use std::time::Duration;

use entrant_types::{Lifetime, Timestamp};

/// How eagerly to refresh and to retry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// The share of a token's remaining life, at receipt, after which it is renewed. 0.75 leaves a quarter
    /// of its life to survive an outage, and is what Redis guidance for Entra asks for.
    pub ratio: f64,
    /// The share of that life over which renewals are spread, so that a fleet started together does not ask
    /// together.
    pub spread: f64,
    /// The least time from an answer to the next request, whatever happens: no endpoint is asked twice a second.
    pub floor: Duration,
    /// The most that failures alone (without a `Retry-After`) delay the next request: an outage's end is
    /// noticed within a minute.
    pub ceiling: Duration,
    /// The share of the valid token's remaining life that one retry may cost: ten tries fit in what is left.
    pub fraction: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            ratio: 0.75,
            spread: 0.05,
            floor: Duration::from_secs(1),
            ceiling: Duration::from_secs(60),
            fraction: 0.1,
        }
    }
}

/// A `Retry-After` beyond an hour is a provider's mistake: a keeper that believed it would outlive its token.
const LONGEST_PENALTY: Duration = Duration::from_secs(3600);
/// A renewal that the issuer wants later than this share of the life is made here: the rest is for retries.
const LATEST: f64 = 0.9;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A wait ended, or the driver looked at the clock for another reason.
    Woke,
    /// Somebody needs a fresh token now (a server refused the present one).
    Asked,
    /// A fetch brought a token.
    Token {
        /// How long it lives.
        lifetime: Lifetime,
        /// Whether it is the token already held.
        unchanged: bool,
    },
    /// A fetch failed.
    Failed {
        /// The provider asks to wait this long.
        retry_after: Option<Duration>,
        /// Whether only a change of configuration can help: then the slowest pace is enough.
        hopeless: bool,
    },
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask the provider, and report [`Event::Token`] or [`Event::Failed`].
    Fetch,
    /// Report [`Event::Woke`] at this moment, or earlier at will.
    Wait(Timestamp),
}

/// Everything the machine remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    held: Option<Lifetime>,
    due: Timestamp,
    not_before: Timestamp,
    strikes: u32,
    asked: bool,
    last: Timestamp,
}

impl State {
    /// No token, and one wanted at once.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self { held: None, due: now, not_before: now, strikes: 0, asked: false, last: now }
    }

    /// The lifetime of the token that the driver must hold and publish. After [`Event::Token`] it equals the
    /// event's exactly if that token is to replace the held one. It shifts when the clock is set back.
    #[must_use]
    pub const fn held(&self) -> Option<Lifetime> {
        self.held
    }

    /// When the next fetch is planned.
    #[must_use]
    pub fn next_fetch(&self) -> Timestamp {
        self.due.max(self.not_before)
    }

    /// Failures and useless answers since the last new token.
    #[must_use]
    pub const fn strikes(&self) -> u32 {
        self.strikes
    }

    /// Takes one event at `now`. `jitter` is a random number in `0.0..1.0`.
    #[must_use]
    pub fn step(mut self, policy: &Policy, event: Event, now: Timestamp, jitter: f64) -> (Self, Action) {
        self.follow_clock(now);
        let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 };
        match event {
            Event::Woke => {}
            Event::Asked => {
                self.asked = true;
                self.due = self.due.min(now);
            }
            Event::Token { lifetime, unchanged } => self.take(policy, lifetime, unchanged, now, jitter),
            Event::Failed { retry_after, hopeless } => {
                self.strike(policy, hopeless, now, jitter);
                if let Some(wait) = retry_after {
                    self.not_before = self.not_before.max(now + wait.min(LONGEST_PENALTY));
                }
            }
        }
        let next = self.next_fetch();
        (self, if now >= next { Action::Fetch } else { Action::Wait(next) })
    }

    fn take(&mut self, policy: &Policy, lifetime: Lifetime, unchanged: bool, now: Timestamp, jitter: f64) {
        let held = self.held.filter(|held| held.is_valid(now));
        // A token that ends sooner than the held one is taken only by whoever found the held one refused.
        let better = held.is_none_or(|held| self.asked || lifetime.expires >= held.expires);
        if !lifetime.is_valid(now) || unchanged && held.is_some() || !better {
            self.strike(policy, false, now, jitter);
            return;
        }
        self.held = Some(lifetime);
        self.asked = false;
        self.strikes = 0;
        self.not_before = now + policy.floor;
        self.due = self.not_before.max(renewal(policy, &lifetime, now, jitter));
    }

    /// Plans the next try: from the floor, twice as long each time, at most a fraction of what is left of a
    /// valid token and never beyond the ceiling.
    fn strike(&mut self, policy: &Policy, hopeless: bool, now: Timestamp, jitter: f64) {
        let ceiling = policy.ceiling.min(LONGEST_PENALTY);
        let doubled = policy.floor.saturating_mul(1 << self.strikes.min(16));
        self.strikes = self.strikes.saturating_add(1);
        let wait = if hopeless { ceiling } else { doubled.min(ceiling) };
        let left = self.held.map_or(Duration::ZERO, |held| held.left(now));
        let wait = if left.is_zero() { wait } else { wait.min(part(left, policy.fraction)) };
        // A fleet that failed together must not come back together.
        let wait = part(wait, 0.8) + part(wait, 0.4 * jitter);
        self.asked = false;
        self.not_before = now + policy.floor;
        self.due = now + wait.max(policy.floor);
    }

    /// A clock that went back by some span takes every planned moment with it, lifetimes included: what was
    /// an hour away is an hour away still. (A jump ahead looks like a suspended machine, and ends waits.)
    fn follow_clock(&mut self, now: Timestamp) {
        let back = now.until(self.last);
        if !back.is_zero() {
            self.due = self.due - back;
            self.not_before = self.not_before - back;
            self.held = self.held.map(|held| Lifetime {
                received: held.received - back,
                refresh_at: held.refresh_at.map(|at| at - back),
                expires: held.expires - back,
            });
        }
        self.last = now;
    }
}

/// When to renew: where the issuer asked for it, else after the policy's share of what is left at receipt.
fn renewal(policy: &Policy, lifetime: &Lifetime, now: Timestamp, jitter: f64) -> Timestamp {
    let share = |share: f64| part(lifetime.left(now), share);
    let planned = match lifetime.refresh_at {
        Some(at) => now.until(at) + share(policy.spread * jitter),
        None => share(policy.ratio - policy.spread * jitter),
    };
    now + planned.min(share(LATEST))
}

/// A share of a span; a share that is no number is none of it, and none exceeds the whole.
fn part(span: Duration, share: f64) -> Duration {
    if share.is_nan() { Duration::ZERO } else { span.mul_f64(share.clamp(0.0, 1.0)) }
}
