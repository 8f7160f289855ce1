//! One numbered database: keys, expiry, size, and who watches which key.

use std::collections::HashMap;

use super::call::{Failure, WRONGTYPE};
use super::value::{ELEMENT_OVERHEAD, Kind, Value};

/// A key's value and end.
#[derive(Debug)]
struct Entry {
    value: Value,
    /// Unix milliseconds.
    expires: Option<i64>,
}

/// A database. `now` is set before each command, so that one command sees one moment.
#[derive(Debug, Default)]
pub(super) struct Db {
    keys: HashMap<Vec<u8>, Entry>,
    /// Bytes of all keys and values, overhead included.
    used: usize,
    /// Unix milliseconds.
    pub(super) now: i64,
    /// Keys changed since they were last taken; kept only while somebody observes.
    touched: Vec<Vec<u8>>,
    pub(super) observed: bool,
}

impl Db {
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    pub(super) fn take_touched(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.touched)
    }

    fn touch(&mut self, key: &[u8]) {
        if self.observed {
            self.touched.push(key.to_vec());
        }
    }

    /// Drops the key if its time is over.
    fn expire(&mut self, key: &[u8]) {
        let now = self.now;
        if self.keys.get(key).is_some_and(|entry| entry.expires.is_some_and(|end| end <= now)) {
            self.take(key);
        }
    }

    /// Drops every key whose time is over.
    pub(super) fn purge(&mut self) {
        let now = self.now;
        let over = |entry: &Entry| entry.expires.is_some_and(|end| end <= now);
        let keys: Vec<_> = self.keys.iter().filter(|(_, entry)| over(entry)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.take(&key);
        }
    }

    fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let entry = self.keys.remove(key)?;
        self.used -= key.len() + ELEMENT_OVERHEAD + entry.value.bytes();
        self.touch(key);
        Some(entry)
    }

    pub(super) fn get(&mut self, key: &[u8]) -> Option<&Value> {
        self.expire(key);
        self.keys.get(key).map(|entry| &entry.value)
    }

    pub(super) fn contains(&mut self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// The value if the key exists and is of this kind.
    pub(super) fn read<K: Kind>(&mut self, key: &[u8]) -> Result<Option<&K>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => K::of(value).map(Some).ok_or(WRONGTYPE.into()),
        }
    }

    /// Changes a value, made empty if there is none. `change` returns whether it changed anything.
    pub(super) fn write<K: Kind, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut K) -> (bool, R),
    ) -> Result<R, Failure> {
        self.expire(key);
        if !self.keys.contains_key(key) {
            self.keys.insert(key.to_vec(), Entry { value: K::default().into_value(), expires: None });
            self.used += key.len() + ELEMENT_OVERHEAD;
        }
        self.change(key, change).map(|result| result.ok_or(WRONGTYPE.into()))?
    }

    /// Changes a value if there is one.
    pub(super) fn edit<K: Kind, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut K) -> (bool, R),
    ) -> Result<Option<R>, Failure> {
        self.expire(key);
        self.change(key, change)
    }

    fn change<K: Kind, R>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut K) -> (bool, R),
    ) -> Result<Option<R>, Failure> {
        let Some(entry) = self.keys.get_mut(key) else { return Ok(None) };
        let Some(value) = K::of_mut(&mut entry.value) else { return Err(WRONGTYPE.into()) };
        let before = value.bytes();
        let (changed, result) = change(value);
        let (after, empty) = (value.bytes(), value.is_empty());
        self.used = self.used + after - before;
        if empty {
            // Nobody saw the empty value that `write` made.
            let observed = self.observed;
            self.observed = observed && changed;
            self.take(key);
            self.observed = observed;
        } else if changed {
            self.touch(key);
        }
        Ok(Some(result))
    }

    /// Replaces whatever the key holds.
    pub(super) fn put(&mut self, key: &[u8], value: Value, expires: Option<i64>) {
        self.used += key.len() + ELEMENT_OVERHEAD + value.bytes();
        if let Some(old) = self.keys.insert(key.to_vec(), Entry { value, expires }) {
            self.used -= key.len() + ELEMENT_OVERHEAD + old.value.bytes();
        }
        self.touch(key);
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> bool {
        self.expire(key);
        self.take(key).is_some()
    }

    /// Moves a value with its expiry. `false`: there is no such key.
    pub(super) fn rename(&mut self, from: &[u8], to: &[u8]) -> bool {
        self.expire(from);
        let Some(entry) = self.take(from) else { return false };
        self.put(to, entry.value, entry.expires);
        true
    }

    /// `None`: no such key. `Some(None)`: it does not expire.
    pub(super) fn expires(&mut self, key: &[u8]) -> Option<Option<i64>> {
        self.expire(key);
        self.keys.get(key).map(|entry| entry.expires)
    }

    /// Sets or clears a key's end.
    pub(super) fn set_expires(&mut self, key: &[u8], expires: Option<i64>) {
        if let Some(entry) = self.keys.get_mut(key) {
            entry.expires = expires;
            self.touch(key);
            self.expire(key);
        }
    }

    pub(super) fn names(&mut self) -> Vec<Vec<u8>> {
        self.purge();
        self.keys.keys().cloned().collect()
    }

    pub(super) fn any_name(&mut self) -> Option<Vec<u8>> {
        self.purge();
        self.keys.keys().next().cloned()
    }

    pub(super) fn len(&mut self) -> usize {
        self.purge();
        self.keys.len()
    }

    pub(super) fn clear(&mut self) {
        for key in std::mem::take(&mut self.keys).into_keys() {
            self.touch(&key);
        }
        self.used = 0;
    }
}
