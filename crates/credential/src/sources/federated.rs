//! A managed identity as the credential of an app registration: no secret anywhere.

use std::sync::Arc;

use entrant_proto::managed_identity::Selector;
use entrant_proto::oauth::Authority;
use entrant_types::{BoxFuture, ClientId, Code, Fault, Outside, Retry, Scope, Secret, Whose};

use super::client_secret::ClientCredentials;
use crate::client_auth::{ClientAssertion, ClientAuth};
use crate::source::{Outcome, Source};

/// Refuses what can never work, before anything is sent: only a user-assigned identity may be a federated
/// credential's subject (Microsoft Learn, "Configure an application to trust a managed identity"), and it is
/// never the app registration itself.
///
/// # Errors
/// The system-assigned identity; a client id that names the app registration.
pub fn federation_subject(selector: &Selector, app: ClientId) -> Result<(), Fault> {
    let refuse = |what: &str, fix: &str, code| {
        Err(Fault::new(Whose::Configuration, what, fix).retry(Retry::Never).code(Code::Entrant(code)))
    };
    match selector {
        Selector::SystemAssigned => refuse(
            "a system-assigned managed identity cannot be the federated credential of an app registration",
            "Create a user-assigned identity (`az identity create`), assign it to this host, and set \
             MANAGED_IDENTITY_CLIENT_ID to its client id.",
            "federation_needs_user_assigned",
        ),
        Selector::ClientId(id) if *id == app => refuse(
            "the client id of the managed identity is that of the app registration",
            "Set MANAGED_IDENTITY_CLIENT_ID to the identity's client id (`az identity show -n NAME -g GROUP --query \
             clientId`) and CLIENT_ID to the app registration's.",
            "federation_same_client_id",
        ),
        _ => Ok(()),
    }
}

/// An app registration that proves itself with a user-assigned managed identity's token.
#[derive(Debug)]
pub struct Federated(ClientCredentials);

impl Federated {
    /// The app registration `client_id` with the identity that `selector` names and `identity` gets.
    ///
    /// # Errors
    /// As [`federation_subject`].
    pub fn new(
        authority: Authority,
        client_id: ClientId,
        selector: &Selector,
        identity: Arc<dyn Source>,
        outside: &Outside,
    ) -> Result<Self, Fault> {
        federation_subject(selector, client_id)?;
        let scope = Scope::new(authority.cloud().token_exchange().as_str());
        let auth = ClientAuth::Assertion(Arc::new(SourceAssertion { identity, scope }));
        Ok(Self(ClientCredentials::new("federated", authority, client_id, auth, outside)))
    }
}

impl Source for Federated {
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

/// Asks the identity once per request for a token, which is once an hour: it needs no keeper of its own.
#[derive(Debug)]
struct SourceAssertion {
    identity: Arc<dyn Source>,
    scope: Scope,
}

impl ClientAssertion for SourceAssertion {
    fn name(&self) -> &str {
        "managed-identity"
    }

    fn assertion(&self) -> BoxFuture<'_, Result<Secret, Fault>> {
        Box::pin(async { Ok(self.identity.fetch(&self.scope).await.into_result(self.identity.name())?.secret) })
    }
}
