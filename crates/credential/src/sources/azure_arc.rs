//! Managed identity on an Azure Arc-enabled server: a challenge names a file that only administrators and
//! members of the agent's group can read; its content is the answer.

use std::path::{Path, PathBuf};

use entrant_proto::managed_identity::{Selector, with_query};
use entrant_proto::oauth::challenge;
use entrant_types::outside::HttpRequest;
use entrant_types::{AccessToken, BoxFuture, Code, Fault, Outside, Retry, Scope, Whose};

use super::endpoint::IdentityEndpoint;
use crate::source::{Outcome, Source};

/// Where the agent writes challenge files on Linux. A challenge that names any other place is refused:
/// following it would send a file of the endpoint's choice to the endpoint.
const LINUX_TOKEN_DIRECTORY: &str = "/var/opt/azcmagent/tokens";
/// The agent's files hold 40 bytes or so; the documented limit is 4,096.
const MAX_KEY_BYTES: usize = 4096;

/// The endpoint that `IDENTITY_ENDPOINT` and `IMDS_ENDPOINT` announce. It serves the system-assigned identity.
#[derive(Debug)]
pub struct AzureArc {
    selector: Selector,
    directory: Option<PathBuf>,
    endpoint: IdentityEndpoint,
}

impl AzureArc {
    /// For the identity that `selector` names, which is refused if it is user-assigned.
    #[must_use]
    pub fn new(selector: Selector, outside: &Outside) -> Self {
        let directory = if cfg!(windows) {
            outside
                .env
                .get("ProgramData")
                .map(|root| Path::new(&root).join("AzureConnectedMachineAgent").join("Tokens"))
        } else {
            Some(PathBuf::from(LINUX_TOKEN_DIRECTORY))
        };
        Self { selector, directory, endpoint: IdentityEndpoint::new("the Azure Arc agent", outside) }
    }

    async fn ask(&self, url: &str, scope: &Scope) -> Result<AccessToken, Fault> {
        let query = [("api-version", "2020-06-01".to_owned()), ("resource", scope.resource().as_str().to_owned())];
        let request = HttpRequest::get(with_query(url, query)).header("metadata", "true");
        let (reply, now) = self.endpoint.send(request.clone()).await?;
        if reply.status != 401 {
            return entrant_proto::managed_identity::parse_reply(&reply, now);
        }
        let named = reply.header("www-authenticate").and_then(|header| challenge::parameter(header, "Basic", "realm"));
        let path = PathBuf::from(named.ok_or_else(|| refused("its challenge names no file"))?);
        let key = self.key(&path).await?;
        let (reply, now) = self.endpoint.send(request.header("authorization", format!("Basic {key}"))).await?;
        entrant_proto::managed_identity::parse_reply(&reply, now)
    }

    async fn key(&self, named: &Path) -> Result<String, Fault> {
        let directory = self.directory.as_deref().ok_or_else(|| refused("ProgramData is not set"))?;
        // Checked by name first, so that nothing outside is even looked at, then by what the name really is.
        let fits = |path: &Path| path.parent() == Some(directory) && path.extension().is_some_and(|end| end == "key");
        if !fits(named) {
            return Err(refused("its challenge names a file outside the agent's token directory"));
        }
        let files = &self.endpoint.outside.files;
        let real = files.canonical(named).await.map_err(|error| unreadable(&error))?;
        if !fits(&real) {
            return Err(refused("its challenge names a link that leads out of the agent's token directory"));
        }
        let bytes = files.read(&real, MAX_KEY_BYTES).await.map_err(|error| unreadable(&error))?;
        String::from_utf8(bytes)
            .ok()
            .filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or_else(|| refused("its challenge file does not hold plain text"))
    }
}

fn refused(why: &str) -> Fault {
    Fault::new(
        Whose::Provider,
        format!("the Azure Arc agent's challenge is not answered: {why}"),
        "Check that IDENTITY_ENDPOINT is the agent's own (`azcmagent show`), and reinstall the agent if it is.",
    )
    .retry(Retry::Whenever)
    .code(Code::Entrant("arc_challenge_refused"))
}

fn unreadable(error: &str) -> Fault {
    Fault::new(
        Whose::Configuration,
        format!("the Azure Arc agent's challenge file: {error}"),
        "Add this program's user to the group himds: `sudo usermod -aG himds USER`, then start it anew.",
    )
    .code(Code::Entrant("arc_challenge_unreadable"))
}

impl Source for AzureArc {
    fn name(&self) -> &str {
        "azure-arc"
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let [url, _] = match self.endpoint.variables(["IDENTITY_ENDPOINT", "IMDS_ENDPOINT"]) {
                Ok(values) => values,
                Err(outcome) => return outcome,
            };
            if self.selector.is_user_assigned() {
                let fix = "Ask without a client id: an Arc server has its system-assigned identity only.";
                return self.endpoint.unsupported(&self.selector, fix);
            }
            self.ask(&url, scope).await.into()
        })
    }

    fn skew_millis(&self) -> Option<i64> {
        self.endpoint.skew.get()
    }
}
