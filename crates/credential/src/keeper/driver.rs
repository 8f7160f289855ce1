//! Drives the refresh machine: waits, fetches, publishes. It has no way to end.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use entrant_proto::refresh::{Action, Event, State};
use entrant_types::{AccessToken, Code, Fault, Outside, Retry, Timestamp, Whose, metric};
use futures_util::FutureExt;
use tokio::sync::watch;

use super::{Shared, Snapshot};

/// The clock is looked at this often by a monotonic timer, so that one that was set back is noticed.
const CLOCK_CHECK: Duration = Duration::from_secs(60);
/// A skew beyond this is told: Entra allows five minutes, and Redis closes connections by its own clock.
const SKEW_WORTH_TELLING_MILLIS: u64 = 30_000;

/// Fetches and refreshes a keeper's token for as long as it is polled.
#[derive(Debug)]
pub struct KeeperDriver {
    shared: Arc<Shared>,
    snapshots: watch::Sender<Snapshot>,
    outside: Outside,
}

impl KeeperDriver {
    pub(super) fn new(shared: Arc<Shared>, snapshots: watch::Sender<Snapshot>, outside: &Outside) -> Self {
        Self { shared, snapshots, outside: outside.clone() }
    }

    /// Runs for ever: spawn it, and drop it to stop. Errors change the wait, never the existence.
    pub async fn run(self) -> Infallible {
        let mut state = State::new(self.now());
        let mut action = Action::Wait(self.now());
        loop {
            let (event, answer) = match action {
                Action::Wait(moment) => (self.wait(moment).await, None),
                Action::Fetch => {
                    let answer = self.fetch().await;
                    (self.event(&answer), Some(answer))
                }
            };
            let jitter = self.outside.entropy.fraction();
            (state, action) = state.step(&self.shared.options.policy, event, self.now(), jitter);
            self.publish(answer, &state, action);
        }
    }

    fn now(&self) -> Timestamp {
        self.outside.clock.now()
    }

    async fn wait(&self, moment: Timestamp) -> Event {
        let moment = self.outside.clock.sleep_until(moment);
        tokio::select! {
            _ = tokio::time::timeout(CLOCK_CHECK, moment) => Event::Woke,
            () = self.shared.wake.notified() => {
                if self.shared.asked.swap(false, Ordering::AcqRel) { Event::Asked } else { Event::Woke }
            }
        }
    }

    /// Asks the source once. Whatever the source does, an answer comes: it may hang or panic.
    async fn fetch(&self) -> Result<AccessToken, Fault> {
        let started = self.now();
        let limit = self.shared.options.fetch_limit;
        // The call is inside the guarded future too: a source may panic before it returns its own.
        let asked = AssertUnwindSafe(async { self.shared.source.fetch(&self.shared.scope).await }).catch_unwind();
        let answer = match tokio::time::timeout(limit, asked).await {
            Ok(Ok(outcome)) => outcome.into_result(self.shared.source.name()),
            Ok(Err(_)) => Err(self.source_fault("source_panicked", "stopped with a defect", Whose::Entrant)),
            Err(_) => {
                let what = format!("gave no answer within {} s", limit.as_secs());
                Err(self.source_fault("source_timeout", &what, Whose::Provider))
            }
        };
        // Whoever asked while this fetch was under way has been served by it.
        self.shared.asked.store(false, Ordering::Release);
        let now = self.now();
        let answer = answer.and_then(|token| {
            if token.lifetime.is_valid(now) {
                return Ok(token);
            }
            Err(self.source_fault("token_already_expired", "gave a token that has already expired", Whose::Provider))
        });
        metrics::histogram!(metric::TOKEN_REQUEST_SECONDS, &self.labels()).record(started.until(now).as_secs_f64());
        answer
    }

    fn source_fault(&self, code: &'static str, did: &str, whose: Whose) -> Fault {
        let what = format!("the credential source {} {did}", self.shared.source.name());
        Fault::new(whose, what, "Requests are repeated; if it lasts, check the source's endpoint and both clocks.")
            .code(Code::Entrant(code))
    }

