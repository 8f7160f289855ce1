//! An app registration with a client certificate.

use std::path::PathBuf;
use std::sync::Arc;

use entrant_proto::oauth::Authority;
pub use entrant_proto::oauth::Certificate;
use entrant_types::{AccessToken, BoxFuture, ClientId, Code, Fault, Outside, Scope, Secret, Whose};

use super::client_secret::ClientCredentials;
use crate::client_auth::ClientAuth;
use crate::source::{Outcome, SeenSkew, Source};

const NAME: &str = "client-certificate";
/// A certificate with its chain and key is a few kilobytes.
const MAX_FILE_BYTES: usize = 256 * 1024;

/// An app registration that proves itself with a certificate's key. The file is read for every request, which
/// is once an hour: a renewed certificate needs no restart.
#[derive(Debug)]
pub struct ClientCertificate {
    authority: Authority,
    client_id: ClientId,
    path: PathBuf,
    password: Option<Secret>,
    outside: Outside,
    skew: SeenSkew,
}

impl ClientCertificate {
    /// With the PEM or PFX file at `path`; the password is that of a PFX file.
    #[must_use]
    pub fn new(
        authority: Authority,
        client_id: ClientId,
        path: impl Into<PathBuf>,
        password: Option<Secret>,
        outside: &Outside,
    ) -> Self {
        let (path, outside) = (path.into(), outside.clone());
        Self { authority, client_id, path, password, outside, skew: SeenSkew::default() }
    }

    async fn ask(&self, scope: &Scope) -> Result<AccessToken, Fault> {
        let file = self.outside.files.read(&self.path, MAX_FILE_BYTES).await.map_err(|error| {
            let fix = "Check AZURE_CLIENT_CERTIFICATE_PATH and the file's permissions.";
            Fault::new(Whose::Configuration, format!("the client certificate: {error}"), fix)
                .code(Code::Entrant("certificate_unreadable"))
        })?;
        let certificate = Arc::new(Certificate::read(&file, self.password.as_ref())?);
        let auth = ClientAuth::Certificate(certificate);
        let inner = ClientCredentials::new(NAME, self.authority.clone(), self.client_id, auth, &self.outside);
        let outcome = inner.fetch(scope).await;
        self.skew.see(inner.skew_millis());
        outcome.into_result(NAME)
    }
}

impl Source for ClientCertificate {
    fn name(&self) -> &str {
        NAME
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.ask(scope).await.into() })
    }

    fn skew_millis(&self) -> Option<i64> {
        self.skew.get()
    }
}
