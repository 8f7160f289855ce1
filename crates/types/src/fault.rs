//! A failure as a sentence: what happened, whose side it is on, what to change, and the codes as data.

use std::fmt;
use std::time::Duration;

use crate::time::Timestamp;

/// Who can mend a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The configuration of this program or of its app registration.
    Configuration,
    /// The person or program that called us.
    Caller,
    /// The identity provider, the identity endpoint or the Redis server.
    Provider,
    /// What lies between: name resolution, connection, TLS trust, proxies.
    Network,
    /// A defect of Entrant itself: please report it.
    Entrant,
}

impl Whose {
    /// A word for logs, metrics and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Caller => "caller",
            Self::Provider => "provider",
            Self::Network => "network",
            Self::Entrant => "entrant",
        }
    }
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Not until somebody changes something. (A keeper still tries again, at its slowest pace: the change
    /// may be made while it runs.)
    Never,
    /// Yes, at the caller's own pace.
    Whenever,
    /// Yes, but not before this long (`Retry-After`, throttling).
    After(Duration),
}

/// A code kept as data: branch on it, never on text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// An Entra error number, printed `AADSTS700213`.
    Aadsts(u32),
    /// The OAuth 2.0 `error` value (RFC 6749 §5.2).
    OAuth(String),
    /// The first word of a Redis error reply, such as `WRONGPASS`.
    Redis(String),
    /// The `error` value of a managed-identity endpoint.
    ManagedIdentity(String),
    /// An HTTP status.
    Http(u16),
    /// A name of our own for what has no number elsewhere, such as `tls_untrusted`.
    Entrant(&'static str),
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aadsts(number) => write!(f, "AADSTS{number}"),
            Self::OAuth(text) | Self::Redis(text) | Self::ManagedIdentity(text) => f.write_str(text),
            Self::Http(status) => write!(f, "HTTP {status}"),
            Self::Entrant(name) => f.write_str(name),
        }
    }
}

/// A failure that a person can act on. Never holds secret text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened, one sentence.
    pub what: String,
    /// Who can mend it.
    pub whose: Whose,
    /// What to change, one or more sentences in the imperative.
    pub fix: String,
    /// Whether trying again can help.
    pub retry: Retry,
    /// Codes of those who reported it, most specific first.
    pub codes: Vec<Code>,
    /// Ids that the provider's support asks for.
    pub trace: Trace,
}

/// What Entra's support asks for when a failure is reported to it, and what a step-up needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// `trace_id` of the error reply.
    pub trace_id: Option<String>,
    /// `correlation_id` of the error reply.
    pub correlation_id: Option<String>,
    /// When the provider says it happened.
    pub timestamp: Option<String>,
    /// `suberror` of the error reply.
    pub suberror: Option<String>,
    /// `claims` of the error reply: what a new sign-in must ask for.
    pub claims: Option<String>,
}

impl Fault {
    /// A failure without codes that may be retried at the caller's pace.
    #[must_use]
    pub fn new(whose: Whose, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            whose,
            fix: fix.into(),
            retry: Retry::Whenever,
            codes: Vec::new(),
            trace: Trace::default(),
        }
    }

    /// The same failure with whether a retry can help.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The same failure with one more code.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.codes.push(code);
        self
    }

    /// The first Entra number, if any.
    #[must_use]
    pub fn aadsts(&self) -> Option<u32> {
        self.codes.iter().find_map(|code| if let Code::Aadsts(number) = code { Some(*number) } else { None })
    }

    /// Whether `name` is among our own codes.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.codes.iter().any(|code| matches!(code, Code::Entrant(own) if *own == name))
    }

    /// When to try again at the earliest, if the provider said so.
    #[must_use]
    pub fn not_before(&self, now: Timestamp) -> Option<Timestamp> {
        if let Retry::After(span) = self.retry { Some(now + span) } else { None }
    }
}

/// `CODE: what. Fix: …` on one line.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.codes.first() {
            write!(f, "{code}: ")?;
        }
        write!(f, "{}", self.what)?;
        if !self.fix.is_empty() {
            write!(f, " Fix: {}", self.fix)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
