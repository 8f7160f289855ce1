//! Signing keys of an issuer, by key id: parsed once, kept, refetched at a limited rate.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use entrant_proto::jose::{Jwk, JwkSet, PublicKey};
use entrant_types::outside::HttpRequest;
use entrant_types::{Code, Fault, HttpTransport, Outside, Whose};
use url::Url;

use crate::cached::{Cached, Freshness};
use crate::{Discovery, Rejected};

/// 256 KiB: Entra's key set with certificates is under 20 KiB.
const MAX_KEY_SET_BYTES: usize = 256 * 1024;

/// A key that its issuer publishes.
#[derive(Debug)]
pub(crate) struct TrustedKey {
    kid: String,
    /// The issuer that the key set names for this key, `{tenantid}` standing for any tenant.
    pub(crate) issuer: Option<String>,
    pub(crate) key: PublicKey,
    modulus: String,
}

#[derive(Debug, Default)]
struct Keys {
    by_kid: HashMap<String, Arc<TrustedKey>>,
}

impl Keys {
    /// Keys that are the same as before keep their place in memory: verdicts given with them stay good.
    fn from_set(set: &JwkSet, previous: Option<&Self>) -> Self {
        let mut by_kid = HashMap::with_capacity(set.keys.len());
        for jwk in &set.keys {
            let Some(kid) = jwk.kid.clone() else { continue };
            let known = previous.and_then(|keys| keys.by_kid.get(&kid));
            let key = match known {
                Some(known) if known.modulus == jwk.n && known.issuer == jwk.issuer => Some(Arc::clone(known)),
                _ => TrustedKey::parse(kid.clone(), jwk),
            };
            if let Some(key) = key {
                by_kid.insert(kid, key);
            }
        }
        Self { by_kid }
    }
}

impl TrustedKey {
    fn parse(kid: String, jwk: &Jwk) -> Option<Arc<Self>> {
        let key = PublicKey::from_jwk(jwk).ok()?;
        Some(Arc::new(Self { kid, issuer: jwk.issuer.clone(), key, modulus: jwk.n.clone() }))
    }

    #[cfg(test)]
    pub(crate) fn for_test() -> Arc<Self> {
        let jwk = serde_json::json!({"kty": "RSA", "n": entrant_proto::jose::to_base64url(&[0xc1; 256]), "e": "AQAB"});
        Self::parse("k".to_owned(), &serde_json::from_value(jwk).unwrap()).unwrap()
    }
}

/// The signing keys of one issuer. Cloning shares them. Nothing is fetched until the first token comes.
#[derive(Clone)]
pub struct KeySet {
    url: Arc<str>,
    cached: Arc<Cached<Keys>>,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").field("url", &self.url).finish_non_exhaustive()
    }
}

impl KeySet {
    /// The keys at `jwks_url` (RFC 7517 key set; `https`, or `http` on loopback), with default freshness.
    #[must_use]
    pub fn new(jwks_url: impl Into<String>, outside: &Outside) -> Self {
        Self::with_freshness(jwks_url, outside, Freshness::default())
    }

    /// The keys at `jwks_url` with limits of one's own.
    #[must_use]
    pub fn with_freshness(jwks_url: impl Into<String>, outside: &Outside, freshness: Freshness) -> Self {
        let url: Arc<str> = jwks_url.into().into();
        let http = Arc::clone(&outside.http);
        let from = Arc::clone(&url);
        let cached = Cached::new(Arc::clone(&outside.clock), freshness, move |previous: Option<Arc<Keys>>| {
            let (http, from) = (Arc::clone(&http), Arc::clone(&from));
            async move { fetch(&from, http.as_ref(), previous.as_deref()).await }
        });
        Self { url, cached }
    }

    /// The keys that an issuer's metadata points to (`jwks_uri`).
    #[must_use]
    pub fn discovered(discovery: &Discovery, outside: &Outside) -> Self {
        let http = Arc::clone(&outside.http);
        let from = discovery.clone();
        let cached =
            Cached::new(Arc::clone(&outside.clock), Freshness::default(), move |previous: Option<Arc<Keys>>| {
                let (http, from) = (Arc::clone(&http), from.clone());
                async move {
                    let metadata = from.metadata().await?;
                    fetch(&metadata.jwks_uri, http.as_ref(), previous.as_deref()).await
                }
            });
        Self { url: discovery.url().into(), cached }
    }

