//! The embedded store: a small in-memory Redis, so that nothing need be installed. For development, never a
//! database: nothing is written to disk, nothing is evicted, and one lock serves all connections.
//!
//! It speaks RESP2 and RESP3 over any stream, keeps ACL users, and answers a frozen list of commands (`table`) as
//! Redis 7.0.15 does, which a differential test shows. Known differences: scans end in one step; hashes and sets
//! are listed in order of their names; scores are written as Redis 7.2 writes them (`0.1`, not
//! `0.10000000000000001`).

mod acl;
mod blocking;
mod call;
mod commands;
mod db;
mod glob;
mod outbox;
mod serve;
mod session;
mod state;
mod table;
mod value;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use entrant_types::{Clock, Outside};
use state::State;

/// Limits of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Most bytes of keys and values, by the store's own estimate; beyond it writes are refused with `OOM`.
    pub max_bytes: usize,
}

impl Default for StoreConfig {
    /// 64 MiB: sessions of ten thousand people, and no danger to a laptop.
    fn default() -> Self {
        Self { max_bytes: 64 << 20 }
    }
}

/// A store. Cloning shares it.
#[derive(Clone)]
pub struct Store {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
    config: StoreConfig,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Store {
    /// An empty store, whose time is the clock's.
    #[must_use]
    pub fn new(config: StoreConfig, outside: &Outside) -> Self {
        let clock = Arc::clone(&outside.clock);
        let state = State::new(config.max_bytes, clock.now());
        Self { state: Arc::new(Mutex::new(state)), clock, config }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of all commands, subcommands as `command|subcommand`: the frozen list, for documentation.
    pub fn commands() -> impl Iterator<Item = &'static str> {
        table::TABLE.iter().map(|spec| spec.name)
    }
}
