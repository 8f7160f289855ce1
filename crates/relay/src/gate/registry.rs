//! The live connections: who they are, and the moment at which each must be closed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use entrant_types::{Clock, ObjectId, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::authenticate::Identity;

/// Why the gate closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Its token expired.
    Expired,
    /// Nothing was sent either way for the idle limit.
    Idle,
    /// Its access was taken away: revoked, or its policy assignment deleted.
    Revoked,
    /// The gate ends.
    Shutdown,
    /// The client closed it, or its network did.
    Client,
    /// The Redis behind the gate closed it, or cannot be reached.
    Upstream,
    /// No TLS handshake and AUTH within the time limit.
    AuthTimeout,
    /// The TLS handshake failed.
    Tls,
    /// Bytes that are not RESP, or beyond a limit.
    Protocol,
    /// More connections than the limit.
    TooMany,
    /// A fault switch.
    Injected,
}

impl CloseReason {
    /// One word, for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Idle => "idle",
            Self::Revoked => "revoked",
            Self::Shutdown => "shutdown",
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::AuthTimeout => "auth_timeout",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::TooMany => "too_many",
            Self::Injected => "injected",
        }
    }
}

/// A live connection as the console shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionView {
    /// Counts from 1 in the order of arrival.
    pub id: u64,
    /// Where the client is.
    pub peer: SocketAddr,
    /// When it connected.
    pub opened: Timestamp,
    /// Who it is and until when; `None` before AUTH.
    pub identity: Option<Identity>,
}

/// One live connection.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    opened: Timestamp,
    identity: Mutex<Option<Identity>>,
    last_active: AtomicI64,
    /// The moment of this connection's entry in the heap that counts; earlier entries were overtaken.
    scheduled: AtomicI64,
    pub(super) cancel: CancellationToken,
    reason: OnceLock<CloseReason>,
}

impl Live {
    pub(super) fn identity(&self) -> Option<Identity> {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was sent, either way.
    pub(super) fn touch(&self, now: Timestamp) {
        self.last_active.store(now.millis(), Ordering::Relaxed);
    }

    /// Asks the connection's task to end it; the first reason counts.
    pub(super) fn close(&self, reason: CloseReason) {
        // A reason that is set already stays.
        let _ = self.reason.set(reason);
        self.cancel.cancel();
    }

    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        self.reason.get().copied()
    }

    fn deadline(&self, idle_limit: Duration) -> (Timestamp, CloseReason) {
        let idle = Timestamp::from_millis(self.last_active.load(Ordering::Relaxed)) + idle_limit;
        match self.identity() {
            Some(identity) if identity.expires <= idle => (identity.expires, CloseReason::Expired),
            _ => (idle, CloseReason::Idle),
        }
    }
}

/// All live connections of a gate.
#[derive(Debug)]
pub(super) struct Registry {
    clock: Arc<dyn Clock>,
    idle_limit: Duration,
    next_id: AtomicU64,
    live: Mutex<HashMap<u64, Arc<Live>>>,
    heap: Mutex<BinaryHeap<Reverse<(Timestamp, u64)>>>,
    earlier: Notify,
}

impl Registry {
    pub(super) fn new(clock: Arc<dyn Clock>, idle_limit: Duration) -> Self {
        Self {
            clock,
            idle_limit,
            next_id: AtomicU64::new(1),
            live: Mutex::default(),
            heap: Mutex::default(),
            earlier: Notify::new(),
        }
    }

    pub(super) fn open(&self, peer: SocketAddr, cancel: CancellationToken) -> Arc<Live> {
        let now = self.clock.now();
        let live = Arc::new(Live {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            peer,
            opened: now,
            identity: Mutex::new(None),
            last_active: AtomicI64::new(now.millis()),
            scheduled: AtomicI64::new(i64::MAX),
            cancel,
            reason: OnceLock::new(),
        });
        self.live().insert(live.id, Arc::clone(&live));
        self.schedule(&live);
        live
    }

    pub(super) fn forget(&self, live: &Live) {
        self.live().remove(&live.id);
    }

    pub(super) fn len(&self) -> usize {
        self.live().len()
    }

    /// Says who a connection is from now on; `None` after RESET.
    pub(super) fn identify(&self, live: &Live, identity: Option<Identity>) {
        *live.identity.lock().unwrap_or_else(PoisonError::into_inner) = identity;
        self.schedule(live);
    }

    /// Closes the connections of everybody for whom `ends` holds; returns how many.
    pub(super) fn close_where(&self, reason: CloseReason, ends: impl Fn(ObjectId) -> bool) -> usize {
        let live: Vec<_> = self.live().values().cloned().collect();
        let ending = live.iter().filter(|live| live.identity().is_some_and(|identity| ends(identity.object_id)));
        ending.map(|live| live.close(reason)).count()
    }

    pub(super) fn views(&self) -> Vec<ConnectionView> {
        let mut views: Vec<_> = self
            .live()
            .values()
            .map(|live| ConnectionView { id: live.id, peer: live.peer, opened: live.opened, identity: live.identity() })
            .collect();
        views.sort_by_key(|view| view.id);
        views
    }

    /// Closes connections as their moments come. Never ends.
    pub(super) async fn watch_deadlines(&self) {
        loop {
            let next = self.heap().peek().map(|Reverse((moment, _))| *moment);
            match next {
                Some(moment) if moment <= self.clock.now() => self.close_due(),
                Some(moment) => {
                    let sleep = self.clock.sleep_until(moment);
                    tokio::select! {
                        () = sleep => {}
                        () = self.earlier.notified() => {}
                    }
                }
                None => self.earlier.notified().await,
            }
        }
    }

    fn close_due(&self) {
        let now = self.clock.now();
        loop {
            let Some((moment, id)) = ({
                let mut heap = self.heap();
                match heap.peek() {
                    Some(Reverse((moment, _))) if *moment <= now => heap.pop().map(|Reverse(entry)| entry),
                    _ => None,
                }
            }) else {
                return;
            };
            let Some(live) = self.live().get(&id).cloned() else { continue };
            if live.scheduled.load(Ordering::Acquire) != moment.millis() {
                continue;
            }
            live.scheduled.store(i64::MAX, Ordering::Release);
            match live.deadline(self.idle_limit) {
                (deadline, reason) if deadline <= now => live.close(reason),
                _ => self.schedule(&live),
            }
        }
    }

    fn schedule(&self, live: &Live) {
        let (deadline, _) = live.deadline(self.idle_limit);
        if live.scheduled.fetch_min(deadline.millis(), Ordering::AcqRel) <= deadline.millis() {
            return;
        }
        let mut heap = self.heap();
        let first = heap.peek().is_none_or(|Reverse((moment, _))| deadline < *moment);
        heap.push(Reverse((deadline, live.id)));
        if first {
            self.earlier.notify_one();
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<u64, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heap(&self) -> MutexGuard<'_, BinaryHeap<Reverse<(Timestamp, u64)>>> {
        self.heap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
