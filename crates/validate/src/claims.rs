//! A token that was verified, and what it says.

use std::fmt;
use std::sync::{Arc, OnceLock};

use entrant_types::{ClientId, ObjectId, TenantId, Timestamp};
use serde_json::{Map, Value};

use crate::check;
use crate::payload::Claims;

/// Claims of a token whose signature, issuer, audience, tenant, times and world were checked. Only this crate
/// can make one. Cloning is cheap; printing shows ids, never names or mail addresses.
#[derive(Clone)]
pub struct Verified(Arc<Inner>);

struct Inner {
    facts: Arc<Facts>,
    /// The claims as the issuer wrote them: an object, as [`Claims::read`] has seen.
    payload: Vec<u8>,
    /// Made for the first who asks for any other claim: most callers never do.
    claims: OnceLock<Map<String, Value>>,
}

/// What callers ask for all the time, and all that is remembered of a token.
#[derive(Debug)]
pub(crate) struct Facts {
    tenant: Option<TenantId>,
    object: Option<ObjectId>,
    client: Option<ClientId>,
    scopes: Vec<String>,
    roles: Vec<String>,
    auth_time: Option<Timestamp>,
    pub(crate) expires: Timestamp,
}

impl Facts {
    /// `expires` is the token's own `exp`.
    pub(crate) fn of(claims: &Claims<'_>, expires: Timestamp) -> Self {
        Self {
            tenant: claims.tid.id(),
            object: claims.oid.id(),
            client: claims.azp.id().or_else(|| claims.appid.id()),
            scopes: claims.scp.text().map(words).unwrap_or_default(),
            roles: claims.roles.texts().into_iter().map(str::to_owned).collect(),
            auth_time: check::moment(&claims.auth_time).ok().flatten(),
            expires,
        }
    }
}

impl Verified {
    /// The caller has checked everything, and read the facts from this very payload.
    pub(crate) fn new(facts: Arc<Facts>, payload: Vec<u8>) -> Self {
        Self(Arc::new(Inner { facts, payload, claims: OnceLock::new() }))
    }

    /// All claims, as the issuer wrote them.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        // What `Claims::read` accepts, a map accepts: a property test holds the two together.
        self.0.claims.get_or_init(|| serde_json::from_slice(&self.0.payload).unwrap_or_default())
    }

    /// A claim that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims().get(name).and_then(Value::as_str)
    }

    /// `tid`: the tenant that issued the token. Absent from tokens of some B2C policies.
    #[must_use]
    pub fn tenant_id(&self) -> Option<TenantId> {
        self.0.facts.tenant
    }

    /// `oid`: the user, service principal or managed identity that the token speaks for.
    #[must_use]
    pub fn object_id(&self) -> Option<ObjectId> {
        self.0.facts.object
    }

    /// `azp` or `appid`: the application that asked for the token.
    #[must_use]
    pub fn client_id(&self) -> Option<ClientId> {
        self.0.facts.client
    }

    /// `sub`: the subject, pairwise for users.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// `iss`: who issued the token.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// `scp`, split: what the application may do for the user.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.0.facts.scopes
    }

    /// Whether a delegated permission is held.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.facts.scopes.iter().any(|own| own == scope)
    }

    /// `roles`: app roles of the user or application.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.0.facts.roles
    }

    /// Whether an app role is held.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.0.facts.roles.iter().any(|own| own == role)
    }

    /// `auth_time`: when the person signed in, if the token says so by a date.
    pub(crate) fn auth_time(&self) -> Option<Timestamp> {
        self.0.facts.auth_time
    }

    /// `exp`: when the token ends.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.0.facts.expires
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("tenant", &self.0.facts.tenant)
            .field("object", &self.0.facts.object)
            .field("client", &self.0.facts.client)
            .field("expires", &self.0.facts.expires)
            .finish_non_exhaustive()
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}
