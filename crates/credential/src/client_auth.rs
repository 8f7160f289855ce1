//! How an app registration proves who it is: the one path for every grant.

use std::fmt;
use std::sync::Arc;

use entrant_proto::oauth::{ASSERTION_TYPE, Certificate, Form};
use entrant_types::{BoxFuture, ClientId, Fault, Guid, Outside, Secret};

use crate::keeper::Keeper;

/// Gives a client assertion for every token request: a JWT that the authority trusts for the client.
pub trait ClientAssertion: fmt::Debug + Send + Sync {
    /// A short fixed name for logs, such as `managed-identity`.
    fn name(&self) -> &str;

    /// The assertion to send now.
    fn assertion(&self) -> BoxFuture<'_, Result<Secret, Fault>>;
}

/// A client credential.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientAuth {
    /// A client secret.
    Secret(Secret),
    /// A certificate, whose key signs an assertion for every request.
    Certificate(Arc<Certificate>),
    /// An assertion from elsewhere: a managed identity, a token file, a callback.
    Assertion(Arc<dyn ClientAssertion>),
}

impl ClientAuth {
    /// Adds `client_id` and the proof to a token request for `token_endpoint`.
    ///
    /// # Errors
    /// The assertion could not be obtained or signed.
    pub async fn apply(
        &self,
        form: &mut Form,
        client_id: ClientId,
        token_endpoint: &str,
        outside: &Outside,
    ) -> Result<(), Fault> {
        form.push("client_id", client_id.to_string());
        match self {
            Self::Secret(secret) => form.push_secret("client_secret", secret.clone()),
            Self::Certificate(certificate) => {
                let mut id = [0_u8; 16];
                outside.entropy.fill(&mut id);
                let now = outside.clock.now();
                let id = Guid::from_bytes(id);
                push_assertion(form, certificate.assertion(client_id, token_endpoint, id, now)?);
            }
            Self::Assertion(source) => push_assertion(form, source.assertion().await?),
        }
        Ok(())
    }
}

fn push_assertion(form: &mut Form, assertion: Secret) {
    form.push("client_assertion_type", ASSERTION_TYPE);
    form.push_secret("client_assertion", assertion);
}

/// A managed identity's token for `api://AzureADTokenExchange` as client assertion.
#[derive(Clone, Debug)]
pub struct ManagedIdentityAssertion(Keeper);

impl ManagedIdentityAssertion {
    /// From the keeper of a user-assigned identity's token for the cloud's token exchange
    /// ([`Cloud::token_exchange`](entrant_proto::oauth::Cloud::token_exchange)).
    #[must_use]
    pub fn new(keeper: Keeper) -> Self {
        Self(keeper)
    }
}

impl ClientAssertion for ManagedIdentityAssertion {
    fn name(&self) -> &str {
        "managed-identity"
    }

    fn assertion(&self) -> BoxFuture<'_, Result<Secret, Fault>> {
        Box::pin(async { Ok(self.0.token().await?.secret) })
    }
}
