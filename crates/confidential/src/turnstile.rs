//! One at a time, for those who want the same: the first goes to the token endpoint, the others get what it got.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entrant_types::{Code, Fault, Retry, Timestamp, Whose};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::SilentError;

/// So many may wait at one turnstile; more are refused at once.
const MAX_WAITERS: usize = 1000;
/// Longer than one exchange with the token endpoint and one lost lease together.
const WAIT_LIMIT: Duration = Duration::from_secs(30);
/// After a failure nobody asks again within this time while an older token still serves.
const PAUSE_WITH_TOKEN: Duration = Duration::from_secs(30);
/// So many turnstiles are remembered; idle ones beyond it are forgotten.
const MAX_TURNSTILES: usize = 10_000;

/// Admits one at a time and remembers how the last one fared.
#[derive(Debug)]
pub(crate) struct Turnstile {
    gate: Semaphore,
    waiters: AtomicUsize,
    past: Mutex<Past>,
}

#[derive(Debug, Default)]
struct Past {
    passages: u64,
    failure: Option<Failure>,
    /// Who of this process last took the session's lease.
    holder: Option<String>,
}

#[derive(Clone, Debug)]
struct Failure {
    passage: u64,
    at: Timestamp,
    error: SilentError,
}

impl Default for Turnstile {
    fn default() -> Self {
        Self { gate: Semaphore::new(1), waiters: AtomicUsize::new(0), past: Mutex::default() }
    }
}

/// The right to go to the token endpoint. Dropping it without a word lets the next one go.
pub(crate) struct Turn<'a> {
    turnstile: &'a Turnstile,
    _permit: SemaphorePermit<'a>,
}

/// One of the bounded places to wait in.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turnstile {
    /// Waits for the turn. Whoever waited while another failed gets that failure: it was asked on behalf of all.
    pub(crate) async fn enter(&self, now: Timestamp) -> Result<Turn<'_>, SilentError> {
        let before = self.past().passages;
        self.throttled(now)?;
        let place = Place(&self.waiters);
        if place.0.fetch_add(1, Ordering::Relaxed) >= MAX_WAITERS {
            return Err(SilentError::Unavailable(busy("Too many requests wait for the same token.")));
        }
        let permit = match tokio::time::timeout(WAIT_LIMIT, self.gate.acquire()).await {
            Ok(Ok(permit)) => permit,
            _ => return Err(SilentError::Unavailable(busy("The token did not come in time."))),
        };
        if let Some(failure) = self.past().failure.as_ref().filter(|failure| failure.passage > before) {
            return Err(failure.error.clone());
        }
        Ok(Turn { turnstile: self, _permit: permit })
    }

    /// The turn, if nobody has it and nobody failed just now: for those who have a token that still serves.
    pub(crate) fn try_enter(&self, now: Timestamp) -> Option<Turn<'_>> {
        let permit = self.gate.try_acquire().ok()?;
        let past = self.past();
        if let Some(failure) = &past.failure {
            let wait = failure.wait().max(PAUSE_WITH_TOKEN);
            if now >= failure.at && now < failure.at + wait {
                return None;
            }
        }
        drop(past);
        Some(Turn { turnstile: self, _permit: permit })
    }

    /// A provider that said when to come back is not asked before. A refusal without such a word is never
    /// remembered: whoever mends the configuration sees the effect at once.
    fn throttled(&self, now: Timestamp) -> Result<(), SilentError> {
        match &self.past().failure {
            Some(failure) if now >= failure.at && now < failure.at + failure.wait() => Err(failure.error.clone()),
            _ => Ok(()),
        }
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure {
    fn wait(&self) -> Duration {
        if let Retry::After(wait) = self.error.fault().retry { wait } else { Duration::ZERO }
    }
}

impl Turn<'_> {
    /// Remembers under which name the session's lease is taken.
    pub(crate) fn takes_lease(&self, holder: &str) {
        self.turnstile.past().holder = Some(holder.to_owned());
    }

    /// Whether a lease was taken by an earlier turn of this process: it is over, so its caller must have gone
    /// away in the middle (a browser that was closed), and the lease need not be waited for.
    pub(crate) fn was_abandoned(&self, holder: &str) -> bool {
        self.turnstile.past().holder.as_deref() == Some(holder)
    }

    /// It went well: earlier failures are forgotten.
    pub(crate) fn succeeded(self) {
        let mut past = self.turnstile.past();
        past.passages += 1;
        past.failure = None;
    }

    /// It failed, for all who wait.
    pub(crate) fn failed(self, error: &SilentError, now: Timestamp) {
        let mut past = self.turnstile.past();
        past.passages += 1;
        past.failure = Some(Failure { passage: past.passages, at: now, error: error.clone() });
    }
}

/// Turnstiles by name.
#[derive(Debug, Default)]
pub(crate) struct Turnstiles(Mutex<HashMap<String, Arc<Turnstile>>>);

impl Turnstiles {
    pub(crate) fn of(&self, name: &str) -> Arc<Turnstile> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turnstile) = all.get(name) {
            return Arc::clone(turnstile);
        }
        if all.len() >= MAX_TURNSTILES {
            all.retain(|_, turnstile| Arc::strong_count(turnstile) > 1);
        }
        let turnstile = Arc::new(Turnstile::default());
        all.insert(name.to_owned(), Arc::clone(&turnstile));
        turnstile
    }
}

fn busy(what: &str) -> Fault {
    Fault::new(Whose::Provider, what, "Try again in a moment.").code(Code::Entrant("token_wait"))
}
