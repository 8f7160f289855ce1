//! Tokens that were found good, by hash: a token seen again costs one SHA-256 instead of an RSA verification.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;

use crate::Verified;
use crate::keys::TrustedKey;

/// So many locks that two requests seldom meet at one.
const SHARDS: usize = 16;
/// A token with its claims takes about 4 KiB: 8,192 of them at most 32 MiB.
const CAPACITY: usize = 8192;

/// What was found, and with which key: a key that its issuer withdraws takes its verdicts along.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) verified: Verified,
    pub(crate) key: Arc<TrustedKey>,
}

/// Only good tokens are kept, so that worthless ones cannot push them out.
#[derive(Debug)]
pub(crate) struct Verdicts {
    shards: Vec<Mutex<Generations>>,
    per_generation: usize,
}

/// When the young generation is full, the old one is forgotten and the young one grows old: bounded, constant
/// time, and whoever is in use is carried over.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Hash, Verdict>,
    old: HashMap<Hash, Verdict>,
}

/// SHA-256 of the whole token, signature included.
pub(crate) type Hash = [u8; 32];

pub(crate) fn hash(token: &str) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}

impl Default for Verdicts {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Verdicts {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, per_generation: (capacity / SHARDS / 2).max(1) }
    }

    pub(crate) fn get(&self, hash: &Hash) -> Option<Verdict> {
        let mut shard = self.shard(hash).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = shard.young.get(hash) {
            return Some(verdict.clone());
        }
        let verdict = shard.old.remove(hash)?;
        shard.put(*hash, verdict.clone(), self.per_generation);
        Some(verdict)
    }

    pub(crate) fn put(&self, hash: Hash, verdict: Verdict) {
        let mut shard = self.shard(&hash).lock().unwrap_or_else(PoisonError::into_inner);
        shard.put(hash, verdict, self.per_generation);
    }

    pub(crate) fn forget(&self, hash: &Hash) {
        let mut shard = self.shard(hash).lock().unwrap_or_else(PoisonError::into_inner);
        shard.young.remove(hash);
        shard.old.remove(hash);
    }

    fn shard(&self, hash: &Hash) -> &Mutex<Generations> {
        &self.shards[usize::from(hash[0]) % SHARDS]
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().map_or(0, |shard| shard.young.len() + shard.old.len())).sum()
    }
}

impl Generations {
    fn put(&mut self, hash: Hash, verdict: Verdict, limit: usize) {
        if self.young.len() >= limit && !self.young.contains_key(&hash) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, verdict);
    }
}

#[cfg(test)]
mod tests {
    use entrant_types::Timestamp;

    use super::*;

    fn verdict() -> Verdict {
        let verified = Verified::new(serde_json::Map::new(), Timestamp::from_secs(1));
        Verdict { verified, key: TrustedKey::for_test() }
    }

    #[test]
    fn memory_is_bounded_and_what_is_in_use_stays() {
        let verdicts = Verdicts::with_capacity(64);
        let (favourite, good) = (hash("favourite"), verdict());
        verdicts.put(favourite, good.clone());
        for number in 0..10_000 {
            verdicts.put(hash(&number.to_string()), good.clone());
            assert!(verdicts.get(&favourite).is_some(), "lost after {number}");
        }
        assert!(verdicts.len() <= 64 + SHARDS, "{}", verdicts.len());
        verdicts.forget(&favourite);
        assert!(verdicts.get(&favourite).is_none());
    }
}
