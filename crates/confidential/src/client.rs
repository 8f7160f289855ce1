//! The client itself: what is made once and shared by every sign-in.

use std::fmt;
use std::sync::Arc;

use entrant_credential::TokenEndpoint;
use entrant_proto::oauth::{Authority, Form, Tenant, TokenReply};
use entrant_types::{ClientId, Code, Fault, Outside, Retry, Scope, TenantId, Whose};
use entrant_validate::{Discovery, IdTokenPolicy, IdTokenValidator, IssuerRule, KeySet, Metadata, Tenants};
use url::Url;

use crate::app::AppTokens;
use crate::turnstile::Turnstiles;
use crate::{ConfidentialConfig, Provider, claims};

/// A confidential client of one app registration. Cloning shares everything; make one for each registration
/// and keep it for the life of the process.
#[derive(Clone)]
pub struct ConfidentialClient {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: ConfidentialConfig,
    pub(crate) tenants: Tenants,
    pub(crate) outside: Outside,
    pub(crate) discovery: Discovery,
    pub(crate) keys: KeySet,
    pub(crate) endpoint: TokenEndpoint,
    pub(crate) turnstiles: Turnstiles,
    pub(crate) app: AppTokens,
}

impl fmt::Debug for ConfidentialClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfidentialClient")
            .field("provider", &self.inner.config.provider)
            .field("client_id", &self.inner.config.client_id)
            .finish_non_exhaustive()
    }
}

impl ConfidentialClient {
    /// Nothing is fetched yet.
    ///
    /// # Errors
    /// An authority of the other world, or one of many tenants without a word about which.
    pub fn new(config: ConfidentialConfig, outside: Outside) -> Result<Self, Fault> {
        config.check_world()?;
        let tenants = config.accepted_tenants()?;
        let discovery = Discovery::new(config.provider.metadata_url(), config.discovery_policy(), &outside);
        let keys = KeySet::discovered(&discovery, &outside);
        // Of a provider of another make the address is known once its metadata is read.
        let token_endpoint = config.provider.entra().map(Authority::token_endpoint).unwrap_or_default();
        let endpoint = TokenEndpoint::new(token_endpoint, &outside);
        let (turnstiles, app) = (Turnstiles::default(), AppTokens::default());
        Ok(Self { inner: Arc::new(Inner { config, tenants, outside, discovery, keys, endpoint, turnstiles, app }) })
    }

    /// The app registration.
    #[must_use]
    pub fn client_id(&self) -> ClientId {
        self.inner.config.client_id
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &ConfidentialConfig {
        &self.inner.config
    }

    /// Fetches metadata and keys unless they are held: for a readiness check, and to spare the first person
    /// the wait.
    ///
    /// # Errors
    /// When they cannot be had.
    pub async fn warm(&self) -> Result<(), Fault> {
        self.inner.discovery.metadata().await?;
        self.inner.keys.warm().await.map(|_count| ())
    }

    /// Where a browser is sent to end the session at Entra too (OpenID Connect RP-Initiated Logout 1.0).
    /// `post_logout_redirect_uri` must be registered; `logout_hint` (the account's `login_hint`) spares the
    /// person a choice of accounts.
    ///
    /// # Errors
    /// Metadata that cannot be had, or without such an address.
    pub async fn logout_url(
        &self,
        post_logout_redirect_uri: Option<&str>,
        logout_hint: Option<&str>,
    ) -> Result<Url, Fault> {
        let metadata = self.inner.discovery.metadata().await?;
        let address = metadata.end_session_endpoint.as_deref().ok_or_else(|| {
            Fault::new(
                Whose::Provider,
                "The identity provider offers no sign-out address.",
                "Close the browser to end the session there.",
            )
            .retry(Retry::Never)
            .code(Code::Entrant("no_end_session_endpoint"))
        })?;
        let mut url = parse_url(address)?;
        {
            let mut query = url.query_pairs_mut();
            // Without an ID token as hint, this is how a provider knows whose return address it is (§2).
            query.append_pair("client_id", &self.inner.config.client_id.to_string());
            if let Some(uri) = post_logout_redirect_uri {
                query.append_pair("post_logout_redirect_uri", uri);
            }
            if let Some(hint) = logout_hint {
                query.append_pair("logout_hint", hint);
            }
        }
        Ok(url)
    }
}

impl Inner {
    /// The one path of every grant: client authentication, capabilities, the token endpoint of the tenant.
    pub(crate) async fn post(
        &self,
        mut form: Form,
        tenant: Option<TenantId>,
        demand: Option<&str>,
    ) -> Result<TokenReply, Fault> {
        let endpoint = self.endpoint_for(tenant).await?;
        let auth = &self.config.client_auth;
        auth.apply(&mut form, self.config.client_id, endpoint.url(), &self.outside).await?;
        if let Some(claims) = claims::request(demand, self.config.claims_challenges) {
            form.push("claims", claims);
        }
        endpoint.post(&form).await
    }

    /// An account's own tenant where the authority serves many: `common` issues no tokens for an application's
    /// silent requests in a tenant of one's choice.
    async fn endpoint_for(&self, tenant: Option<TenantId>) -> Result<TokenEndpoint, Fault> {
        let Provider::Entra(authority) = &self.config.provider else {
            let metadata = self.discovery.metadata().await?;
            return Ok(self.endpoint.at(metadata.token_endpoint.clone()));
        };
        Ok(match tenant {
            Some(tenant) if authority.tenant().is_multi_tenant() => {
                self.endpoint.at(authority.with_tenant(Tenant::Id(tenant)).token_endpoint())
            }
            _ => self.endpoint.clone(),
        })
    }

    /// ID tokens as this authority's metadata says they are issued.
    pub(crate) fn id_tokens(&self, metadata: &Metadata) -> IdTokenValidator {
        let policy = IdTokenPolicy {
            world: self.config.world,
            issuers: vec![IssuerRule::new(&metadata.issuer)],
            tenants: self.tenants.clone(),
            client_id: self.config.client_id.to_string(),
            clock_skew: self.config.clock_skew,
        };
        IdTokenValidator::new(policy, self.keys.clone(), Arc::clone(&self.outside.clock))
    }

    /// 256 random bits as 43 characters.
    pub(crate) fn random_text(&self) -> String {
        let mut bytes = [0; 32];
        self.outside.entropy.fill(&mut bytes);
        entrant_proto::jose::to_base64url(&bytes)
    }
}

/// Scopes as the parameter wants them: separated by blanks, each once.
pub(crate) fn scope_parameter<'a>(scopes: impl IntoIterator<Item = &'a Scope>, sign_in: &[&'a str]) -> String {
    let mut all: Vec<&str> = scopes.into_iter().map(Scope::as_str).chain(sign_in.iter().copied()).collect();
    let mut seen = std::collections::HashSet::new();
    all.retain(|scope| seen.insert(*scope));
    all.join(" ")
}

pub(crate) fn parse_url(text: &str) -> Result<Url, Fault> {
    Url::parse(text).map_err(|_| {
        Fault::new(Whose::Provider, "The metadata gives an address that is no URL.", "Check the authority.")
            .code(Code::Entrant("metadata_refused"))
    })
}
