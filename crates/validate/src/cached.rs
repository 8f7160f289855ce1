//! A value fetched from outside and kept: stale while errors last, one fetch at a time, a floor between fetches.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use entrant_types::{BoxFuture, Clock, Code, Fault, Retry, Timestamp, Whose};
use tokio::sync::watch;

/// How long a fetched document serves, and how often it may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// After this long the next reader starts a new fetch, and is served the held value meanwhile.
    pub fresh_for: Duration,
    /// After this long without a successful fetch the held value is no longer served: a key that its issuer
    /// withdrew must not live as long as an outage does.
    pub stale_limit: Duration,
    /// At least this long between two fetches, whether they went well or not, but for one renewal after an ordinary
    /// fetch: a key may be rolled a moment after the set was read. The first failures in a row wait less (a
    /// sixteenth, an eighth, a quarter, a half), so that a cold start recovers soon.
    pub floor: Duration,
}

impl Default for Freshness {
    /// One day, seven days, one minute. Entra's guidance for signing keys is a day's cache with a refetch on an
    /// unknown key id that is limited in rate (signing key rollover, Microsoft identity platform).
    fn default() -> Self {
        Self {
            fresh_for: Duration::from_secs(24 * 3600),
            stale_limit: Duration::from_secs(7 * 24 * 3600),
            floor: Duration::from_secs(60),
        }
    }
}

/// A fetched value and when it came.
#[derive(Debug)]
struct Held<T> {
    value: Arc<T>,
    fetched: Timestamp,
}

type Outcome<T> = Option<Result<Arc<T>, Fault>>;
type Load<T> = dyn Fn(Option<Arc<T>>) -> BoxFuture<'static, Result<T, Fault>> + Send + Sync;

/// The fetch in progress and the pace of the next one.
#[derive(Debug)]
struct Pace<T> {
    flight: Option<watch::Receiver<Outcome<T>>>,
    last_start: Option<Timestamp>,
    last_renewal: Option<Timestamp>,
    failures: u32,
    last_fault: Option<Fault>,
}

/// Why something is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Nothing is held, or it is no longer fresh.
    Age,
    /// What is held does not suffice.
    Insufficient,
}

/// One document from outside, shared by all who need it.
pub(crate) struct Cached<T> {
    clock: Arc<dyn Clock>,
    freshness: Freshness,
    held: ArcSwapOption<Held<T>>,
    pace: Mutex<Pace<T>>,
    load: Box<Load<T>>,
}

/// Clears the flight when its task ends, however it ends: a task that dies must not block all later fetches.
struct Landing<T: Send + Sync + 'static> {
    cached: Arc<Cached<T>>,
    outcome: Result<Arc<T>, Fault>,
    waiters: watch::Sender<Outcome<T>>,
}

impl<T: Send + Sync + 'static> Drop for Landing<T> {
    fn drop(&mut self) {
        let outcome = self.outcome.clone();
        {
            let mut pace = self.cached.lock();
            pace.flight = None;
            match &outcome {
                Ok(_) => (pace.failures, pace.last_fault) = (0, None),
                Err(fault) => {
                    tracing::warn!(%fault, "an issuer's document could not be fetched; what is held serves on");
                    pace.failures = pace.failures.saturating_add(1);
                    pace.last_fault = Some(fault.clone());
                }
            }
        }
        self.waiters.send_replace(Some(outcome));
    }
}

