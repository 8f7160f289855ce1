//! The issuer's metadata document (OpenID Connect Discovery 1.0), checked before anything in it is used.

use std::fmt;
use std::sync::Arc;

use entrant_types::emulation::{World, is_loopback_host};
use entrant_types::{Code, Fault, HttpTransport, Outside, Retry, Whose};
use serde::Deserialize;
use url::Url;

use crate::IssuerRule;
use crate::cached::{Cached, Freshness};
use crate::keys::get_document;

/// 64 KiB: Entra's document is under 3 KiB.
const MAX_METADATA_BYTES: usize = 64 * 1024;

/// Which metadata document is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryPolicy {
    /// In emulator mode the pages that a browser visits may be `http` on loopback, and nothing else is.
    pub world: World,
    /// The document's `issuer` must be one of these; a rule with `{tenantid}` admits that text itself and any
    /// tenant's id in its place.
    pub issuers: Vec<IssuerRule>,
    /// Hosts that its endpoints may be on, besides the document's own.
    pub hosts: Vec<String>,
}

/// An issuer's metadata, as much as is used.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    /// The issuer; of a multi-tenant authority with `{tenantid}` in place of the tenant.
    pub issuer: String,
    /// Where a browser is sent to sign in.
    pub authorization_endpoint: String,
    /// Where tokens are asked for.
    pub token_endpoint: String,
    /// Where the signing keys are.
    pub jwks_uri: String,
    /// Where a browser is sent to sign out.
    #[serde(default)]
    pub end_session_endpoint: Option<String>,
    /// Whether callbacks carry `iss` (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// An issuer's metadata, fetched once and kept. Cloning shares it. Nothing is fetched until it is needed.
#[derive(Clone)]
pub struct Discovery {
    url: Arc<str>,
    cached: Arc<Cached<Metadata>>,
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Discovery {
    /// The document at `metadata_url` (`…/.well-known/openid-configuration`).
    #[must_use]
    pub fn new(metadata_url: impl Into<String>, policy: DiscoveryPolicy, outside: &Outside) -> Self {
        let url: Arc<str> = metadata_url.into().into();
        let http = Arc::clone(&outside.http);
        let (from, policy) = (Arc::clone(&url), Arc::new(policy));
        let cached = Cached::new(Arc::clone(&outside.clock), Freshness::default(), move |_previous| {
            let (http, from, policy) = (Arc::clone(&http), Arc::clone(&from), Arc::clone(&policy));
            async move { fetch(&from, http.as_ref(), &policy).await }
        });
        Self { url, cached }
    }

    /// Where the document is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The metadata: from memory after the first time.
    ///
    /// # Errors
    /// When it cannot be had, or cannot be believed.
    pub async fn metadata(&self) -> Result<Arc<Metadata>, Fault> {
        self.cached.get().await
    }
}

async fn fetch(url: &str, http: &dyn HttpTransport, policy: &DiscoveryPolicy) -> Result<Metadata, Fault> {
    let body = get_document(url, http, MAX_METADATA_BYTES).await?;
    let metadata: Metadata = serde_json::from_slice(&body).map_err(|_| {
        refused(format!("The document at {url} is not OpenID Connect metadata."), "Check the authority and the tenant.")
    })?;
    if !policy.issuers.iter().any(|rule| rule.accepts_metadata(&metadata.issuer)) {
        let expected: Vec<&str> = policy.issuers.iter().map(IssuerRule::as_str).collect();
        return Err(refused(
            format!(
                "The metadata at {url} names the issuer {:?}; expected {}.",
                metadata.issuer,
                expected.join(" or ")
            ),
            "Check the authority host and the tenant.",
        ));
    }
    let own_host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let endpoint = |name: &str, text: &str, for_browser: bool| {
        if policy.admits(text, &own_host, for_browser) {
            return Ok(());
        }
        Err(refused(
            format!("The metadata at {url} gives {text:?} as {name}, which is not an https address of the same host."),
            "Check the authority host: the document may come from somebody else.",
        ))
    };
    endpoint("authorization_endpoint", &metadata.authorization_endpoint, true)?;
    endpoint("token_endpoint", &metadata.token_endpoint, false)?;
    endpoint("jwks_uri", &metadata.jwks_uri, false)?;
    if let Some(end_session) = &metadata.end_session_endpoint {
        endpoint("end_session_endpoint", end_session, true)?;
    }
    Ok(metadata)
}

impl DiscoveryPolicy {
    fn admits(&self, endpoint: &str, own_host: &str, for_browser: bool) -> bool {
        let Ok(url) = Url::parse(endpoint) else { return false };
        let Some(host) = url.host_str() else { return false };
        let loopback = is_loopback_host(host);
        match self.world {
            World::Azure => url.scheme() == "https" && (host == own_host || self.hosts.iter().any(|own| own == host)),
            World::Emulator => loopback && (url.scheme() == "https" || (url.scheme() == "http" && for_browser)),
        }
    }
}

fn refused(what: String, fix: &str) -> Fault {
    Fault::new(Whose::Configuration, what, fix).retry(Retry::Never).code(Code::Entrant("metadata_refused"))
}
