//! The checks that bearer and ID tokens share. Unverified claims are read here, only to refuse by them.

use std::sync::Arc;
use std::time::Duration;

use entrant_proto::jose::{Decoded, Header, Jws};
use entrant_types::emulation::{EMULATOR_KID_PREFIX, World};
use entrant_types::{TenantId, Timestamp};

use crate::keys::TrustedKey;
use crate::payload::{Claim, Claims};
use crate::policy::{IssuerRule, Policy, Tenants, tenant_in};
use crate::rejected::shown;
use crate::{KeySet, Rejected};

/// Decodes a token and refuses any algorithm but RS256 at once.
pub(crate) fn decode(jws: Jws<'_>) -> Result<Decoded<'_>, Rejected> {
    let token = jws.decode()?;
    if token.header().alg == "RS256" { Ok(token) } else { Err(Rejected::Algorithm(shown(&token.header().alg))) }
}

/// Refuses what belongs to the other world.
pub(crate) fn world(header: &Header, claims: &Claims<'_>, world: World) -> Result<(), Rejected> {
    let marked = claims.xms_emulator.is_given();
    let emulator_key = header.kid.as_deref().is_some_and(|kid| kid.starts_with(EMULATOR_KID_PREFIX));
    let belongs = match world {
        World::Azure => !marked && !emulator_key,
        World::Emulator => marked,
    };
    if belongs { Ok(()) } else { Err(Rejected::World(world)) }
}

/// Issuer and tenant: an accepted issuer, a `tid` that is the issuer's, an accepted tenant.
pub(crate) fn issuer(
    claims: &Claims<'_>,
    rules: &[IssuerRule],
    tenants: &Tenants,
) -> Result<Option<TenantId>, Rejected> {
    let issuer = claims.iss.text().ok_or(Rejected::Malformed("it names no issuer"))?;
    let tid = claims.tid.id::<TenantId>();
    if !rules.iter().any(|rule| rule.accepts(issuer, tid)) {
        return Err(Rejected::Issuer { found: shown(issuer) });
    }
    let own = tenant_in(issuer);
    let foreign = matches!((own, tid), (Some(own), Some(tid)) if own != tid.guid());
    // A `tid` that is no GUID is no tenant of Entra's.
    let unreadable = tid.is_none() && claims.tid.is_given();
    if foreign || unreadable || !tenants.accept(tid) {
        return Err(Rejected::Tenant { found: claims.tid.text().map(shown) });
    }
    Ok(tid)
}

/// `exp` (needed), `nbf` and `iat` against the clock. Returns `exp`.
pub(crate) fn times(claims: &Claims<'_>, now: Timestamp, skew: Duration) -> Result<Timestamp, Rejected> {
    let skew = skew.min(Policy::MAX_SKEW);
    let expires = moment(&claims.exp)?.ok_or(Rejected::Malformed("it names no expiry"))?;
    if now >= expires + skew {
        return Err(Rejected::Expired { at: expires });
    }
    for claim in [&claims.nbf, &claims.iat] {
        if let Some(at) = moment(claim)?
            && now + skew < at
        {
            return Err(Rejected::NotYetValid { at });
        }
    }
    Ok(expires)
}

/// A NumericDate (RFC 7519 §2): a number of seconds, whole or not, that fits a calendar.
pub(crate) fn moment(claim: &Claim<'_>) -> Result<Option<Timestamp>, Rejected> {
    /// The year 9999: beyond it a "date" is an attempt at an overflow.
    const LAST: f64 = 253_402_300_799.0;
    match *claim {
        Claim::Absent => Ok(None),
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
        Claim::Number(seconds) if (0.0..=LAST).contains(&seconds) => Ok(Some(Timestamp::from_secs(seconds as i64))),
        _ => Err(Rejected::Malformed("one of its times is not a date")),
    }
}

/// Finds the key and checks the signature. A key that its set ties to a tenant signs for that tenant only.
pub(crate) async fn signature(
    token: &Decoded<'_>,
    keys: &KeySet,
    tid: Option<TenantId>,
) -> Result<Arc<TrustedKey>, Rejected> {
    let kid = token.header().kid.as_deref().ok_or_else(|| Rejected::unknown_key(None))?;
    signed_by(token, keys.find(kid).await?, tid)
}

/// The same for an ID token, which may leave out the key's id where its issuer publishes one key only (OpenID
/// Connect Core 1.0 §10.1). Entra always names it.
pub(crate) async fn id_token_signature(
    token: &Decoded<'_>,
    keys: &KeySet,
    tid: Option<TenantId>,
) -> Result<Arc<TrustedKey>, Rejected> {
    match &token.header().kid {
        Some(_) => signature(token, keys, tid).await,
        None => signed_by(token, keys.only().await?, tid),
    }
}

fn signed_by(token: &Decoded<'_>, key: Arc<TrustedKey>, tid: Option<TenantId>) -> Result<Arc<TrustedKey>, Rejected> {
    if let (Some(issuer), Some(tid)) = (&key.issuer, tid)
        && tenant_in(issuer).is_some_and(|own| own != tid.guid())
    {
        return Err(Rejected::unknown_key(token.header().kid.as_deref()));
    }
    token.verify(&key.key)?;
    Ok(key)
}