impl<T: Send + Sync + 'static> Cached<T> {
    /// Nothing is fetched until the first reader comes. `load` is given the value held so far.
    pub(crate) fn new<F, L>(clock: Arc<dyn Clock>, freshness: Freshness, load: L) -> Arc<Self>
    where
        F: Future<Output = Result<T, Fault>> + Send + 'static,
        L: Fn(Option<Arc<T>>) -> F + Send + Sync + 'static,
    {
        Arc::new(Self {
            clock,
            freshness,
            held: ArcSwapOption::empty(),
            pace: Mutex::new(Pace {
                flight: None,
                last_start: None,
                last_renewal: None,
                failures: 0,
                last_fault: None,
            }),
            load: Box::new(move |previous| Box::pin(load(previous))),
        })
    }

    /// The held value while it may be served, without waiting; starts a fetch once it is no longer fresh.
    pub(crate) fn current(self: &Arc<Self>) -> Option<Arc<T>> {
        let held = self.held.load();
        let held = held.as_ref()?;
        let now = self.clock.now();
        if now >= held.fetched + self.freshness.fresh_for {
            let _started_or_paced = self.fetch(now, Why::Age);
        }
        (now < held.fetched + self.freshness.stale_limit).then(|| Arc::clone(&held.value))
    }

    /// The held value, or the first one.
    pub(crate) async fn get(self: &Arc<Self>) -> Result<Arc<T>, Fault> {
        if let Some(value) = self.current() {
            return Ok(value);
        }
        let flight = self.fetch(self.clock.now(), Why::Age);
        match flight {
            Some(flight) => landed(flight).await,
            None => Err(self.paced()),
        }
    }

    /// A value fetched now because the held one does not suffice; `None` when the floor forbids a fetch.
    pub(crate) async fn renew(self: &Arc<Self>) -> Option<Result<Arc<T>, Fault>> {
        let flight = self.fetch(self.clock.now(), Why::Insufficient)?;
        Some(landed(flight).await)
    }

    /// The fetch in progress, or a new one unless the floor forbids it. The task of its own survives a caller
    /// that goes away.
    fn fetch(self: &Arc<Self>, now: Timestamp, why: Why) -> Option<watch::Receiver<Outcome<T>>> {
        let mut pace = self.lock();
        if let Some(flight) = &pace.flight {
            return Some(flight.clone());
        }
        let renewal = why == Why::Insufficient;
        let last = if renewal && pace.failures == 0 { pace.last_renewal } else { pace.last_start };
        if let Some(last) = last {
            // A clock that stepped back must not lengthen the wait.
            if now >= last && now < last + self.wait(pace.failures) {
                return None;
            }
        }
        let (waiters, flight) = watch::channel(None);
        pace.last_start = Some(now);
        if renewal {
            pace.last_renewal = Some(now);
        }
        pace.flight = Some(flight.clone());
        drop(pace);
        let cached = Arc::clone(self);
        let mut landing = Landing { cached: Arc::clone(self), outcome: Err(lost()), waiters };
        tokio::spawn(async move {
            let previous = cached.held.load_full().map(|held| Arc::clone(&held.value));
            landing.outcome = (cached.load)(previous).await.map(Arc::new);
            if let Ok(value) = &landing.outcome {
                let fetched = cached.clock.now();
                cached.held.store(Some(Arc::new(Held { value: Arc::clone(value), fetched })));
            }
        });
        Some(flight)
    }

    fn wait(&self, failures: u32) -> Duration {
        match failures {
            0 => self.freshness.floor,
            1..5 => self.freshness.floor / (1 << (5 - failures)),
            _ => self.freshness.floor,
        }
    }

    fn paced(&self) -> Fault {
        let pace = self.lock();
        let wait = match pace.last_start {
            Some(last) => self.clock.now().until(last + self.wait(pace.failures)),
            None => Duration::ZERO,
        };
        let fault = pace.last_fault.clone().unwrap_or_else(|| {
            Fault::new(Whose::Provider, "The document is too old to be used.", "Try again in a minute.")
        });
        fault.retry(Retry::After(wait))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pace<T>> {
        // The lock guards plain data that is never left half written.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn landed<T>(mut flight: watch::Receiver<Outcome<T>>) -> Result<Arc<T>, Fault> {
    match flight.wait_for(Option::is_some).await.as_deref() {
        Ok(Some(outcome)) => outcome.clone(),
        Ok(None) | Err(_) => Err(lost()),
    }
}

fn lost() -> Fault {
    Fault::new(Whose::Entrant, "A fetch ended without an answer.", "Please report this.")
        .code(Code::Entrant("fetch_lost"))
}
