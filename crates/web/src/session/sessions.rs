//! The life of a session: begin, find, note, end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrant_confidential::AccountTokens;
use entrant_types::{Clock, Entropy, Fault, Retry, Secret, Timestamp, Whose};
use http::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

use super::record::{Person, Record};
use super::seal::{Purpose, RecordId, SealKey};
use super::store::{Replaced, SessionStore};
use crate::cookie;

/// How long a session may live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Without a request.
    pub idle: Duration,
    /// In all.
    pub absolute: Duration,
}

impl Default for Limits {
    /// 30 minutes idle, 12 hours in all: a working day, and what OWASP's session guidance and the proxies of the
    /// field come to.
    fn default() -> Self {
        Self { idle: Duration::from_secs(30 * 60), absolute: Duration::from_secs(12 * 3600) }
    }
}

/// The 256-bit value that only the browser's cookie holds.
struct Value(Zeroizing<[u8; 32]>);

impl Value {
    fn new(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(bytes.as_mut());
        Self(bytes)
    }

    /// 43 characters of unpadded base64url, or nothing.
    fn parse(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        let whole = text.len() == 43 && URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut()) == Ok(32);
        whole.then_some(Self(bytes))
    }

    fn text(&self) -> Secret {
        Secret::new(URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }
}

/// A live session that a request belongs to.
pub struct Session {
    key: SealKey,
    version: u64,
    record: Record,
    form_token: Secret,
}

impl Session {
    /// Its name in the store.
    #[must_use]
    pub const fn id(&self) -> &RecordId {
        self.key.id()
    }

    /// What it held when it was loaded.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// What a form must carry to act for this session: derived from the cookie's value, so that another site
    /// cannot know it and nothing need be stored.
    #[must_use]
    pub const fn form_token(&self) -> &Secret {
        &self.form_token
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", self.id()).field("version", &self.version).finish_non_exhaustive()
    }
}

