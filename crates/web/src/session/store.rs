//! What a session store must do, and the test-suite that every implementation passes.

use std::fmt;
use std::time::Duration;

use entrant_types::{BoxFuture, Fault};

use super::seal::RecordId;

/// The largest sealed record that a store takes: 256 KiB, some fifty times a usual one.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;

/// A record as the store holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// 1 for a new record, one more for every replacement.
    pub version: u64,
    /// Ciphertext.
    pub sealed: Vec<u8>,
}

/// Shows version and size.
impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored {{ version: {}, sealed: {} bytes }}", self.version, self.sealed.len())
    }
}

/// What became of a compare-and-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// The record is now of this version.
    Done(u64),
    /// Somebody replaced it first: load again.
    Conflict,
    /// There is no such record any more: it ended or expired. It has not been revived.
    Gone,
}

/// Keeps sealed session records. It sees hashes and ciphertext, never a cookie value or a token.
///
/// The compare-and-set is *fenced*: a writer that stalls for any time, even beyond the end of the session,
/// can neither overwrite a newer version nor revive an ended record.
/// Implementations pass [`suite`](super::suite::check).
pub trait SessionStore: fmt::Debug + Send + Sync {
    /// The newest version of a record.
    fn load<'a>(&'a self, id: &'a RecordId) -> BoxFuture<'a, Result<Option<Stored>, Fault>>;

    /// Stores version 1 of a new record for `ttl`. An existing record of that id stays as it is, and the
    /// answer is `false`: ids are hashes of 256 random bits, so that means an attack or a broken source of
    /// randomness.
    fn create<'a>(&'a self, id: &'a RecordId, sealed: Vec<u8>, ttl: Duration) -> BoxFuture<'a, Result<bool, Fault>>;

    /// Replaces version `expected` by version `expected + 1` and lets it live for `ttl` from now.
    fn replace<'a>(
        &'a self,
        id: &'a RecordId,
        expected: u64,
        sealed: Vec<u8>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Replaced, Fault>>;

    /// Ends a record. `remember` is how long a stalled writer may still turn up: the rest of the session's
    /// absolute lifetime is always enough. Ending what does not exist is no error.
    fn end<'a>(&'a self, id: &'a RecordId, remember: Duration) -> BoxFuture<'a, Result<(), Fault>>;

    /// Notes that the session `id` belongs to `group` (the hash of the identity provider's own session id),
    /// so that a front-channel sign-out finds it. Adding to a group lets the whole group live for `ttl`.
    fn join<'a>(&'a self, group: &'a RecordId, id: &'a RecordId, ttl: Duration) -> BoxFuture<'a, Result<(), Fault>>;

    /// Takes a group apart and returns who was in it.
    fn disband<'a>(&'a self, group: &'a RecordId) -> BoxFuture<'a, Result<Vec<RecordId>, Fault>>;
}
