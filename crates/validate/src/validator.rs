//! Bearer tokens: is this access token good, and does it suffice?

use std::sync::Arc;

use entrant_proto::jose::MAX_TOKEN_BYTES;
use entrant_types::{Clock, metric};
use serde_json::{Map, Value};

use crate::policy::Policy;
use crate::rejected::shown;
use crate::verdicts::{self, Verdict, Verdicts};
use crate::{KeySet, Rejected, Verified, check};

/// Validates access tokens by one policy. Shared by all requests.
#[derive(Debug)]
pub struct Validator {
    policy: Policy,
    keys: KeySet,
    clock: Arc<dyn Clock>,
    verdicts: Verdicts,
}

impl Validator {
    /// Nothing is fetched yet.
    #[must_use]
    pub fn new(policy: Policy, keys: KeySet, clock: Arc<dyn Clock>) -> Self {
        Self { policy, keys, clock, verdicts: Verdicts::default() }
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The issuer's keys.
    #[must_use]
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Validates an access token and the policy's requirement.
    ///
    /// What can be refused without a key is refused first, so that a flood of worthless tokens costs no
    /// request to the issuer.
    ///
    /// # Errors
    /// The cause. [`Rejected::status`] tells 401, 403 and 503 apart.
    pub async fn validate(&self, token: &str) -> Result<Verified, Rejected> {
        let result = self.inner(token).await;
        let result = result.and_then(|verified| self.policy.requirement.check(&verified).map(|()| verified));
        let label = result.as_ref().err().map_or("ok", Rejected::reason);
        metrics::counter!(metric::TOKEN_VALIDATIONS, "result" => label).increment(1);
        result
    }

    async fn inner(&self, token: &str) -> Result<Verified, Rejected> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Rejected::TooLarge(token.len()));
        }
        let hash = verdicts::hash(token);
        if let Some(verdict) = self.verdicts.get(&hash) {
            if self.still_holds(&verdict) {
                return Ok(verdict.verified);
            }
            self.verdicts.forget(&hash);
        }
        let verdict = self.judge(token).await?;
        self.verdicts.put(hash, verdict.clone());
        Ok(verdict.verified)
    }

    /// The token has not expired since, and its key has not been withdrawn. (The policy is part of this very
    /// validator; requirements are checked anew each time.)
    fn still_holds(&self, verdict: &Verdict) -> bool {
        let end = verdict.verified.expires() + self.policy.clock_skew.min(Policy::MAX_SKEW);
        self.clock.now() < end && self.keys.publishes(&verdict.key)
    }

    async fn judge(&self, token: &str) -> Result<Verdict, Rejected> {
        let jwt = check::parse(token)?;
        check::world(&jwt, self.policy.world)?;
        let claims = jwt.unverified_claims();
        let tid = check::issuer(claims, &self.policy.issuers, &self.policy.tenants)?;
        self.audience(claims)?;
        refuse_id_token(claims)?;
        let expires = check::times(claims, self.clock.now(), self.policy.clock_skew)?;
        let key = check::signature(&jwt, &self.keys, tid).await?;
        let verified = Verified::new(jwt.into_unverified_claims(), expires);
        Ok(Verdict { verified, key })
    }

    fn audience(&self, claims: &Map<String, Value>) -> Result<(), Rejected> {
        let found = check::audiences(claims);
        if found.iter().any(|aud| self.policy.audiences.iter().any(|own| own == aud)) {
            return Ok(());
        }
        Err(Rejected::Audience { found: shown(&found.join(" ")), expected: self.policy.audiences.clone() })
    }
}

/// An access token names the application it was issued to (`azp` in v2, `appid` in v1); an ID token of Entra
/// does not, and carries `nonce`, `at_hash` or `c_hash` instead of `scp`. (B2C access tokens have both a
/// `nonce` and `scp`.)
fn refuse_id_token(claims: &Map<String, Value>) -> Result<(), Rejected> {
    let has = |name: &str| claims.get(name).is_some_and(|value| !value.is_null());
    let no_client = !has("azp") && !has("appid");
    let sign_in_proof = !has("scp") && ["nonce", "at_hash", "c_hash"].into_iter().any(has);
    if no_client || sign_in_proof { Err(Rejected::IdToken) } else { Ok(()) }
}