    fn event(&self, answer: &Result<AccessToken, Fault>) -> Event {
        match answer {
            Ok(token) => {
                let held = self.snapshots.borrow();
                let unchanged = held.token.as_ref().is_some_and(|held| held.secret == token.secret);
                Event::Token { lifetime: token.lifetime, unchanged }
            }
            Err(fault) => Event::Failed {
                retry_after: if let Retry::After(wait) = fault.retry { Some(wait) } else { None },
                hopeless: fault.retry == Retry::Never,
            },
        }
    }

    fn publish(&self, answer: Option<Result<AccessToken, Fault>>, state: &State, action: Action) {
        let before = self.snapshots.borrow().clone();
        let mut after = before.clone();
        after.next_attempt = if action == Action::Fetch { None } else { Some(state.next_fetch()) };
        if let Some(answer) = answer {
            after.attempts += 1;
            after.skew_millis = self.shared.source.skew_millis();
            self.tell_skew(&before, &after);
            self.tell(&answer, &before, &after);
            match answer {
                Ok(token) => {
                    after.last_fault = None;
                    if state.held() == Some(token.lifetime) {
                        let renewed = before.token.as_ref().is_none_or(|held| held.secret != token.secret);
                        after.generation += u64::from(renewed);
                        after.token = Some(token);
                    }
                }
                Err(fault) => after.last_fault = Some(fault),
            }
        }
        // A clock that was set back moves the held token's end with it.
        if let (Some(token), Some(held)) = (&mut after.token, state.held()) {
            token.lifetime = held;
        }
        if after == before {
            return;
        }
        if after.token != before.token {
            self.shared.current.store(after.token.clone().map(Arc::new));
        }
        self.snapshots.send_replace(after);
    }

    fn labels(&self) -> [(&'static str, String); 2] {
        [
            ("source", self.shared.source.name().to_owned()),
            ("resource", self.shared.scope.resource().as_str().to_owned()),
        ]
    }

    fn tell(&self, answer: &Result<AccessToken, Fault>, before: &Snapshot, after: &Snapshot) {
        let (source, scope, labels) = (self.shared.source.name(), self.shared.scope.as_str(), self.labels());
        match answer {
            Ok(token) => {
                let expires = token.lifetime.expires;
                metrics::counter!(metric::TOKEN_ACQUISITIONS, &labels).increment(1);
                metrics::gauge!(metric::TOKEN_EXPIRY, &labels).set(expires.secs() as f64);
                match &before.token {
                    None => tracing::info!(source, scope, %expires, "token acquired"),
                    Some(held) if held.secret == token.secret => {
                        tracing::debug!(source, scope, %expires, "the source repeated the token already held");
                    }
                    Some(_) => tracing::info!(source, scope, new_expiry = %expires, "token refreshed"),
                }
            }
            Err(fault) => {
                metrics::counter!(metric::TOKEN_ACQUISITION_FAILURES, &labels).increment(1);
                let next = after.next_attempt.unwrap_or_else(|| self.now());
                let valid = before.token.as_ref().filter(|token| token.lifetime.is_valid(self.now()));
                if let Some(token) = valid {
                    metrics::counter!(metric::TOKEN_REFRESH_FAILURES, &labels).increment(1);
                    let expires = token.lifetime.expires;
                    tracing::warn!(source, scope, %fault, %next, held_until = %expires, "token refresh failed");
                } else {
                    tracing::error!(source, scope, %fault, %next, "token acquisition failed");
                }
            }
        }
    }

    fn tell_skew(&self, before: &Snapshot, after: &Snapshot) {
        let large = |skew: Option<i64>| skew.filter(|skew| skew.unsigned_abs() > SKEW_WORTH_TELLING_MILLIS);
        if let Some(skew) = large(after.skew_millis)
            && large(before.skew_millis).is_none()
        {
            let seconds = skew as f64 / 1000.0;
            tracing::warn!(
                source = self.shared.source.name(),
                provider_ahead_by_seconds = seconds,
                "this machine's clock and the provider's differ: set the clock by NTP"
            );
        }
    }
}
