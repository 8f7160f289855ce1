//! Where an account's tokens are kept: one partition, loaded with its version, replaced by compare-and-set.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use entrant_types::{BoxFuture, Code, Fault, Whose};

use crate::AccountTokens;

/// An account's tokens and the version under which they were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// Changes with every write.
    pub version: u64,
    /// The tokens. Shared: a look-up in memory copies none of them.
    pub tokens: Arc<AccountTokens>,
}

/// What became of a compare-and-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// Written; this is the new version.
    Done(u64),
    /// Somebody else wrote meanwhile: load again.
    Conflict,
    /// The partition is gone: the person signed out.
    Gone,
}

/// One partition of a token store: one account in one session.
///
/// The compare-and-set must be atomic across all replicas, since it is what fences a renewal: of two replicas
/// that renew at once, one must be told [`Replaced::Conflict`]. A write must never bring a partition back that
/// is gone. [`store_suite`](crate::store_suite) checks an implementation.
pub trait TokenStore: Send + Sync {
    /// A name of the partition, the same in every request of the session and different from all others.
    /// Never logged.
    fn partition(&self) -> &str;

    /// The tokens, if the partition exists.
    fn load(&self) -> BoxFuture<'_, Result<Option<Versioned>, Fault>>;

    /// Writes `tokens` if the partition's version is still `expected`.
    fn replace<'a>(&'a self, expected: u64, tokens: &'a AccountTokens) -> BoxFuture<'a, Result<Replaced, Fault>>;
}

/// Partitions in this process's memory: for one replica, and for tests. Cloning shares them.
#[derive(Clone, Default)]
pub struct MemoryTokenStore {
    partitions: Arc<Mutex<HashMap<String, Versioned>>>,
}

/// One partition of a [`MemoryTokenStore`].
struct MemoryPartition {
    name: String,
    store: MemoryTokenStore,
}

impl MemoryTokenStore {
    /// So many partitions at most: about 1 GiB.
    pub const MAX_PARTITIONS: usize = 100_000;

    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a partition, or replaces it whole after a new sign-in.
    ///
    /// # Errors
    /// When the store is full.
    pub fn put(&self, partition: impl Into<String>, tokens: AccountTokens) -> Result<(), Fault> {
        let mut partitions = self.lock();
        let partition = partition.into();
        if partitions.len() >= Self::MAX_PARTITIONS && !partitions.contains_key(&partition) {
            let what = format!("The token store in memory is full: {} accounts are signed in.", Self::MAX_PARTITIONS);
            return Err(Fault::new(Whose::Configuration, what, "Configure a shared session store.")
                .code(Code::Entrant("token_store_full")));
        }
        let version = partitions.get(&partition).map_or(1, |held| held.version + 1);
        partitions.insert(partition, Versioned { version, tokens: Arc::new(tokens) });
        Ok(())
    }

    /// Forgets a partition: the person signed out.
    pub fn remove(&self, partition: &str) {
        self.lock().remove(partition);
    }

    /// A handle to one partition, existing or not.
    #[must_use]
    pub fn partition(&self, name: impl Into<String>) -> impl TokenStore + 'static {
        MemoryPartition { name: name.into(), store: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Versioned>> {
        // Every change is one whole step: a panic elsewhere leaves nothing half done.
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryTokenStore {{ partitions: {} }}", self.lock().len())
    }
}

impl TokenStore for MemoryPartition {
    fn partition(&self) -> &str {
        &self.name
    }

    fn load(&self) -> BoxFuture<'_, Result<Option<Versioned>, Fault>> {
        let found = self.store.lock().get(&self.name).cloned();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn replace<'a>(&'a self, expected: u64, tokens: &'a AccountTokens) -> BoxFuture<'a, Result<Replaced, Fault>> {
        let mut partitions = self.store.lock();
        let replaced = match partitions.get_mut(&self.name) {
            None => Replaced::Gone,
            Some(held) if held.version != expected => Replaced::Conflict,
            Some(held) => {
                *held = Versioned { version: expected + 1, tokens: Arc::new(tokens.clone()) };
                Replaced::Done(expected + 1)
            }
        };
        Box::pin(std::future::ready(Ok(replaced)))
    }
}
