//! An app registration as the Azure SDKs' variables describe it.

use entrant_proto::oauth::{Authority, Cloud};
use entrant_types::{BoxFuture, ClientId, Code, Fault, Outside, Retry, Scope, Secret, Whose};

use super::{ClientCertificate, ClientSecret};
use crate::source::{Outcome, SeenSkew, Source};

/// The authority of `tenant` at `AZURE_AUTHORITY_HOST`, else in the public cloud.
///
/// # Errors
/// A host or tenant that cannot be used.
pub fn authority_from_environment(tenant: &str, outside: &Outside) -> Result<Authority, Fault> {
    let host = outside.env.get("AZURE_AUTHORITY_HOST");
    let public = Cloud::Public.host_url().unwrap_or_default();
    Authority::parse(host.as_deref().unwrap_or(public), tenant)
}

/// `AZURE_CLIENT_ID`, if set.
pub(super) fn client_id(outside: &Outside) -> Option<Result<ClientId, Fault>> {
    let text = outside.env.get("AZURE_CLIENT_ID")?;
    Some(text.trim().parse().map_err(|error| {
        let fix = "Set it to the Application (client) ID on the app registration's Overview page.";
        Fault::new(Whose::Configuration, format!("AZURE_CLIENT_ID is {error}"), fix)
            .retry(Retry::Never)
            .code(Code::Entrant("client_id_invalid"))
    }))
}

/// `AZURE_TENANT_ID` and `AZURE_CLIENT_ID` with `AZURE_CLIENT_SECRET`, or with `AZURE_CLIENT_CERTIFICATE_PATH`
/// (and `AZURE_CLIENT_CERTIFICATE_PASSWORD`), at `AZURE_AUTHORITY_HOST`.
#[derive(Debug)]
pub struct Environment {
    outside: Outside,
    skew: SeenSkew,
}

impl Environment {
    /// Reads the variables at every fetch.
    #[must_use]
    pub fn new(outside: &Outside) -> Self {
        Self { outside: outside.clone(), skew: SeenSkew::default() }
    }

    fn inner(&self) -> Result<Box<dyn Source>, Outcome> {
        let (outside, env) = (&self.outside, &self.outside.env);
        let (Some(tenant), Some(client_id)) = (env.get("AZURE_TENANT_ID"), client_id(outside)) else {
            return Err(Outcome::NotApplicable("AZURE_TENANT_ID and AZURE_CLIENT_ID are not both set".to_owned()));
        };
        let client_id = client_id.map_err(Outcome::Failed)?;
        let authority = authority_from_environment(&tenant, outside).map_err(Outcome::Failed)?;
        if let Some(secret) = env.get("AZURE_CLIENT_SECRET") {
            return Ok(Box::new(ClientSecret::new(authority, client_id, Secret::new(secret), outside)));
        }
        if let Some(path) = env.get("AZURE_CLIENT_CERTIFICATE_PATH") {
            let password = env.get("AZURE_CLIENT_CERTIFICATE_PASSWORD").map(Secret::new);
            return Ok(Box::new(ClientCertificate::new(authority, client_id, path, password, outside)));
        }
        Err(Outcome::NotApplicable("neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH is set".to_owned()))
    }
}

impl Source for Environment {
    fn name(&self) -> &str {
        "environment"
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match self.inner() {
                Ok(inner) => {
                    let outcome = inner.fetch(scope).await;
                    self.skew.see(inner.skew_millis());
                    outcome
                }
                Err(outcome) => outcome,
            }
        })
    }

    fn skew_millis(&self) -> Option<i64> {
        self.skew.get()
    }
}
