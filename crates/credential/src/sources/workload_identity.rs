//! Kubernetes workload identity: a projected service-account token, read anew each time, as client assertion.

use std::path::PathBuf;
use std::sync::Arc;

use entrant_proto::jose::MAX_TOKEN_BYTES;
use entrant_types::{BoxFuture, ClientId, Code, Fault, Outside, Scope, Secret, Whose};

use super::client_secret::ClientCredentials;
use super::environment::authority_from_environment;
use crate::client_auth::{ClientAssertion, ClientAuth};
use crate::source::{Outcome, SeenSkew, Source};

/// A file that holds an assertion and is rewritten by somebody else. It is read for every request: the
/// kubelet rotates it, and a request is made once an hour.
#[derive(Debug)]
pub struct FileAssertion {
    path: PathBuf,
    outside: Outside,
}

impl FileAssertion {
    /// The file at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, outside: &Outside) -> Self {
        Self { path: path.into(), outside: outside.clone() }
    }

    async fn read(&self) -> Result<Secret, Fault> {
        let read = self.outside.files.read(&self.path, MAX_TOKEN_BYTES).await;
        let text = read.and_then(|bytes| {
            let text = String::from_utf8(bytes).map_err(|_| format!("{} is not text", self.path.display()))?;
            let text = text.trim().to_owned();
            if text.is_empty() { Err(format!("{} is empty", self.path.display())) } else { Ok(text) }
        });
        text.map(Secret::new).map_err(|error| {
            Fault::new(
                Whose::Configuration,
                format!("the federated token file: {error}"),
                "Check AZURE_FEDERATED_TOKEN_FILE; on Kubernetes, that the pod has the label \
                 azure.workload.identity/use: \"true\" and its service account the client id's annotation.",
            )
            .code(Code::Entrant("token_file_unreadable"))
        })
    }
}

impl ClientAssertion for FileAssertion {
    fn name(&self) -> &str {
        "token-file"
    }

    fn assertion(&self) -> BoxFuture<'_, Result<Secret, Fault>> {
        Box::pin(self.read())
    }
}

const NAME: &str = "workload-identity";

/// What `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_FEDERATED_TOKEN_FILE` and `AZURE_AUTHORITY_HOST` say,
/// each replaceable by configuration.
#[derive(Debug)]
pub struct WorkloadIdentity {
    tenant: Option<String>,
    client_id: Option<ClientId>,
    outside: Outside,
    skew: SeenSkew,
}

impl WorkloadIdentity {
    /// With a tenant and client id of one's own instead of the variables'.
    #[must_use]
    pub fn new(tenant: Option<String>, client_id: Option<ClientId>, outside: &Outside) -> Self {
        Self { tenant, client_id, outside: outside.clone(), skew: SeenSkew::default() }
    }

    fn inner(&self) -> Result<ClientCredentials, Outcome> {
        let env = &self.outside.env;
        let absent = |name: &str| Outcome::NotApplicable(format!("{name} is not set"));
        let file = env.get("AZURE_FEDERATED_TOKEN_FILE").ok_or_else(|| absent("AZURE_FEDERATED_TOKEN_FILE"))?;
        let tenant = self.tenant.clone().or_else(|| env.get("AZURE_TENANT_ID"));
        let tenant = tenant.ok_or_else(|| absent("AZURE_TENANT_ID"))?;
        let client_id = match self.client_id {
            Some(id) => id,
            None => super::environment::client_id(&self.outside)
                .ok_or_else(|| absent("AZURE_CLIENT_ID"))?
                .map_err(Outcome::Failed)?,
        };
        let authority = authority_from_environment(&tenant, &self.outside).map_err(Outcome::Failed)?;
        let auth = ClientAuth::Assertion(Arc::new(FileAssertion::new(file, &self.outside)));
        Ok(ClientCredentials::new(NAME, authority, client_id, auth, &self.outside))
    }
}

impl Source for WorkloadIdentity {
    fn name(&self) -> &str {
        NAME
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
