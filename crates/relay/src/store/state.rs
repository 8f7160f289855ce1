//! What all connections of a store share, and what happens after a command changed a key.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use entrant_types::Timestamp;

use super::acl::Acl;
use super::blocking::Blocked;
use super::db::Db;
use super::outbox::Outbox;

/// How many databases SELECT knows, as in a default Redis.
pub(super) const DATABASES: usize = 16;

/// A connection as others see it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) outbox: Outbox,
    pub(super) name: String,
    pub(super) user: Option<String>,
    pub(super) db: usize,
    pub(super) since: Timestamp,
}

/// The whole store.
#[derive(Debug)]
pub(super) struct State {
    pub(super) dbs: Vec<Db>,
    pub(super) acl: Acl,
    pub(super) peers: BTreeMap<u64, Peer>,
    next_peer: u64,
    /// Who subscribed to which channel, and to which pattern.
    pub(super) channels: BTreeMap<Vec<u8>, BTreeSet<u64>>,
    pub(super) patterns: BTreeMap<Vec<u8>, BTreeSet<u64>>,
    /// Who watches which key, and whose watched keys changed.
    watchers: HashMap<(usize, Vec<u8>), BTreeSet<u64>>,
    dirty: HashSet<u64>,
    /// Who waits for an element, in the order of arrival.
    pub(super) blocked: BTreeMap<u64, Blocked>,
    pub(super) started: Timestamp,
    pub(super) max_bytes: usize,
    pub(super) commands: u64,
}

impl State {
    pub(super) fn new(max_bytes: usize, started: Timestamp) -> Self {
        Self {
            dbs: std::iter::repeat_with(Db::default).take(DATABASES).collect(),
            acl: Acl::default(),
            peers: BTreeMap::new(),
            next_peer: 1,
            channels: BTreeMap::new(),
            patterns: BTreeMap::new(),
            watchers: HashMap::new(),
            dirty: HashSet::new(),
            blocked: BTreeMap::new(),
            started,
            max_bytes,
            commands: 0,
        }
    }

    pub(super) fn join(&mut self, outbox: Outbox, now: Timestamp) -> u64 {
        let id = self.next_peer;
        self.next_peer += 1;
        let user = self.acl.default_user();
        self.peers.insert(id, Peer { outbox, name: String::new(), user, db: 0, since: now });
        id
    }

    /// One database, with its clock set. An unknown number is database 0, which SELECT never lets happen.
    pub(super) fn db(&mut self, index: usize, now: i64) -> Option<&mut Db> {
        let db = self.dbs.get_mut(index)?;
        db.now = now;
        Some(db)
    }

    pub(super) fn used(&self) -> usize {
        self.dbs.iter().map(Db::used).sum()
    }

    /// Whether there is no room for more, after dropping what expired.
    pub(super) fn is_full(&mut self, now: i64) -> bool {
        if self.used() <= self.max_bytes {
            return false;
        }
        for db in &mut self.dbs {
            db.now = now;
            db.purge();
        }
        self.used() > self.max_bytes
    }

    pub(super) fn watch(&mut self, peer: u64, db: usize, key: &[u8]) {
        self.watchers.entry((db, key.to_vec())).or_default().insert(peer);
        self.observe();
    }

    /// Forgets what a peer watched; whether any of it changed.
    pub(super) fn unwatch(&mut self, peer: u64) -> bool {
        self.watchers.retain(|_, peers| {
            peers.remove(&peer);
            !peers.is_empty()
        });
        self.observe();
        self.dirty.remove(&peer)
    }

    /// Whether anything that a peer watches has changed or expired.
    pub(super) fn is_dirty(&mut self, peer: u64, now: i64) -> bool {
        let keys: Vec<_> =
            self.watchers.iter().filter(|(_, peers)| peers.contains(&peer)).map(|(place, _)| place.clone()).collect();
        for (db, key) in keys {
            if let Some(db) = self.db(db, now) {
                // Looking at it drops it if its time is over.
                db.contains(&key);
            }
        }
        self.settle(now);
        self.dirty.contains(&peer)
    }

    /// Tells the databases whether anybody wants to know about changes.
    pub(super) fn observe(&mut self) {
        let observed = !self.watchers.is_empty() || !self.blocked.is_empty();
        for db in &mut self.dbs {
            db.observed = observed;
        }
    }

    /// After a command: marks whose watched keys changed, and serves who waits.
    pub(super) fn settle(&mut self, now: i64) {
        if self.watchers.is_empty() && self.blocked.is_empty() {
            return;
        }
        loop {
            let mut changed = Vec::new();
            for (index, db) in self.dbs.iter_mut().enumerate() {
                changed.extend(db.take_touched().into_iter().map(|key| (index, key)));
            }
            if changed.is_empty() {
                return;
            }
            for place in &changed {
                self.dirty.extend(self.watchers.get(place).into_iter().flatten());
            }
            // Serving takes elements away, which is a change that others may watch.
            for (db, key) in changed {
                self.serve_blocked(db, &key, now);
            }
        }
    }

    /// A connection ended.
    pub(super) fn leave(&mut self, peer: u64) {
        self.peers.remove(&peer);
        for map in [&mut self.channels, &mut self.patterns] {
            map.retain(|_, peers| {
                peers.remove(&peer);
                !peers.is_empty()
            });
        }
        self.unwatch(peer);
    }

    /// Closes the connections of a user.
    pub(super) fn close_user(&self, name: &str) {
        for peer in self.peers.values().filter(|peer| peer.user.as_deref() == Some(name)) {
            peer.outbox.close();
        }
    }
}
