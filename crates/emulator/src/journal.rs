//! What really went over the wire, newest last, with secrets replaced by their decoded claims.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use entrant_proto::jose::{MAX_TOKEN_BYTES, from_base64url, to_base64url};
use entrant_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Entries kept. A sign-in with an API call makes about ten.
const KEPT: usize = 400;

/// One request with its reply.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Number since the start, from 1.
    pub number: u64,
    /// When it was answered, in emulated time.
    pub at: Timestamp,
    /// Who asked: an app's name, `browser`, `API`.
    pub from: String,
    /// Who answered: `identity endpoint`, `Entra`, `API`, `Redis`.
    pub to: String,
    /// What was asked, in a few words.
    pub what: String,
    /// HTTP status, or 0 where there is none.
    pub status: u16,
    /// `AADSTS…` or another code, when refused.
    pub code: Option<String>,
    /// One sentence: why it was refused and what to change.
    pub explanation: Option<String>,
    /// Trace id of the reply.
    pub trace_id: Option<String>,
    /// How long the answer took, in milliseconds of real time.
    pub millis: Option<f64>,
    /// Tokens that the request carried or the reply contained.
    pub tokens: Vec<TokenView>,
    /// How often the same was asked and answered in a row; `at` is the last time.
    pub times: u32,
}

/// A token without the token.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenView {
    /// What it is, such as `client assertion` or `access token`.
    pub name: String,
    /// First characters of the SHA-256 of its text: tells two tokens apart, opens nothing.
    pub hash: String,
    /// Its claims, when it is a JWT.
    pub claims: Map<String, Value>,
    /// The claims as they were in the token, until somebody looks: most entries leave the journal unread.
    #[serde(skip)]
    unread: Option<Box<str>>,
}

impl Entry {
    /// An exchange between two parties.
    #[must_use]
    pub fn new(from: &str, to: &str, what: impl Into<String>) -> Self {
        Self { from: from.to_owned(), to: to.to_owned(), what: what.into(), status: 200, times: 1, ..Self::default() }
    }

    /// Cuts what another process sent to a size that can be shown.
    pub(crate) fn bound(&mut self) {
        for text in [&mut self.from, &mut self.to] {
            *text = text.chars().take(60).collect();
        }
        self.what = self.what.chars().take(300).collect();
        self.explanation = self.explanation.take().map(|text| text.chars().take(1000).collect());
        self.tokens.truncate(6);
    }
}

impl TokenView {
    /// The view of `token`.
    #[must_use]
    pub fn of(name: &str, token: &str) -> Self {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
        let middle = token.split_once('.').and_then(|(_, rest)| rest.rsplit_once('.')).map(|(middle, _)| middle.into());
        Self {
            name: name.to_owned(),
            hash: to_base64url(&hash.as_ref()[..6]),
            claims: Map::new(),
            unread: middle.filter(|_| token.len() <= MAX_TOKEN_BYTES),
        }
    }

    fn read(&mut self) {
        if let Some(claims) = self.unread.take().and_then(|text| from_base64url(&text)) {
            self.claims = serde_json::from_slice(&claims).unwrap_or_default();
        }
    }
}

/// The entries. Cloning the handle is not needed: it lives in the emulator.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    entries: VecDeque<Entry>,
}

impl Journal {
    pub(crate) fn add(&self, mut entry: Entry) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.next += 1;
        entry.number = kept.next;
        if kept.entries.len() == KEPT {
            kept.entries.pop_front();
        }
        kept.entries.push_back(entry);
    }

    /// Counts the last entry once more if it is this same exchange with the same token; `false` otherwise. Keeps a
    /// client that asks a hundred times a second from pushing everything else out.
    pub(crate) fn repeat(&self, at: Timestamp, from: &str, what: &str, token: &str) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |last: &&mut Entry| {
            last.from == from
                && last.what == what
                && last.code.is_none()
                && last.tokens.iter().any(|own| own.hash == token)
        };
        match kept.entries.back_mut().filter(same) {
            Some(last) => {
                last.times = last.times.saturating_add(1);
                last.at = at;
                true
            }
            None => false,
        }
    }

    /// Entries with a number above `after`.
    pub(crate) fn since(&self, after: u64) -> Vec<Entry> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Entry> = kept.entries.iter().filter(|entry| entry.number > after).cloned().collect();
        drop(kept);
        found.iter_mut().flat_map(|entry| &mut entry.tokens).for_each(TokenView::read);
        found
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entries.clear();
    }
}