    /// Where the keys come from, or the metadata that says so.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Fetches the keys unless they are held already: for a readiness check.
    ///
    /// # Errors
    /// When no key set can be had.
    pub async fn warm(&self) -> Result<usize, Fault> {
        self.cached.get().await.map(|keys| keys.by_kid.len())
    }

    /// Whether `key` is still among the published keys, as far as we know without asking.
    pub(crate) fn publishes(&self, key: &Arc<TrustedKey>) -> bool {
        self.cached.current().is_some_and(|keys| keys.by_kid.get(&key.kid).is_some_and(|own| Arc::ptr_eq(own, key)))
    }

    /// The key `kid`; an unknown one makes us look for new keys, at most once in the floor's time.
    pub(crate) async fn find(&self, kid: &str) -> Result<Arc<TrustedKey>, Rejected> {
        let keys = self.cached.get().await.map_err(|fault| Rejected::KeysUnavailable(Box::new(fault)))?;
        if let Some(key) = keys.by_kid.get(kid) {
            return Ok(Arc::clone(key));
        }
        let renewed = match self.cached.renew().await {
            None | Some(Err(_)) => None,
            Some(Ok(keys)) => keys.by_kid.get(kid).cloned(),
        };
        renewed.ok_or_else(|| Rejected::unknown_key(Some(kid)))
    }

    /// The only published key, for a token that names none.
    pub(crate) async fn only(&self) -> Result<Arc<TrustedKey>, Rejected> {
        let keys = self.cached.get().await.map_err(|fault| Rejected::KeysUnavailable(Box::new(fault)))?;
        let mut published = keys.by_kid.values();
        match (published.next(), published.next()) {
            (Some(key), None) => Ok(Arc::clone(key)),
            _ => Err(Rejected::unknown_key(None)),
        }
    }
}

async fn fetch(url: &str, http: &dyn HttpTransport, previous: Option<&Keys>) -> Result<Keys, Fault> {
    let body = get_document(url, http, MAX_KEY_SET_BYTES).await?;
    let unusable = |why: &str| {
        Fault::new(
            Whose::Provider,
            format!("The key set at {url} cannot be used: {why}."),
            "Check that the URL is the issuer's jwks_uri.",
        )
        .code(Code::Entrant("key_set_unusable"))
    };
    let set = JwkSet::parse(&body).map_err(|error| unusable(&error.to_string()))?;
    let keys = Keys::from_set(&set, previous);
    if keys.by_kid.is_empty() {
        return Err(unusable("it has no RSA signature key with a key id"));
    }
    Ok(keys)
}

/// GETs a public document: `https`, or `http` on loopback; status 200; redirects are not followed.
pub(crate) async fn get_document(url: &str, http: &dyn HttpTransport, limit: usize) -> Result<Vec<u8>, Fault> {
    let sound = Url::parse(url).is_ok_and(|url| {
        url.scheme() == "https"
            || (url.scheme() == "http" && url.host_str().is_some_and(entrant_types::emulation::is_loopback_host))
    });
    if !sound {
        let what = format!("The address {url} is not an https URL.");
        return Err(Fault::new(Whose::Configuration, what, "Use the https address of the identity provider.")
            .code(Code::Entrant("url_refused")));
    }
    let mut request = HttpRequest::get(url).header("accept", "application/json");
    request.max_reply_bytes = limit;
    let reply = http.send(request).await.map_err(|error| unreachable(url, &error))?;
    if reply.status != 200 {
        let what = format!("{url} answered HTTP {}.", reply.status);
        return Err(Fault::new(Whose::Provider, what, "Check the tenant and the authority; try again later.")
            .code(Code::Http(reply.status)));
    }
    Ok(reply.body)
}

fn unreachable(url: &str, error: &entrant_types::outside::HttpError) -> Fault {
    use entrant_types::outside::HttpError;
    let what = format!("{url} gave no reply: {error}.");
    match error {
        HttpError::TlsUntrusted(_) => Fault::new(
            Whose::Network,
            what,
            "Trust the certificate authority of that server (SSL_CERT_FILE or --ca FILE).",
        )
        .retry(entrant_types::Retry::Never)
        .code(Code::Entrant("tls_untrusted")),
        HttpError::Refused(_) => Fault::new(Whose::Configuration, what, "Correct the address in the configuration.")
            .retry(entrant_types::Retry::Never)
            .code(Code::Entrant("url_refused")),
        _ => Fault::new(Whose::Network, what, "Check the network and the server; it is tried again.")
            .code(Code::Entrant("unreachable")),
    }
}
