//! An access token and how long it lives.

use std::time::Duration;

use crate::secret::Secret;
use crate::time::Timestamp;

/// When a token was received, when its issuer asks to renew it, and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// When we received it, by our clock. Lifetimes are measured from here: Entra back-dates `iat` by five
    /// minutes, so `exp - iat` is not the life that is left.
    pub received: Timestamp,
    /// When the issuer asks for renewal (`refresh_in`), if it said so.
    pub refresh_at: Option<Timestamp>,
    /// When the token ends, by our clock.
    pub expires: Timestamp,
}

impl Lifetime {
    /// What is left at `now`; zero once expired.
    #[must_use]
    pub fn left(&self, now: Timestamp) -> Duration {
        now.until(self.expires)
    }

    /// Whether the token may still be sent at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        now < self.expires
    }
}

/// A bearer access token. Cloning is cheap; printing shows the lifetime only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// The token text.
    pub secret: Secret,
    /// How long it lives.
    pub lifetime: Lifetime,
}
