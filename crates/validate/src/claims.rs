//! A token that was verified, and what it says.

use std::fmt;
use std::sync::Arc;

use entrant_types::{ClientId, ObjectId, TenantId, Timestamp};
use serde_json::{Map, Value};

/// Claims of a token whose signature, issuer, audience, tenant, times and world were checked. Only this crate
/// can make one. Cloning is cheap; printing shows ids, never names or mail addresses.
#[derive(Clone)]
pub struct Verified(Arc<Inner>);

struct Inner {
    claims: Map<String, Value>,
    tenant: Option<TenantId>,
    object: Option<ObjectId>,
    client: Option<ClientId>,
    scopes: Vec<String>,
    roles: Vec<String>,
    expires: Timestamp,
}

impl Verified {
    /// The caller has checked everything; `expires` is the token's own `exp`.
    pub(crate) fn new(claims: Map<String, Value>, expires: Timestamp) -> Self {
        let client = id(&claims, "azp").or_else(|| id(&claims, "appid"));
        let inner = Inner {
            tenant: id(&claims, "tid"),
            object: id(&claims, "oid"),
            client,
            scopes: text(&claims, "scp").map(words).unwrap_or_default(),
            roles: list(&claims, "roles"),
            expires,
            claims,
        };
        Self(Arc::new(inner))
    }

    /// All claims, as the issuer wrote them.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.0.claims
    }

    /// A claim that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        text(&self.0.claims, name)
    }

    /// `tid`: the tenant that issued the token. Absent from tokens of some B2C policies.
    #[must_use]
    pub fn tenant_id(&self) -> Option<TenantId> {
        self.0.tenant
    }

    /// `oid`: the user, service principal or managed identity that the token speaks for.
    #[must_use]
    pub fn object_id(&self) -> Option<ObjectId> {
        self.0.object
    }

    /// `azp` or `appid`: the application that asked for the token.
    #[must_use]
    pub fn client_id(&self) -> Option<ClientId> {
        self.0.client
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
        &self.0.scopes
    }

    /// Whether a delegated permission is held.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.scopes.iter().any(|own| own == scope)
    }

    /// `roles`: app roles of the user or application.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.0.roles
    }

    /// Whether an app role is held.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.0.roles.iter().any(|own| own == role)
    }

    /// `exp`: when the token ends.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.0.expires
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("tenant", &self.0.tenant)
            .field("object", &self.0.object)
            .field("client", &self.0.client)
            .field("expires", &self.0.expires)
            .finish_non_exhaustive()
    }
}

/// A claim that is text.
pub(crate) fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// A claim that is a GUID.
pub(crate) fn id<T: std::str::FromStr>(claims: &Map<String, Value>, name: &str) -> Option<T> {
    text(claims, name).and_then(|text| text.parse().ok())
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

fn list(claims: &Map<String, Value>, name: &str) -> Vec<String> {
    match claims.get(name) {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    }
}
