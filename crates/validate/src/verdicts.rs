//! Tokens that were found good, by the hash of what is signed: a token seen again costs one SHA-256 instead of an
//! RSA verification, and a new one no second SHA-256, since its signature is over the same hash.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::claims::Facts;
use crate::keys::TrustedKey;

/// So many locks that two requests seldom meet at one.
const SHARDS: usize = 16;
/// Facts, signature and hash take about 1 KiB: 8,192 of them 8 MiB.
const CAPACITY: usize = 8192;

/// What was found, and with which key: a key that its issuer withdraws takes its verdicts along.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) facts: Arc<Facts>,
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
    young: HashMap<Digest, Kept>,
    old: HashMap<Digest, Kept>,
}

/// SHA-256 of a token's header and claims as they were sent.
pub(crate) type Digest = [u8; 32];

/// The signature is kept whole: who knows the claims of a good token, but not its signature, does not hold it.
#[derive(Debug)]
struct Kept {
    signature: Box<str>,
    verdict: Verdict,
}

impl Kept {
    /// In constant time: a signature must not be found out byte by byte.
    fn verdict_for(&self, signature: &str) -> Option<Verdict> {
        let same = verify_slices_are_equal(self.signature.as_bytes(), signature.as_bytes()).is_ok();
        same.then(|| self.verdict.clone())
    }
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

    pub(crate) fn get(&self, digest: &Digest, signature: &str) -> Option<Verdict> {
        let mut shard = self.shard(digest).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = shard.young.get(digest) {
            return kept.verdict_for(signature);
        }
        let verdict = shard.old.get(digest)?.verdict_for(signature)?;
        if let Some(kept) = shard.old.remove(digest) {
            shard.put(*digest, kept, self.per_generation);
        }
        Some(verdict)
    }

    pub(crate) fn put(&self, digest: Digest, signature: &str, verdict: Verdict) {
        let kept = Kept { signature: signature.into(), verdict };
        let mut shard = self.shard(&digest).lock().unwrap_or_else(PoisonError::into_inner);
        shard.put(digest, kept, self.per_generation);
    }

    pub(crate) fn forget(&self, digest: &Digest) {
        let mut shard = self.shard(digest).lock().unwrap_or_else(PoisonError::into_inner);
        shard.young.remove(digest);
        shard.old.remove(digest);
    }

    fn shard(&self, digest: &Digest) -> &Mutex<Generations> {
        &self.shards[usize::from(digest[0]) % SHARDS]
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().map_or(0, |shard| shard.young.len() + shard.old.len())).sum()
    }
}

impl Generations {
    fn put(&mut self, digest: Digest, kept: Kept, limit: usize) {
        if self.young.len() >= limit && !self.young.contains_key(&digest) {
            // The room of both is used again and again.
            std::mem::swap(&mut self.old, &mut self.young);
            self.young.clear();
        }
        self.young.insert(digest, kept);
    }
}

#[cfg(test)]
mod tests {
    use entrant_types::Timestamp;

    use super::*;
    use crate::payload::Claims;

    fn digest(number: u32) -> Digest {
        let mut digest = [0; 32];
        digest[0] = number.to_le_bytes()[0];
        digest[28..].copy_from_slice(&number.to_le_bytes());
        digest
    }

    fn verdict() -> Verdict {
        let facts = Facts::of(&Claims::default(), Timestamp::from_secs(1));
        Verdict { facts: Arc::new(facts), key: TrustedKey::for_test() }
    }

    #[test]
    fn memory_is_bounded_and_what_is_in_use_stays() {
        let verdicts = Verdicts::with_capacity(64);
        let (favourite, good) = (digest(u32::MAX), verdict());
        verdicts.put(favourite, "s", good.clone());
        for number in 0..10_000 {
            verdicts.put(digest(number), "s", good.clone());
            assert!(verdicts.get(&favourite, "s").is_some(), "lost after {number}");
        }
        assert!(verdicts.len() <= 64 + SHARDS, "{}", verdicts.len());
        verdicts.forget(&favourite);
        assert!(verdicts.get(&favourite, "s").is_none());
    }

    #[test]
    fn a_good_tokens_claims_with_another_signature_are_not_found_and_push_nothing_out() {
        let verdicts = Verdicts::with_capacity(1);
        verdicts.put(digest(7), "good", verdict());
        for forged in ["", "goo", "good.", "g00d"] {
            assert!(verdicts.get(&digest(7), forged).is_none(), "{forged}");
        }
        verdicts.put(digest(7 + 16), "other", verdict());
        assert!(verdicts.get(&digest(7), "evil").is_none(), "nor in the old generation");
        assert!(verdicts.get(&digest(7), "good").is_some());
    }
}
