//! Keeps one token of one source fresh: readers never wait while a valid token exists, and the driver
//! never ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use entrant_proto::refresh::Policy;
use entrant_types::{AccessToken, Clock, Code, Fault, Outside, Retry, Scope, Timestamp, Whose};
use tokio::sync::{Notify, watch};

use crate::source::Source;

mod driver;
mod reader;

pub use driver::KeeperDriver;
pub use reader::Reader;

/// How a keeper behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeeperOptions {
    /// When to refresh and to retry.
    pub policy: Policy,
    /// Limit for one fetch. Above any HTTP limit of a source: it only ends a source that hangs.
    pub fetch_limit: Duration,
    /// How long [`Keeper::token`] waits for a first token at most.
    pub wait_limit: Duration,
    /// How many callers may wait at once; more are refused at once.
    pub max_waiters: usize,
}

impl Default for KeeperOptions {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            fetch_limit: Duration::from_secs(60),
            wait_limit: Duration::from_secs(30),
            max_waiters: 10_000,
        }
    }
}

/// What a keeper knows at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// The last token, expired or not: check [`Lifetime::is_valid`](entrant_types::Lifetime::is_valid).
    pub token: Option<AccessToken>,
    /// Counts the tokens that differed from the one before. Zero before the first.
    pub generation: u64,
    /// Why the last fetch failed; `None` after a success.
    pub last_fault: Option<Fault>,
    /// When the next fetch is planned; `None` while one is under way or none was planned yet.
    pub next_attempt: Option<Timestamp>,
    /// Fetches that ended, well or not.
    pub attempts: u64,
    /// By how many milliseconds the provider's clock is ahead of ours, where it said so.
    pub skew_millis: Option<i64>,
}

#[derive(Debug)]
struct Shared {
    source: Arc<dyn Source>,
    scope: Scope,
    options: KeeperOptions,
    clock: Arc<dyn Clock>,
    current: Arc<ArcSwapOption<AccessToken>>,
    asked: AtomicBool,
    wake: Notify,
    waiters: AtomicUsize,
}

/// Reads the token that a [`KeeperDriver`] keeps fresh. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    snapshots: watch::Receiver<Snapshot>,
}

impl Keeper {
    /// A keeper of `source`'s token for `scope`, and the driver that fetches it. Nothing happens until
    /// [`KeeperDriver::run`] is polled.
    #[must_use]
    pub fn new(
        source: Arc<dyn Source>,
        scope: Scope,
        options: KeeperOptions,
        outside: &Outside,
    ) -> (Self, KeeperDriver) {
        let shared = Arc::new(Shared {
            source,
            scope,
            options,
            clock: Arc::clone(&outside.clock),
            current: Arc::new(ArcSwapOption::empty()),
            asked: AtomicBool::new(false),
            wake: Notify::new(),
            waiters: AtomicUsize::new(0),
        });
        let (sender, snapshots) = watch::channel(Snapshot::default());
        let driver = KeeperDriver::new(Arc::clone(&shared), sender, outside);
        (Self { shared, snapshots }, driver)
    }

    /// The token, if there is one that is valid now. Takes no lock.
    #[must_use]
    pub fn current(&self) -> Option<AccessToken> {
        let held = self.shared.current.load();
        let token = held.as_deref()?;
        token.lifetime.is_valid(self.shared.clock.now()).then(|| token.clone())
    }

    /// A view of the token for one task that reads it often.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared.current), Arc::clone(&self.shared.clock))
    }

    /// The token; without a valid one, waits for the fetch that is under way or due. While the last fetch
    /// has failed and the next is not due, its failure is the answer, at once and for every caller.
    ///
    /// # Errors
    /// The failure of the fetch; nobody fetches; too many callers wait; no answer within the limit.
    pub async fn token(&self) -> Result<AccessToken, Fault> {
        if let Some(token) = self.current() {
            return Ok(token);
        }
        let _place = Place::take(&self.shared)?;
        let limit = self.shared.options.wait_limit;
        tokio::time::timeout(limit, self.answer()).await.unwrap_or_else(|_| Err(self.no_answer(limit)))
    }

    /// The token, waiting through failures until `limit` has passed: for a start that may come before its
    /// identity endpoint's.
    ///
    /// # Errors
    /// The last failure; nobody fetches; too many callers wait.
    pub async fn token_within(&self, limit: Duration) -> Result<AccessToken, Fault> {
        let _place = Place::take(&self.shared)?;
        let mut snapshots = self.snapshots.clone();
        let wait = async {
            loop {
                snapshots.mark_unchanged();
                if let Some(token) = self.current() {
                    return Ok(token);
                }
                snapshots.changed().await.map_err(|_| self.nobody_fetches())?;
            }
        };
        match tokio::time::timeout(limit, wait).await {
            Ok(result) => result,
            Err(_) => Err(self.snapshot().last_fault.unwrap_or_else(|| self.no_answer(limit))),
        }
    }

    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshots.borrow().clone()
    }

    /// Follows what is known. The channel closes when the driver is gone.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.snapshots.clone()
    }

    /// Asks for a fresh token ahead of time: the present one was refused. The floor between two fetches is
    /// kept; the present token stays until a new one is there.
    pub fn refresh_now(&self) {
        self.shared.asked.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }

    /// The name of the source; of a chain, of the source it chose.
    #[must_use]
    pub fn source_name(&self) -> &str {
        self.shared.source.name()
    }

    /// The scope.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.shared.scope
    }

    async fn answer(&self) -> Result<AccessToken, Fault> {
        let mut snapshots = self.snapshots.clone();
        loop {
            {
                let seen = snapshots.borrow_and_update();
                let now = self.shared.clock.now();
                if let Some(token) = seen.token.as_ref().filter(|token| token.lifetime.is_valid(now)) {
                    return Ok(token.clone());
                }
                if let (Some(fault), Some(next)) = (&seen.last_fault, seen.next_attempt)
                    && now < next
                {
                    return Err(fault.clone());
                }
            }
            snapshots.changed().await.map_err(|_| self.nobody_fetches())?;
        }
    }

    fn nobody_fetches(&self) -> Fault {
        let what = format!("nobody fetches tokens for {} any more", self.shared.scope);
        Fault::new(Whose::Entrant, what, "Restart the program; if it was not being stopped, report this.")
            .retry(Retry::Never)
            .code(Code::Entrant("keeper_gone"))
    }

    fn no_answer(&self, limit: Duration) -> Fault {
        let what =
            format!("no token for {} within {} s from {}", self.shared.scope, limit.as_secs(), self.source_name());
        let fault = self.snapshot().last_fault;
        fault.unwrap_or_else(|| {
            Fault::new(Whose::Provider, what, "Check that the credential source's endpoint answers.")
                .code(Code::Entrant("token_wait_timeout"))
        })
    }
}

/// One of the bounded places to wait in.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(shared: &'a Shared) -> Result<Self, Fault> {
        let place = Self(&shared.waiters);
        if place.0.fetch_add(1, Ordering::Relaxed) >= shared.options.max_waiters {
            return Err(Fault::new(
                Whose::Provider,
                format!("{} callers already wait for a token for {}", shared.options.max_waiters, shared.scope),
                "Try again once the token endpoint answers.",
            )
            .code(Code::Entrant("too_many_waiters")));
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