/// All sessions of this app. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Sessions {
    store: Arc<dyn SessionStore>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Sessions {
    /// Over `store`.
    #[must_use]
    pub fn new(store: Arc<dyn SessionStore>, limits: Limits, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { store, limits, clock, entropy }
    }

    /// The limits in force.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// The live session of a request. What the cookie says otherwise (nothing, nonsense, an ended or expired
    /// session, a record that does not open) is simply nobody.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn find(&self, headers: &HeaderMap) -> Result<Option<Session>, Fault> {
        let Some(value) = cookie::one(headers, cookie::SESSION).and_then(Value::parse) else { return Ok(None) };
        let key = SealKey::derive(value.0.as_slice(), Purpose::Session)?;
        let Some((version, record)) = self.load(&key).await? else { return Ok(None) };
        let form_token = key.form_token(value.0.as_slice())?;
        let mut session = Session { key, version, record, form_token };
        Ok(self.note(&mut session).await?.then_some(session))
    }

    /// Loads and opens a record that has not reached its limits.
    async fn load(&self, key: &SealKey) -> Result<Option<(u64, Record)>, Fault> {
        let Some(stored) = self.store.load(key.id()).await? else { return Ok(None) };
        let Some(plain) = key.open(stored.version, &stored.sealed) else {
            tracing::warn!(session = ?key.id(), "a session record does not open; it counts as ended");
            return Ok(None);
        };
        let Ok(record) = serde_json::from_slice::<Record>(&plain) else {
            tracing::warn!(session = ?key.id(), "a session record of another release; it counts as ended");
            return Ok(None);
        };
        let now = self.clock.now();
        let idle = record.seen.until(now) >= self.limits.idle;
        if idle || record.signed_in.until(now) >= self.limits.absolute {
            self.store.end(key.id(), self.limits.idle).await?;
            tracing::info!(session = ?key.id(), reason = if idle { "idle" } else { "absolute" }, "session expired");
            return Ok(None);
        }
        Ok(Some((stored.version, record)))
    }

    /// Notes the request when the last note is older than a tenth of the idle limit. `false` when the session
    /// ended meanwhile.
    async fn note(&self, session: &mut Session) -> Result<bool, Fault> {
        let now = self.clock.now();
        if session.record.seen.until(now) < self.limits.idle / 10 {
            return Ok(true);
        }
        session.record.seen = now;
        match self.replace(&session.key, session.version, &session.record).await? {
            Replaced::Done(version) => session.version = version,
            // Another request of the same session wrote first: it noted itself.
            Replaced::Conflict => {}
            Replaced::Gone => return Ok(false),
        }
        Ok(true)
    }

    async fn replace(&self, key: &SealKey, expected: u64, record: &Record) -> Result<Replaced, Fault> {
        let sealed = key.seal(expected.saturating_add(1), plain(record)?, self.entropy.as_ref())?;
        self.store.replace(key.id(), expected, sealed, self.ttl(record)).await
    }

    /// What is left of the idle limit or of the absolute one, whichever is shorter.
    fn ttl(&self, record: &Record) -> Duration {
        let absolute = self.clock.now().until(record.signed_in + self.limits.absolute);
        absolute.min(self.limits.idle).max(Duration::from_secs(1))
    }

    /// Begins a session under a new value and ends the one that the request came with, if any. Returns the
    /// cookie. `group` is what the identity provider calls its own session.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn begin(
        &self,
        headers: &HeaderMap,
        person: Person,
        tokens: AccountTokens,
        group: Option<&RecordId>,
    ) -> Result<HeaderValue, Fault> {
        for (_, old) in cookie::all(headers, |name| name == cookie::SESSION) {
            if let Some(old) = Value::parse(old) {
                self.store.end(&RecordId::of(old.0.as_slice()), self.limits.absolute).await?;
            }
        }
        let value = Value::new(self.entropy.as_ref());
        let key = SealKey::derive(value.0.as_slice(), Purpose::Session)?;
        let now = self.clock.now();
        let record = Record { person, signed_in: now, seen: now, tokens, tokens_version: 1 };
        let sealed = key.seal(1, plain(&record)?, self.entropy.as_ref())?;
        if !self.store.create(key.id(), sealed, self.ttl(&record)).await? {
            return Err(defect("A new session met an old one of the same id."));
        }
        if let Some(group) = group {
            self.store.join(group, key.id(), self.limits.absolute).await?;
        }
        tracing::info!(session = ?key.id(), "session begun");
        cookie::set(cookie::SESSION, &value.text(), None).ok_or_else(|| defect("A cookie could not be written."))
    }

    /// The tokens of a session with their version, read afresh.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn tokens(&self, session: &Session) -> Result<Option<(AccountTokens, u64)>, Fault> {
        let found = self.load(&session.key).await?;
        Ok(found.map(|(_, record)| (record.tokens, record.tokens_version)))
    }

    /// Saves tokens if nobody saved others since version `expected`. A request noted meanwhile is no conflict.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn save_tokens(
        &self,
        session: &Session,
        expected: u64,
        tokens: &AccountTokens,
    ) -> Result<Replaced, Fault> {
        // Every turn of the loop means that another request of this session got through.
        for _ in 0..16 {
            let Some((version, mut record)) = self.load(&session.key).await? else { return Ok(Replaced::Gone) };
            if record.tokens_version != expected {
                return Ok(Replaced::Conflict);
            }
            record.tokens = tokens.clone();
            record.tokens_version = expected.saturating_add(1);
            match self.replace(&session.key, version, &record).await? {
                Replaced::Done(_) => return Ok(Replaced::Done(record.tokens_version)),
                Replaced::Conflict => {}
                Replaced::Gone => return Ok(Replaced::Gone),
            }
        }
        Ok(Replaced::Conflict)
    }

    /// Ends a session on the server.
    ///
    /// # Errors
    /// When the store cannot be written: the session may still live.
    pub async fn end(&self, session: &Session) -> Result<(), Fault> {
        tracing::info!(session = ?session.id(), "session ended");
        self.store.end(session.id(), self.limits.absolute).await
    }

    /// Ends all sessions of a group; returns how many there were.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn end_group(&self, group: &RecordId) -> Result<usize, Fault> {
        let members = self.store.disband(group).await?;
        for member in &members {
            self.store.end(member, self.limits.absolute).await?;
        }
        Ok(members.len())
    }

    /// When a session ends if nothing more is asked of it, and when it ends at the latest.
    #[must_use]
    pub fn ends(&self, record: &Record) -> (Timestamp, Timestamp) {
        (record.seen + self.limits.idle, record.signed_in + self.limits.absolute)
    }
}

fn plain(record: &Record) -> Result<Zeroizing<Vec<u8>>, Fault> {
    serde_json::to_vec(record).map(Zeroizing::new).map_err(|_| defect("A session record could not be written."))
}

fn defect(what: &str) -> Fault {
    Fault::new(Whose::Entrant, what, "Report this as a defect of Entrant.").retry(Retry::Never)
}
