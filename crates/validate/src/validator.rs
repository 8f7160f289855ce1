//! Bearer tokens: is this access token good, and does it suffice?

use std::sync::Arc;

use entrant_proto::jose::Jws;
use entrant_types::{Clock, metric};

use crate::claims::Facts;
use crate::payload::{Claim, Claims};
use crate::policy::Policy;
use crate::rejected::shown;
use crate::verdicts::{Verdict, Verdicts};
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
        let jws = Jws::split(token)?;
        let (digest, signature) = (jws.digest(), jws.signature());
        if let Some(verdict) = self.verdicts.get(&digest, signature) {
            if self.still_holds(&verdict) {
                return Ok(Verified::new(verdict.facts, jws.payload()?));
            }
            self.verdicts.forget(&digest);
        }
        let (verdict, payload) = self.judge(jws).await?;
        let facts = Arc::clone(&verdict.facts);
        self.verdicts.put(digest, signature, verdict);
        Ok(Verified::new(facts, payload))
    }

    /// The token has not expired since, and its key has not been withdrawn. (The policy is part of this very
    /// validator; requirements are checked anew each time.)
    fn still_holds(&self, verdict: &Verdict) -> bool {
        let end = verdict.facts.expires + self.policy.clock_skew.min(Policy::MAX_SKEW);
        self.clock.now() < end && self.keys.publishes(&verdict.key)
    }

    /// The verdict, and the claims as they were sent: those are the caller's alone, whose token they came with. To keep
    /// them here would cost more than to decode them again.
    async fn judge(&self, jws: Jws<'_>) -> Result<(Verdict, Vec<u8>), Rejected> {
        let token = check::decode(jws)?;
        let claims = Claims::read(token.payload())?;
        check::world(token.header(), &claims, self.policy.world)?;
        let tid = check::issuer(&claims, &self.policy.issuers, &self.policy.tenants)?;
        self.audience(&claims)?;
        refuse_id_token(&claims)?;
        let expires = check::times(&claims, self.clock.now(), self.policy.clock_skew)?;
        let key = check::signature(&token, &self.keys, tid).await?;
        let facts = Arc::new(Facts::of(&claims, expires));
        Ok((Verdict { facts, key }, token.into_payload()))
    }

    fn audience(&self, claims: &Claims<'_>) -> Result<(), Rejected> {
        let found = claims.aud.texts();
        if found.iter().any(|aud| self.policy.audiences.iter().any(|own| own == aud)) {
            return Ok(());
        }
        Err(Rejected::Audience { found: shown(&found.join(" ")), expected: self.policy.audiences.clone() })
    }
}

/// An access token names the application it was issued to (`azp` in v2, `appid` in v1); an ID token of Entra
/// does not, and carries `nonce`, `at_hash` or `c_hash` instead of `scp`. (B2C access tokens have both a
/// `nonce` and `scp`.)
fn refuse_id_token(claims: &Claims<'_>) -> Result<(), Rejected> {
    let no_client = !claims.azp.is_given() && !claims.appid.is_given();
    let proofs = [&claims.nonce, &claims.at_hash, &claims.c_hash];
    let sign_in_proof = !claims.scp.is_given() && proofs.into_iter().any(Claim::is_given);
    if no_client || sign_in_proof { Err(Rejected::IdToken) } else { Ok(()) }
}
