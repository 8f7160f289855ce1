//! Sessions in this process's memory: for one replica, and for tests.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entrant_types::{BoxFuture, Clock, Fault, Timestamp, Whose};

use super::seal::RecordId;
use super::store::{MAX_RECORD_BYTES, Replaced, SessionStore, Stored};

/// Live records at most: about 500 MiB of usual records. A sign-in beyond it is refused, since throwing out a
/// live session would sign somebody else out.
const MAX_RECORDS: usize = 100_000;

struct Held<T> {
    value: T,
    until: Timestamp,
}

#[derive(Default)]
struct Shelves {
    records: HashMap<RecordId, Held<Stored>>,
    groups: HashMap<RecordId, Held<HashSet<RecordId>>>,
}

/// The in-memory store. Expired records leave when room is needed.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    shelves: Mutex<Shelves>,
    limit: usize,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_limit(clock, MAX_RECORDS)
    }

    /// An empty store for at most `limit` sessions.
    #[must_use]
    pub fn with_limit(clock: Arc<dyn Clock>, limit: usize) -> Self {
        Self { clock, shelves: Mutex::default(), limit }
    }

    /// A poisoned lock only means that another thread died between two whole steps.
    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create_now(&self, id: &RecordId, sealed: Vec<u8>, ttl: Duration) -> Result<bool, Fault> {
        check_size(&sealed)?;
        let now = self.clock.now();
        let mut shelves = self.shelves();
        if shelves.records.get(id).is_some_and(|held| now < held.until) {
            return Ok(false);
        }
        if shelves.records.len() >= self.limit {
            shelves.records.retain(|_, held| now < held.until);
            shelves.groups.retain(|_, held| now < held.until);
        }
        if shelves.records.len() >= self.limit {
            return Err(Fault::new(
                Whose::Configuration,
                format!("The session store in memory is full: {} people are signed in.", self.limit),
                "Configure a Redis session store.",
            ));
        }
        shelves.records.insert(*id, Held { value: Stored { version: 1, sealed }, until: now + ttl });
        Ok(true)
    }

    fn replace_now(&self, id: &RecordId, expected: u64, sealed: Vec<u8>, ttl: Duration) -> Result<Replaced, Fault> {
        check_size(&sealed)?;
        let now = self.clock.now();
        let mut shelves = self.shelves();
        let Some(held) = shelves.records.get_mut(id).filter(|held| now < held.until) else {
            return Ok(Replaced::Gone);
        };
        if held.value.version != expected {
            return Ok(Replaced::Conflict);
        }
        let version = expected + 1;
        *held = Held { value: Stored { version, sealed }, until: now + ttl };
        Ok(Replaced::Done(version))
    }
}

/// Refuses a record larger than [`MAX_RECORD_BYTES`].
pub(super) fn check_size(sealed: &[u8]) -> Result<(), Fault> {
    if sealed.len() <= MAX_RECORD_BYTES {
        return Ok(());
    }
    Err(Fault::new(
        Whose::Provider,
        format!("The session would take {} bytes, more than the limit of {MAX_RECORD_BYTES}.", sealed.len()),
        "Ask for fewer claims or fewer resources in one session.",
    ))
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStore {{ records: {} }}", self.shelves().records.len())
    }
}

impl SessionStore for MemoryStore {
    fn load<'a>(&'a self, id: &'a RecordId) -> BoxFuture<'a, Result<Option<Stored>, Fault>> {
        let now = self.clock.now();
        let found = self.shelves().records.get(id).filter(|held| now < held.until).map(|held| held.value.clone());
        Box::pin(std::future::ready(Ok(found)))
    }

    fn create<'a>(&'a self, id: &'a RecordId, sealed: Vec<u8>, ttl: Duration) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(std::future::ready(self.create_now(id, sealed, ttl)))
    }

    fn replace<'a>(
        &'a self,
        id: &'a RecordId,
        expected: u64,
        sealed: Vec<u8>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Replaced, Fault>> {
        Box::pin(std::future::ready(self.replace_now(id, expected, sealed, ttl)))
    }

    fn end<'a>(&'a self, id: &'a RecordId, _remember: Duration) -> BoxFuture<'a, Result<(), Fault>> {
        self.shelves().records.remove(id);
        Box::pin(std::future::ready(Ok(())))
    }

    fn join<'a>(&'a self, group: &'a RecordId, id: &'a RecordId, ttl: Duration) -> BoxFuture<'a, Result<(), Fault>> {
        let until = self.clock.now() + ttl;
        let mut shelves = self.shelves();
        let held = shelves.groups.entry(*group).or_insert_with(|| Held { value: HashSet::new(), until });
        held.value.insert(*id);
        held.until = until;
        Box::pin(std::future::ready(Ok(())))
    }

    fn disband<'a>(&'a self, group: &'a RecordId) -> BoxFuture<'a, Result<Vec<RecordId>, Fault>> {
        let now = self.clock.now();
        let members = self.shelves().groups.remove(group).filter(|held| now < held.until);
        Box::pin(std::future::ready(Ok(members.map(|held| held.value.into_iter().collect()).unwrap_or_default())))
    }
}
