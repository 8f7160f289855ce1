//! The platform's own cache: an identity's token for a resource, repeated until late in its life.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use entrant_types::{ObjectId, Timestamp};

use super::Issued;
use crate::directory::Identity;

/// Resources per process; instance-shaped ones could otherwise grow it without end.
const LIMIT: usize = 1000;

type Shelf = BTreeMap<(ObjectId, String), Kept>;

#[derive(Default)]
pub(crate) struct TokenCache(Mutex<Shelf>);

struct Kept {
    issued: Arc<Issued>,
    /// From here on a new one is made.
    renew: Timestamp,
    made: Timestamp,
}

impl TokenCache {
    /// The kept token, unless its renewal is due; `always` ignores that.
    pub(crate) fn get(&self, identity: &Identity, resource: &str, now: Timestamp, always: bool) -> Option<Arc<Issued>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock set back must not keep a token from the future alive.
        kept.get(&(identity.principal, resource.to_owned()))
            .filter(|kept| always || now < kept.renew && kept.made <= now)
            .map(|kept| kept.issued.clone())
    }

    pub(crate) fn put(&self, identity: &Identity, resource: &str, issued: Issued, now: Timestamp) -> Arc<Issued> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= LIMIT {
            kept.clear();
        }
        let renew = now + now.until(issued.expires) / 2;
        let issued = Arc::new(issued);
        kept.insert((identity.principal, resource.to_owned()), Kept { issued: issued.clone(), renew, made: now });
        issued
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl std::fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenCache")
    }
}
