//! One place to get a token from, and its three answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use entrant_types::{AccessToken, BoxFuture, Code, Fault, Retry, Scope, Whose};

/// What a source answers.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// This source does not apply here, and why (its variables are not set, its program is not installed).
    /// The only answer after which a chain goes on.
    NotApplicable(String),
    /// A token.
    Token(AccessToken),
    /// The source applies, and failed.
    Failed(Fault),
}

impl Outcome {
    /// The token, or the fault of there being none.
    ///
    /// # Errors
    /// The fault of [`Outcome::Failed`]; for [`Outcome::NotApplicable`] one that names the source.
    pub fn into_result(self, source: &str) -> Result<AccessToken, Fault> {
        match self {
            Self::Token(token) => Ok(token),
            Self::Failed(fault) => Err(fault),
            Self::NotApplicable(why) => Err(Fault::new(
                Whose::Configuration,
                format!("the credential source {source} does not apply here: {why}"),
                "Set what it needs, or choose another with --source.",
            )
            // A metadata service that is not there yet makes a source not apply while a machine starts.
            .retry(Retry::Whenever)
            .code(Code::Entrant("source_not_applicable"))),
        }
    }
}

impl From<Result<AccessToken, Fault>> for Outcome {
    fn from(result: Result<AccessToken, Fault>) -> Self {
        match result {
            Ok(token) => Self::Token(token),
            Err(fault) => Self::Failed(fault),
        }
    }
}

/// A place to get tokens from. Each call asks once, without a cache and without a retry: both are the
/// keeper's.
pub trait Source: fmt::Debug + Send + Sync {
    /// A short fixed name for logs and metrics, such as `imds`.
    fn name(&self) -> &str;

    /// Asks for one token.
    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome>;

    /// By how many milliseconds the provider's clock was ahead of ours in its last reply, where it said so.
    fn skew_millis(&self) -> Option<i64> {
        None
    }
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        (**self).fetch(scope)
    }

    fn skew_millis(&self) -> Option<i64> {
        (**self).skew_millis()
    }
}

/// The skew last seen, for sources to keep.
#[derive(Debug)]
pub struct SeenSkew(AtomicI64);

impl SeenSkew {
    const NEVER: i64 = i64::MIN;

    /// Keeps what a reply said.
    pub fn see(&self, skew: Option<i64>) {
        if let Some(skew) = skew {
            self.0.store(skew, Ordering::Relaxed);
        }
    }

    /// The last that was seen.
    #[must_use]
    pub fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|skew| *skew != Self::NEVER)
    }
}

impl Default for SeenSkew {
    fn default() -> Self {
        Self(AtomicI64::new(Self::NEVER))
    }
}
