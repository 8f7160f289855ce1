//! The bridge to the Azure SDK for Rust: our keepers for its clients, its credentials as our sources.

use std::sync::Arc;

use azure_core::credentials::{AccessToken as SdkToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::time::OffsetDateTime;
use entrant_proto::oauth::error::quoted;
use entrant_types::{AccessToken, BoxFuture, Code, Fault, Lifetime, Outside, Scope, Secret, Timestamp, Whose};

use crate::keepers::Keepers;
use crate::source::{Outcome, Source};

/// Our keepers as a credential for any client of the Azure SDK.
#[derive(Clone, Debug)]
pub struct SdkCredential(Keepers);

impl SdkCredential {
    /// Spawn the driver of `keepers` beside it.
    #[must_use]
    pub fn new(keepers: Keepers) -> Self {
        Self(keepers)
    }

    async fn token(&self, scopes: &[&str]) -> Result<AccessToken, Fault> {
        let [scope] = scopes else {
            let what = format!("a token was asked for with {} scopes at once", scopes.len());
            return Err(Fault::new(Whose::Caller, what, "Ask for one scope at a time."));
        };
        self.0.get(&Scope::new(*scope))?.token().await
    }
}

#[async_trait::async_trait]
impl TokenCredential for SdkCredential {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<SdkToken> {
        let token = self.token(scopes).await.map_err(|fault| azure_core::Error::new(ErrorKind::Credential, fault))?;
        let expires = OffsetDateTime::from_unix_timestamp(token.lifetime.expires.secs());
        let expires = expires.map_err(|error| azure_core::Error::new(ErrorKind::DataConversion, error))?;
        Ok(SdkToken::new(token.secret.expose().to_owned(), expires))
    }
}

/// Any credential of the Azure SDK as a source.
#[derive(Debug)]
pub struct SdkSource {
    name: &'static str,
    credential: Arc<dyn TokenCredential>,
    outside: Outside,
}

impl SdkSource {
    /// `name` is for logs and metrics.
    #[must_use]
    pub fn new(name: &'static str, credential: Arc<dyn TokenCredential>, outside: &Outside) -> Self {
        Self { name, credential, outside: outside.clone() }
    }

    async fn ask(&self, scope: &Scope) -> Result<AccessToken, Fault> {
        let token = self.credential.get_token(&[scope.as_str()], None).await.map_err(|error| {
            let what = format!("the Azure SDK's credential {} failed: {}", self.name, quoted(&error.to_string()));
            let fault = Fault::new(Whose::Provider, what, "Mend what it says.").code(Code::Entrant("azure_sdk"));
            match error.kind() {
                ErrorKind::HttpResponse { status, .. } => fault.code(Code::Http((*status).into())),
                _ => fault,
            }
        })?;
        let expires = Timestamp::from_secs(token.expires_on.unix_timestamp());
        let lifetime = Lifetime { received: self.outside.clock.now(), refresh_at: None, expires };
        Ok(AccessToken { secret: Secret::from(token.token.secret()), lifetime })
    }
}

impl Source for SdkSource {
    fn name(&self) -> &str {
        self.name
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.ask(scope).await.into() })
    }
}
