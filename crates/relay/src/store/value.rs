//! What a key can hold, each kind knowing its own size.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What an element costs beside its bytes: allocation, tree node, pointers. An estimate, on the safe side.
pub(super) const ELEMENT_OVERHEAD: usize = 64;

/// A key's value.
#[derive(Debug)]
pub(super) enum Value {
    String(Text),
    Hash(Fields),
    List(Items),
    Set(Members),
    Zset(Scored),
}

/// A string.
#[derive(Debug, Default)]
pub(super) struct Text(pub(super) Vec<u8>);

/// A hash's fields, in order of their names.
#[derive(Debug, Default)]
pub(super) struct Fields {
    map: BTreeMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

/// A list's elements.
#[derive(Debug, Default)]
pub(super) struct Items {
    deque: VecDeque<Vec<u8>>,
    bytes: usize,
}

/// A set's members, in order.
#[derive(Debug, Default)]
pub(super) struct Members {
    set: BTreeSet<Vec<u8>>,
    bytes: usize,
}

/// A sorted set's members and scores, in order of scores.
#[derive(Debug, Default)]
pub(super) struct Scored {
    scores: BTreeMap<Vec<u8>, Score>,
    order: BTreeSet<(Score, Vec<u8>)>,
    bytes: usize,
}

/// A score; never NaN, so its total order is the numeric one (with -0 as 0).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Score(pub(super) f64);

impl Eq for Score {}
impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// One kind of value.
pub(super) trait Kind: Default {
    fn of(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn into_value(self) -> Value;
    /// Bytes that it holds, overhead included.
    fn bytes(&self) -> usize;
    fn is_empty(&self) -> bool;
}

macro_rules! kind {
    ($kind:ident, $variant:ident, $bytes:expr, $empty:expr) => {
        impl Kind for $kind {
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$variant(own) = value { Some(own) } else { None }
            }
            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$variant(own) = value { Some(own) } else { None }
            }
            fn into_value(self) -> Value {
                Value::$variant(self)
            }
            fn bytes(&self) -> usize {
                let bytes: fn(&Self) -> usize = $bytes;
                bytes(self)
            }
            fn is_empty(&self) -> bool {
                let empty: fn(&Self) -> bool = $empty;
                empty(self)
            }
        }
    };
}

// An empty string is a value; empty collections are not.
kind!(Text, String, |own| own.0.len(), |_| false);
kind!(Fields, Hash, |own| own.bytes, |own| own.map.is_empty());
kind!(Items, List, |own| own.bytes, |own| own.deque.is_empty());
kind!(Members, Set, |own| own.bytes, |own| own.set.is_empty());
kind!(Scored, Zset, |own| own.bytes, |own| own.scores.is_empty());

impl Value {
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Hash(_) => "hash",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Zset(_) => "zset",
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::String(own) => own.bytes(),
            Self::Hash(own) => own.bytes(),
            Self::List(own) => own.bytes(),
            Self::Set(own) => own.bytes(),
            Self::Zset(own) => own.bytes(),
        }
    }
}

impl Fields {
    /// Whether the field is new.
    pub(super) fn insert(&mut self, field: &[u8], value: Vec<u8>) -> bool {
        let added = value.len();
        if let Some(own) = self.map.get_mut(field) {
            self.bytes = self.bytes + added - own.len();
            *own = value;
            return false;
        }
        self.bytes += field.len() + added + ELEMENT_OVERHEAD;
        self.map.insert(field.to_vec(), value);
        true
    }

    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let Some(value) = self.map.remove(field) else { return false };
        self.bytes -= field.len() + value.len() + ELEMENT_OVERHEAD;
        true
    }

    pub(super) fn get(&self, field: &[u8]) -> Option<&Vec<u8>> {
        self.map.get(field)
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        self.map.iter()
    }
}

impl Items {
    pub(super) fn push(&mut self, left: bool, item: Vec<u8>) {
        self.bytes += item.len() + ELEMENT_OVERHEAD;
        if left { self.deque.push_front(item) } else { self.deque.push_back(item) }
    }

    pub(super) fn pop(&mut self, left: bool) -> Option<Vec<u8>> {
        let item = if left { self.deque.pop_front() } else { self.deque.pop_back() }?;
        self.bytes -= item.len() + ELEMENT_OVERHEAD;
        Some(item)
    }

    pub(super) fn len(&self) -> usize {
        self.deque.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Vec<u8>> {
        self.deque.get(at)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.deque.iter()
    }

    /// Whether there is such an element.
    pub(super) fn set(&mut self, at: usize, item: Vec<u8>) -> bool {
        let Some(own) = self.deque.get_mut(at) else { return false };
        self.bytes = self.bytes + item.len() - own.len();
        *own = item;
        true
    }

    /// Removes up to `limit` elements equal to `item`, from the left or from the right.
    pub(super) fn remove(&mut self, item: &[u8], limit: usize, from_left: bool) -> usize {
        let mut kept = VecDeque::with_capacity(self.deque.len());
        let mut removed = 0;
        while let Some(own) = if from_left { self.deque.pop_front() } else { self.deque.pop_back() } {
            if removed < limit && own == item {
                removed += 1;
                self.bytes -= own.len() + ELEMENT_OVERHEAD;
            } else if from_left {
                kept.push_back(own);
            } else {
                kept.push_front(own);
            }
        }
        self.deque = kept;
        removed
    }

    /// Keeps the elements `start..end`.
    pub(super) fn keep(&mut self, start: usize, end: usize) {
        self.deque.truncate(end);
        drop(self.deque.drain(..start.min(self.deque.len())));
        self.bytes = self.deque.iter().map(|item| item.len() + ELEMENT_OVERHEAD).sum();
    }
}

impl Members {
    pub(super) fn insert(&mut self, member: &[u8]) -> bool {
        let new = self.set.insert(member.to_vec());
        if new {
            self.bytes += member.len() + ELEMENT_OVERHEAD;
        }
        new
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let removed = self.set.remove(member);
        if removed {
            self.bytes -= member.len() + ELEMENT_OVERHEAD;
        }
        removed
    }

    pub(super) fn contains(&self, member: &[u8]) -> bool {
        self.set.contains(member)
    }

    pub(super) fn len(&self) -> usize {
        self.set.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.set.iter()
    }
}

impl Scored {
    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).map(|score| score.0)
    }

    /// Sets a member's score.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) {
        // -0 equals 0 for Redis.
        let score = Score(score + 0.0);
        match self.scores.insert(member.to_vec(), score) {
            Some(old) => {
                self.order.remove(&(old, member.to_vec()));
            }
            None => self.bytes += 2 * (member.len() + ELEMENT_OVERHEAD),
        }
        self.order.insert((score, member.to_vec()));
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let Some(score) = self.scores.remove(member) else { return false };
        self.order.remove(&(score, member.to_vec()));
        self.bytes -= 2 * (member.len() + ELEMENT_OVERHEAD);
        true
    }

    pub(super) fn len(&self) -> usize {
        self.scores.len()
    }

    /// By score, then by name.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&Vec<u8>, f64)> {
        self.order.iter().map(|(score, member)| (member, score.0))
    }
}
