//! Authorization codes, refresh tokens and sign-in sessions: kept by hash, in memory, bounded.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use entrant_types::{ClientId, ObjectId, Timestamp};

use super::device::Waiting;
use crate::faults::Effect;
use crate::token::AppAuth;

/// More than this of one kind push out the oldest.
const LIMIT: usize = 20_000;

/// What an authorization code stands for.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) client: ClientId,
    pub(crate) redirect_uri: String,
    /// (challenge, is S256).
    pub(crate) challenge: Option<(String, bool)>,
    pub(crate) nonce: Option<String>,
    pub(crate) consented: Consented,
    pub(crate) expires: Timestamp,
    pub(crate) redeemed: bool,
    /// The trouble chosen on the sign-in page for this sign-in.
    pub(crate) trouble: Option<Effect>,
}

/// What a person agreed to; shared by a code, its refresh tokens and a device code.
#[derive(Clone, Debug)]
pub(crate) struct Consented {
    pub(crate) person: ObjectId,
    pub(crate) scope: String,
    pub(crate) session: String,
    pub(crate) signed_in: Timestamp,
    pub(crate) mfa: bool,
    /// Number shared by everything that descends from one sign-in.
    pub(crate) family: u64,
}

/// What a refresh token stands for.
#[derive(Clone, Debug)]
pub(crate) struct Refresh {
    pub(crate) client: ClientId,
    pub(crate) consented: Consented,
    pub(crate) expires: Timestamp,
    pub(crate) used: bool,
}

/// A browser's sign-in session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) sid: String,
    pub(crate) person: ObjectId,
    pub(crate) signed_in: Timestamp,
    pub(crate) mfa: bool,
    /// Apps that signed in by it, for front-channel logout.
    pub(crate) clients: Vec<ClientId>,
}

type Hash = [u8; 32];

/// All grants.
#[derive(Debug, Default)]
pub(crate) struct Grants(Mutex<Kept>);

#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) codes: Shelf<Code>,
    pub(crate) refresh: Shelf<Refresh>,
    pub(crate) sessions: Shelf<Session>,
    pub(crate) devices: Shelf<Waiting>,
    /// Families whose tokens no longer work, with the number why.
    revoked: BTreeMap<u64, u32>,
    families: u64,
    /// (client, person) pairs that consented on the page.
    pub(crate) consents: BTreeMap<(ClientId, ObjectId), Vec<String>>,
}

impl Grants {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// A number for everything that will descend from one sign-in.
    pub(crate) fn new_family(&mut self) -> u64 {
        self.families += 1;
        self.families
    }

    /// Ends everything that descends from a sign-in; its tokens are answered with `number` from now on.
    pub(crate) fn revoke(&mut self, family: u64, number: u32) {
        self.revoked.insert(family, number);
        while self.revoked.len() > LIMIT {
            self.revoked.pop_first();
        }
    }

    /// Ends every grant of a person.
    pub(crate) fn revoke_person(&mut self, person: ObjectId, number: u32) {
        let families: Vec<u64> = self
            .refresh
            .values()
            .filter(|refresh| refresh.consented.person == person)
            .map(|refresh| refresh.consented.family)
            .collect();
        for family in families {
            self.revoke(family, number);
        }
        self.sessions.retain(|session| session.person != person);
    }

    pub(crate) fn revoked(&self, family: u64) -> Option<u32> {
        self.revoked.get(&family).copied()
    }
}

/// Values by the hash of the secret that opens them, oldest first out.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    items: BTreeMap<Hash, (u64, T)>,
    order: BTreeMap<u64, Hash>,
    next: u64,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), order: BTreeMap::new(), next: 0 }
    }
}

impl<T> Shelf<T> {
    pub(crate) fn put(&mut self, secret: &str, value: T) {
        let hash = hash(secret);
        self.next += 1;
        if let Some((number, _)) = self.items.insert(hash, (self.next, value)) {
            self.order.remove(&number);
        }
        self.order.insert(self.next, hash);
        while self.items.len() > LIMIT {
            if let Some((_, oldest)) = self.order.pop_first() {
                self.items.remove(&oldest);
            }
        }
    }

    pub(crate) fn get(&self, secret: &str) -> Option<&T> {
        self.items.get(&hash(secret)).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, secret: &str) -> Option<&mut T> {
        self.items.get_mut(&hash(secret)).map(|(_, value)| value)
    }

    pub(crate) fn take(&mut self, secret: &str) -> Option<T> {
        let (number, value) = self.items.remove(&hash(secret))?;
        self.order.remove(&number);
        Some(value)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.items.values().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.values_mut().map(|(_, value)| value)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let order = &mut self.order;
        self.items.retain(|_, (number, value)| {
            let kept = keep(value);
            if !kept {
                order.remove(number);
            }
            kept
        });
    }
}

fn hash(secret: &str) -> Hash {
    let mut bytes = [0_u8; 32];
    bytes.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    bytes
}

/// 90 days without use end a refresh token (Microsoft's `refresh-tokens.md`).
pub(crate) const REFRESH_LIFE: Duration = Duration::from_secs(90 * 86_400);

/// How a request's client proved itself, with its registration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'a> {
    pub(crate) app: &'a crate::directory::App,
    pub(crate) auth: AppAuth,
}
