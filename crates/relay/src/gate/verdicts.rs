//! Tokens found good lately, by hash: a token that a thousand connections bring is verified once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use entrant_types::Timestamp;
use entrant_validate::Verified;

/// How long a verdict serves: a key that the issuer withdraws is noticed within this time.
const SERVES: Duration = Duration::from_secs(300);
/// Most verdicts kept. Only good tokens get here, so strangers cannot fill it; when it is full it is emptied.
const MOST: usize = 4096;

type Digest = [u8; 32];

/// Remembers good tokens by SHA-256; no token text is kept.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Mutex<HashMap<Digest, (Verified, Timestamp)>>);

impl Verdicts {
    pub(super) fn get(&self, token: &str, now: Timestamp) -> Option<Verified> {
        let key = hash(token)?;
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (verified, found) = map.get(&key)?;
        // A clock that stepped back ends the verdict too.
        let fresh = *found <= now && now < *found + SERVES && now < verified.expires();
        fresh.then(|| verified.clone())
    }

    pub(super) fn put(&self, token: &str, verified: Verified, now: Timestamp) {
        let Some(key) = hash(token) else { return };
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= MOST {
            map.retain(|_, (verified, found)| now < *found + SERVES && now < verified.expires());
            if map.len() >= MOST {
                map.clear();
            }
        }
        map.insert(key, (verified, now));
    }
}

fn hash(token: &str) -> Option<Digest> {
    digest::digest(&digest::SHA256, token.as_bytes()).as_ref().try_into().ok()
}
