//! The checks that bearer and ID tokens share. Unverified claims are read here, only to refuse by them.

use std::sync::Arc;
use std::time::Duration;

use entrant_proto::jose::UnverifiedJwt;
use entrant_types::emulation::{EMULATOR_CLAIM, EMULATOR_KID_PREFIX, World};
use entrant_types::{TenantId, Timestamp};
use serde_json::{Map, Value};

use crate::claims::{id, text};
use crate::keys::TrustedKey;
use crate::policy::{IssuerRule, Policy, Tenants, tenant_in};
use crate::rejected::shown;
use crate::{KeySet, Rejected};

/// Reads a token and refuses any algorithm but RS256 at once.
pub(crate) fn parse(token: &str) -> Result<UnverifiedJwt, Rejected> {
    let jwt = UnverifiedJwt::parse(token)?;
    if jwt.header().alg == "RS256" { Ok(jwt) } else { Err(Rejected::Algorithm(shown(&jwt.header().alg))) }
}

/// Refuses what belongs to the other world.
pub(crate) fn world(jwt: &UnverifiedJwt, world: World) -> Result<(), Rejected> {
    let marked = jwt.unverified_claims().get(EMULATOR_CLAIM).is_some_and(|value| !value.is_null());
    let emulator_key = jwt.header().kid.as_deref().is_some_and(|kid| kid.starts_with(EMULATOR_KID_PREFIX));
    let belongs = match world {
        World::Azure => !marked && !emulator_key,
        World::Emulator => marked,
    };
    if belongs { Ok(()) } else { Err(Rejected::World(world)) }
}

/// Issuer and tenant: an accepted issuer, a `tid` that is the issuer's, an accepted tenant.
pub(crate) fn issuer(
    claims: &Map<String, Value>,
    rules: &[IssuerRule],
    tenants: &Tenants,
) -> Result<Option<TenantId>, Rejected> {
    let issuer = text(claims, "iss").ok_or(Rejected::Malformed("it names no issuer"))?;
    let tid = id::<TenantId>(claims, "tid");
    if !rules.iter().any(|rule| rule.accepts(issuer, tid)) {
        return Err(Rejected::Issuer { found: shown(issuer) });
    }
    let own = tenant_in(issuer);
    let foreign = matches!((own, tid), (Some(own), Some(tid)) if own != tid.guid());
    // A `tid` that is no GUID is no tenant of Entra's.
    let unreadable = tid.is_none() && claims.get("tid").is_some_and(|value| !value.is_null());
    if foreign || unreadable || !tenants.accept(tid) {
        return Err(Rejected::Tenant { found: text(claims, "tid").map(shown) });
    }
    Ok(tid)
}

/// `aud` as a list: RFC 7519 §4.1.3 allows one text or several.
pub(crate) fn audiences(claims: &Map<String, Value>) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// `exp` (needed), `nbf` and `iat` against the clock. Returns `exp`.
pub(crate) fn times(claims: &Map<String, Value>, now: Timestamp, skew: Duration) -> Result<Timestamp, Rejected> {
    let skew = skew.min(Policy::MAX_SKEW);
    let expires = moment(claims, "exp")?.ok_or(Rejected::Malformed("it names no expiry"))?;
    if now >= expires + skew {
        return Err(Rejected::Expired { at: expires });
    }
    for name in ["nbf", "iat"] {
        if let Some(at) = moment(claims, name)?
            && now + skew < at
        {
            return Err(Rejected::NotYetValid { at });
        }
    }
    Ok(expires)
}

/// A NumericDate (RFC 7519 §2): a number of seconds, whole or not, that fits a calendar.
pub(crate) fn moment(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Rejected> {
    /// The year 9999: beyond it a "date" is an attempt at an overflow.
    const LAST: f64 = 253_402_300_799.0;
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=LAST).contains(seconds));
    match seconds {
        #[expect(clippy::cast_possible_truncation, reason = "the range was checked one line above")]
        Some(seconds) => Ok(Some(Timestamp::from_secs(seconds as i64))),
        None => Err(Rejected::Malformed("one of its times is not a date")),
    }
}

/// Finds the key and checks the signature. A key that its set ties to a tenant signs for that tenant only.
pub(crate) async fn signature(
    jwt: &UnverifiedJwt,
    keys: &KeySet,
    tid: Option<TenantId>,
) -> Result<Arc<TrustedKey>, Rejected> {
    let kid = jwt.header().kid.as_deref().ok_or_else(|| Rejected::unknown_key(None))?;
    let key = keys.find(kid).await?;
    if let (Some(issuer), Some(tid)) = (&key.issuer, tid)
        && tenant_in(issuer).is_some_and(|own| own != tid.guid())
    {
        return Err(Rejected::unknown_key(Some(kid)));
    }
    jwt.verify(&key.key)?;
    Ok(key)
}
