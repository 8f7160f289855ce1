//! Which tokens are accepted, and what a caller must hold to be let through.

use std::time::Duration;

use entrant_types::emulation::World;
use entrant_types::{ClientId, Guid, TenantId};

use crate::{Rejected, Verified};

/// What `{tenantid}` is called in Entra's own metadata of multi-tenant authorities.
const TENANT_PLACEHOLDER: &str = "{tenantid}";

/// Which `iss` is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerRule(String);

impl IssuerRule {
    /// An exact issuer, or one with `{tenantid}` in place of the tenant, such as
    /// `https://login.microsoftonline.com/{tenantid}/v2.0`. With a placeholder, the token's `tid` fills it in,
    /// so the [`Tenants`] of the policy decide who is let in.
    #[must_use]
    pub fn new(issuer: impl Into<String>) -> Self {
        Self(issuer.into())
    }

    /// The rule as configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the rule has a placeholder for the tenant.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.0.contains(TENANT_PLACEHOLDER)
    }

    /// Whether `issuer` is accepted for the tenant `tid`.
    #[must_use]
    pub fn accepts(&self, issuer: &str, tid: Option<TenantId>) -> bool {
        if self.is_template() { self.resolved(tid).is_some_and(|own| own == issuer) } else { self.0 == issuer }
    }

    /// Whether a metadata document with this `issuer` is the one that the rule means: the same text, or for a
    /// rule with a placeholder the same with a tenant's id in its place (an authority named by domain).
    #[must_use]
    pub fn accepts_metadata(&self, issuer: &str) -> bool {
        self.0 == issuer || (self.is_template() && self.accepts(issuer, tenant_in(issuer).map(TenantId::new)))
    }

    fn resolved(&self, tid: Option<TenantId>) -> Option<String> {
        tid.map(|tid| self.0.replace(TENANT_PLACEHOLDER, &tid.to_string()))
    }
}

/// The GUID in an issuer's path, if it has one.
pub(crate) fn tenant_in(issuer: &str) -> Option<Guid> {
    issuer.split('/').find_map(|segment| segment.parse().ok())
}

/// Which tenants (`tid`) are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenants {
    /// These only.
    Only(Vec<TenantId>),
    /// Every tenant of the issuer: an application open to any organisation must say so.
    Any,
}

impl Tenants {
    /// Whether `tid` is let in. A token without `tid` is let in by [`Tenants::Any`] alone.
    #[must_use]
    pub fn accept(&self, tid: Option<TenantId>) -> bool {
        match self {
            Self::Any => true,
            Self::Only(list) => tid.is_some_and(|tid| list.contains(&tid)),
        }
    }
}

/// Which bearer tokens are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Tokens of the other world are refused.
    pub world: World,
    /// Accepted issuers. Name both the v1 and the v2 issuer of a tenant if both token versions may come.
    pub issuers: Vec<IssuerRule>,
    /// Accepted audiences: the API's client id (v2 tokens) and its App ID URI (v1 tokens).
    pub audiences: Vec<String>,
    /// Accepted tenants.
    pub tenants: Tenants,
    /// How far clocks may differ; at most [`Policy::MAX_SKEW`] counts.
    pub clock_skew: Duration,
    /// What every caller must hold, over and above a good token.
    pub requirement: Requirement,
}

impl Policy {
    /// Five minutes: what Entra itself back-dates `nbf` by.
    pub const MAX_SKEW: Duration = Duration::from_secs(300);
    /// One minute: more than two clocks set by NTP differ.
    pub const DEFAULT_SKEW: Duration = Duration::from_secs(60);

    /// Tokens of these issuers for these audiences, any tenant that the issuers admit, no further requirement.
    #[must_use]
    pub fn new(world: World, issuers: Vec<IssuerRule>, audiences: Vec<String>, tenants: Tenants) -> Self {
        let requirement = Requirement::default();
        Self { world, issuers, audiences, tenants, clock_skew: Self::DEFAULT_SKEW, requirement }
    }

    /// The same policy with something that every caller must hold.
    #[must_use]
    pub fn require(mut self, requirement: Requirement) -> Self {
        self.requirement = requirement;
        self
    }
}

/// What a good token must carry to be let through. Empty lists ask for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    /// Delegated permissions (`scp`), all of them.
    pub scopes: Vec<String>,
    /// App roles (`roles`), any of them. When scopes are asked for too, roles count for tokens without a
    /// user only: what an application may do by itself says nothing about what it may do for a person.
    pub roles: Vec<String>,
    /// Client applications (`azp`, `appid`) that may call.
    pub clients: Vec<ClientId>,
}

impl Requirement {
    /// All of these delegated permissions.
    #[must_use]
    pub fn scopes<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Self { scopes: scopes.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Whether a verified caller holds what is asked for.
    ///
    /// # Errors
    /// [`Rejected::Client`], [`Rejected::Scope`] or [`Rejected::Role`]: the answer is 403, not 401.
    pub fn check(&self, caller: &Verified) -> Result<(), Rejected> {
        if !self.clients.is_empty() && !caller.client_id().is_some_and(|client| self.clients.contains(&client)) {
            return Err(Rejected::Client { found: caller.client_id() });
        }
        let has_role = || self.roles.iter().any(|role| caller.has_role(role));
        let role_missing = || Rejected::Role { any_of: self.roles.clone() };
        if self.scopes.is_empty() {
            return if self.roles.is_empty() || has_role() { Ok(()) } else { Err(role_missing()) };
        }
        if !self.roles.is_empty() && caller.scopes().is_empty() {
            return if has_role() { Ok(()) } else { Err(role_missing()) };
        }
        match self.scopes.iter().find(|scope| !caller.has_scope(scope)) {
            None => Ok(()),
            Some(missing) => Err(Rejected::Scope { missing: missing.clone() }),
        }
    }
}
