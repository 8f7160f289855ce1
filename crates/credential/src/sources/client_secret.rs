//! An app registration with a client credential, for itself (`client_credentials`, RFC 6749 §4.4).

use entrant_proto::oauth::{Authority, Form};
use entrant_types::{AccessToken, BoxFuture, ClientId, Fault, Outside, Scope, Secret};

use crate::client_auth::ClientAuth;
use crate::source::{Outcome, Source};
use crate::token_endpoint::TokenEndpoint;

/// An app registration with a client secret.
#[derive(Debug)]
pub struct ClientSecret(ClientCredentials);

impl ClientSecret {
    /// A client secret of the app registration `client_id`.
    #[must_use]
    pub fn new(authority: Authority, client_id: ClientId, secret: Secret, outside: &Outside) -> Self {
        Self(ClientCredentials::new("client-secret", authority, client_id, ClientAuth::Secret(secret), outside))
    }
}

impl Source for ClientSecret {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        self.0.fetch(scope)
    }

    fn skew_millis(&self) -> Option<i64> {
        self.0.skew_millis()
    }
}

/// The client credentials grant with any kind of client authentication.
#[derive(Debug)]
pub(crate) struct ClientCredentials {
    name: &'static str,
    endpoint: TokenEndpoint,
    client_id: ClientId,
    auth: ClientAuth,
    outside: Outside,
}

impl ClientCredentials {
    pub(crate) fn new(
        name: &'static str,
        authority: Authority,
        client_id: ClientId,
        auth: ClientAuth,
        outside: &Outside,
    ) -> Self {
        let endpoint = TokenEndpoint::new(authority.token_endpoint(), outside);
        Self { name, endpoint, client_id, auth, outside: outside.clone() }
    }

    async fn ask(&self, scope: &Scope) -> Result<AccessToken, Fault> {
        // A bare resource is meant as all its static permissions; Entra accepts nothing else here.
        let scope =
            if scope.as_str().ends_with("/.default") { scope.clone() } else { scope.resource().default_scope() };
        let mut form = Form::new().with("grant_type", "client_credentials").with("scope", scope.as_str());
        self.auth.apply(&mut form, self.client_id, self.endpoint.url(), &self.outside).await?;
        self.endpoint.post(&form).await?.access()
    }
}

impl Source for ClientCredentials {
    fn name(&self) -> &str {
        self.name
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.ask(scope).await.into() })
    }

    fn skew_millis(&self) -> Option<i64> {
        self.endpoint.skew_millis()
    }
}
