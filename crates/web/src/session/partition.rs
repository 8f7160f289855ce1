//! A session's tokens as the confidential client wants them: a partition with compare-and-set.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use entrant_confidential::{AccountTokens, Replaced, TokenStore, Versioned};
use entrant_types::{BoxFuture, Fault};

use super::sessions::{Session, Sessions};
use super::store;

/// The tokens of one session, inside its sealed record.
pub struct SessionTokens<'a> {
    sessions: &'a Sessions,
    session: &'a Session,
    name: String,
    /// The first look takes what the request has loaded anyway: a warm request reads the store once.
    used: AtomicBool,
}

impl<'a> SessionTokens<'a> {
    /// The tokens of `session`.
    #[must_use]
    pub fn new(sessions: &'a Sessions, session: &'a Session) -> Self {
        Self { sessions, session, name: session.id().to_string(), used: AtomicBool::new(false) }
    }

    async fn read(&self) -> Result<Option<Versioned>, Fault> {
        if !self.used.swap(true, Ordering::Relaxed) {
            let record = self.session.record();
            return Ok(Some(Versioned { version: record.tokens_version, tokens: Arc::new(record.tokens.clone()) }));
        }
        let found = self.sessions.tokens(self.session).await?;
        Ok(found.map(|(tokens, version)| Versioned { version, tokens: Arc::new(tokens) }))
    }

    async fn write(&self, expected: u64, tokens: &AccountTokens) -> Result<Replaced, Fault> {
        Ok(match self.sessions.save_tokens(self.session, expected, tokens).await? {
            store::Replaced::Done(version) => Replaced::Done(version),
            store::Replaced::Conflict => Replaced::Conflict,
            store::Replaced::Gone => Replaced::Gone,
        })
    }
}

impl TokenStore for SessionTokens<'_> {
    fn partition(&self) -> &str {
        &self.name
    }

    fn load(&self) -> BoxFuture<'_, Result<Option<Versioned>, Fault>> {
        Box::pin(self.read())
    }

    fn replace<'a>(&'a self, expected: u64, tokens: &'a AccountTokens) -> BoxFuture<'a, Result<Replaced, Fault>> {
        Box::pin(self.write(expected, tokens))
    }
}
