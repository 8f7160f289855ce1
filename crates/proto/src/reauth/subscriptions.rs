//! Which channels, patterns and shard channels a connection is subscribed to, as the server confirmed them.

use std::collections::BTreeSet;

use super::command::Family;

/// What a connection is subscribed to. Bounded: a connection with more cannot be moved to another.
#[derive(Clone, Debug, Default)]
pub struct Subscriptions {
    channels: BTreeSet<Vec<u8>>,
    patterns: BTreeSet<Vec<u8>>,
    shards: BTreeSet<Vec<u8>>,
    bytes: usize,
    overflowed: bool,
}

impl Subscriptions {
    /// Names kept, in bytes, before the connection counts as too large to be moved.
    pub const MAX_BYTES: usize = 256 << 10;

    /// Notes a confirmed subscription.
    pub fn add(&mut self, family: Family, name: &[u8]) {
        if self.bytes + name.len() > Self::MAX_BYTES {
            self.overflowed = true;
            return;
        }
        if self.set_mut(family).insert(name.to_vec()) {
            self.bytes += name.len();
        }
    }

    /// Notes a confirmed end of a subscription.
    pub fn remove(&mut self, family: Family, name: &[u8]) {
        if self.set_mut(family).remove(name) {
            self.bytes -= name.len();
        }
    }

    /// The names of one family, in order.
    pub fn names(&self, family: Family) -> impl Iterator<Item = &[u8]> {
        self.set(family).iter().map(Vec::as_slice)
    }

    /// How many subscriptions one family has.
    #[must_use]
    pub fn count(&self, family: Family) -> usize {
        self.set(family).len()
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.overflowed && self.channels.is_empty() && self.patterns.is_empty() && self.shards.is_empty()
    }

    /// Whether names were lost for lack of room, so that the list is not the whole truth.
    #[must_use]
    pub const fn overflowed(&self) -> bool {
        self.overflowed
    }

    fn set(&self, family: Family) -> &BTreeSet<Vec<u8>> {
        match family {
            Family::Channel => &self.channels,
            Family::Pattern => &self.patterns,
            Family::Shard => &self.shards,
        }
    }

    fn set_mut(&mut self, family: Family) -> &mut BTreeSet<Vec<u8>> {
        match family {
            Family::Channel => &mut self.channels,
            Family::Pattern => &mut self.patterns,
            Family::Shard => &mut self.shards,
        }
    }
}
