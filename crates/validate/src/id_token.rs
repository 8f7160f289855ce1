//! ID tokens: who signed in, checked in the order of OpenID Connect Core 1.0 §3.1.3.7 and §12.2.

use std::sync::Arc;
use std::time::Duration;

use entrant_proto::jose::Jws;
use entrant_types::emulation::World;
use entrant_types::{Clock, Secret, Timestamp};
use serde::{Deserialize, Serialize};

use crate::claims::Facts;
use crate::payload::{Claim, Claims};
use crate::policy::{IssuerRule, Policy, Tenants};
use crate::rejected::shown;
use crate::{KeySet, Rejected, Verified, check};

/// Which ID tokens are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTokenPolicy {
    /// Tokens of the other world are refused.
    pub world: World,
    /// Accepted issuers.
    pub issuers: Vec<IssuerRule>,
    /// Accepted tenants.
    pub tenants: Tenants,
    /// The application that people sign in to: the only accepted audience.
    pub client_id: String,
    /// How far clocks may differ; at most [`Policy::MAX_SKEW`] counts.
    pub clock_skew: Duration,
}

impl IdTokenPolicy {
    /// Sign-ins to `client_id` through these issuers.
    #[must_use]
    pub fn new(world: World, issuers: Vec<IssuerRule>, tenants: Tenants, client_id: impl Into<String>) -> Self {
        Self { world, issuers, tenants, client_id: client_id.into(), clock_skew: Policy::DEFAULT_SKEW }
    }
}

/// What the ID token must say besides.
#[derive(Clone, Debug)]
pub enum Expected<'a> {
    /// The answer to a sign-in: exactly this nonce, and with `max_age` a sign-in no older than that.
    SignIn {
        /// The nonce of the authorization request.
        nonce: &'a Secret,
        /// `max_age` of the authorization request.
        max_age: Option<Duration>,
    },
    /// The answer to a refresh (§12.2): the same person as before.
    Renewal(&'a Subject),
}

/// Who signed in, as later ID tokens of the same session must repeat it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// `auth_time`, when given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Timestamp>,
}

impl Subject {
    /// The subject of a verified ID token.
    #[must_use]
    pub fn of(token: &Verified) -> Option<Self> {
        Some(Self {
            issuer: token.issuer()?.to_owned(),
            subject: token.subject()?.to_owned(),
            auth_time: token.auth_time(),
        })
    }
}

/// Validates ID tokens of one application. Signature, issuer, audience and times are always checked: that
/// the token came straight from the token endpoint is no reason to believe it.
#[derive(Debug)]
pub struct IdTokenValidator {
    policy: IdTokenPolicy,
    keys: KeySet,
    clock: Arc<dyn Clock>,
}

impl IdTokenValidator {
    /// Nothing is fetched yet.
    #[must_use]
    pub fn new(policy: IdTokenPolicy, keys: KeySet, clock: Arc<dyn Clock>) -> Self {
        Self { policy, keys, clock }
    }

    /// Validates an ID token.
    ///
    /// # Errors
    /// The cause.
    pub async fn validate(&self, token: &str, expected: Expected<'_>) -> Result<Verified, Rejected> {
        // Step 1, encryption: none is ever asked for, so five parts are malformed.
        let token = check::decode(Jws::split(token)?)?;
        let claims = Claims::read(token.payload())?;
        check::world(token.header(), &claims, self.policy.world)?;
        // Step 2, issuer.
        let tid = check::issuer(&claims, &self.policy.issuers, &self.policy.tenants)?;
        // Steps 3 to 5, audience and authorized party.
        self.audience(&claims)?;
        // Steps 6 to 8, signature by an allowed algorithm (RS256 alone, see `decode`).
        let _key = check::id_token_signature(&token, &self.keys, tid).await?;
        // Steps 9 and 10, expiry and issue time.
        let now = self.clock.now();
        let expires = check::times(&claims, now, self.policy.clock_skew)?;
        if claims.iat == Claim::Absent {
            return Err(Rejected::Malformed("it does not say when it was issued"));
        }
        if claims.sub.text().is_none_or(str::is_empty) {
            return Err(Rejected::Malformed("it names no subject"));
        }
        // Steps 11 to 13, nonce and sign-in time; or §12.2.
        match expected {
            Expected::SignIn { nonce, max_age } => {
                same_nonce(&claims, nonce)?;
                self.recent(&claims, max_age, now)?;
            }
            Expected::Renewal(subject) => continues(&claims, subject)?,
        }
        let facts = Facts::of(&claims, expires);
        Ok(Verified::new(Arc::new(facts), token.into_payload()))
    }

    fn audience(&self, claims: &Claims<'_>) -> Result<(), Rejected> {
        let found = claims.aud.texts();
        // An access token of an application for its own API has the same audience.
        if claims.scp != Claim::Absent {
            return Err(Rejected::AccessToken);
        }
        if found.as_slice() != [self.policy.client_id.as_str()] {
            let expected = vec![self.policy.client_id.clone()];
            return Err(Rejected::Audience { found: shown(&found.join(" ")), expected });
        }
        match &claims.azp {
            Claim::Absent => Ok(()),
            Claim::Text(azp) if *azp == self.policy.client_id => Ok(()),
            other => Err(Rejected::AuthorizedParty { found: shown(other.text().unwrap_or_default()) }),
        }
    }

    fn recent(&self, claims: &Claims<'_>, max_age: Option<Duration>, now: Timestamp) -> Result<(), Rejected> {
        let Some(max_age) = max_age else { return Ok(()) };
        let signed_in = check::moment(&claims.auth_time)?.ok_or(Rejected::SignInTooOld)?;
        let skew = self.policy.clock_skew.min(Policy::MAX_SKEW);
        if signed_in + max_age + skew < now { Err(Rejected::SignInTooOld) } else { Ok(()) }
    }
}

fn same_nonce(claims: &Claims<'_>, nonce: &Secret) -> Result<(), Rejected> {
    match claims.nonce.text() {
        Some(found) if !nonce.is_empty() && Secret::from(found) == *nonce => Ok(()),
        _ => Err(Rejected::Nonce),
    }
}

fn continues(claims: &Claims<'_>, before: &Subject) -> Result<(), Rejected> {
    if claims.iss.text() != Some(&before.issuer) {
        return Err(Rejected::Continuation("iss"));
    }
    if claims.sub.text() != Some(&before.subject) {
        return Err(Rejected::Continuation("sub"));
    }
    match (check::moment(&claims.auth_time)?, before.auth_time) {
        (Some(now), Some(then)) if now != then => Err(Rejected::Continuation("auth_time")),
        _ => Ok(()),
    }
}
