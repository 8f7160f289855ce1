//! An app registration with an assertion from anywhere.

use std::sync::Arc;

use entrant_proto::oauth::Authority;
use entrant_types::{BoxFuture, ClientId, Outside, Scope};

use super::client_secret::ClientCredentials;
use crate::client_auth::{ClientAssertion, ClientAuth};
use crate::source::{Outcome, Source};

/// An app registration that proves itself with what a [`ClientAssertion`] gives at every request.
#[derive(Debug)]
pub struct Assertion(ClientCredentials);

impl Assertion {
    /// The app registration `client_id` with assertions of `assertion`.
    #[must_use]
    pub fn new(
        authority: Authority,
        client_id: ClientId,
        assertion: Arc<dyn ClientAssertion>,
        outside: &Outside,
    ) -> Self {
        let auth = ClientAuth::Assertion(assertion);
        Self(ClientCredentials::new("assertion", authority, client_id, auth, outside))
    }
}

impl Source for Assertion {
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
