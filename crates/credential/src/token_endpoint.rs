//! A token endpoint: a form goes out, a reply or a fault comes back.

use std::sync::Arc;

use entrant_proto::oauth::{Form, TokenReply, http_date, transport_fault};
use entrant_types::outside::HttpRequest;
use entrant_types::{Fault, Guid, Outside};

use crate::source::SeenSkew;

/// Posts token requests. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct TokenEndpoint {
    url: String,
    outside: Outside,
    skew: Arc<SeenSkew>,
}

impl TokenEndpoint {
    /// The token endpoint at `url`: an authority's, or what metadata says.
    #[must_use]
    pub fn new(url: impl Into<String>, outside: &Outside) -> Self {
        Self { url: url.into(), outside: outside.clone(), skew: Arc::default() }
    }

    /// Another tenant's on the same host.
    #[must_use]
    pub fn at(&self, url: impl Into<String>) -> Self {
        Self { url: url.into(), ..self.clone() }
    }

    /// The URL, which is the audience of client assertions signed by a certificate.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// By how many milliseconds the endpoint's clock was ahead of ours in its last reply.
    #[must_use]
    pub fn skew_millis(&self) -> Option<i64> {
        self.skew.get()
    }

    /// Sends one token request.
    ///
    /// # Errors
    /// No reply, an OAuth error with its codes, or a reply that holds no token.
    pub async fn post(&self, form: &Form) -> Result<TokenReply, Fault> {
        let mut id = [0_u8; 16];
        self.outside.entropy.fill(&mut id);
        // Entra's support finds a request by this id, and error replies repeat it as `correlation_id`.
        let request = HttpRequest::post_form(&self.url, form.encode())
            .header("accept", "application/json")
            .header("client-request-id", Guid::from_bytes(id).to_string())
            .header("x-client-sku", "Entrant");
        let reply = self.outside.http.send(request).await;
        let now = self.outside.clock.now();
        let reply = reply.map_err(|error| transport_fault(&format!("the token endpoint {}", self.url), &error))?;
        self.skew.see(http_date::skew_millis(&reply, now));
        TokenReply::parse(&reply, now)
    }
}
