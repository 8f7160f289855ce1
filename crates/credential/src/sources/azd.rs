//! The person signed in to the Azure Developer CLI.

use entrant_proto::oauth::rfc_3339;
use entrant_types::outside::CommandOutput;
use entrant_types::{AccessToken, BoxFuture, Lifetime, Outside, Scope, Secret, Timestamp};
use serde::Deserialize;

use super::command::{argument, failed, run, scope_argument, unreadable};
use crate::source::{Outcome, Source};

/// `azd auth token`.
#[derive(Debug)]
pub struct Azd {
    tenant: Option<String>,
    outside: Outside,
}

#[derive(Deserialize)]
struct Printed {
    token: String,
    #[serde(rename = "expiresOn")]
    expires_on: String,
}

#[derive(Deserialize)]
struct Status {
    status: String,
}

impl Azd {
    /// For the tenant that `azd auth login` chose, or another one that the person can sign in to.
    #[must_use]
    pub fn new(tenant: Option<String>, outside: &Outside) -> Self {
        Self { tenant, outside: outside.clone() }
    }

    async fn ask(&self, scope: &Scope) -> Result<Outcome, Outcome> {
        let scope = scope_argument(scope)?;
        let mut args = vec!["auth", "token", "--output", "json", "--no-prompt", "--scope", scope.as_str()];
        if let Some(tenant) = &self.tenant {
            args.extend(["--tenant-id", argument(tenant, "tenant")?]);
        }
        let output = run(&self.outside, "azd", &args).await?;
        if output.code == Some(0) {
            let token = parse(&output, self.outside.clock.now());
            return Ok(token.map_or_else(|| Outcome::Failed(unreadable("azd")), Outcome::Token));
        }
        // The failure does not tell "not signed in" from another, but the status does.
        let status = run(&self.outside, "azd", &["auth", "login", "--check-status", "--output", "json"]).await?;
        let status = serde_json::from_str::<Status>(status.stdout.expose()).map(|status| status.status);
        if status.is_ok_and(|status| status == "success") {
            return Ok(Outcome::Failed(failed("azd", &output)));
        }
        Ok(Outcome::NotApplicable("nobody is signed in to the Azure Developer CLI: run `azd auth login`".to_owned()))
    }
}

fn parse(output: &CommandOutput, now: Timestamp) -> Option<AccessToken> {
    let printed: Printed = serde_json::from_str(output.stdout.expose()).ok()?;
    let lifetime = Lifetime { received: now, refresh_at: None, expires: rfc_3339(&printed.expires_on)? };
    Some(AccessToken { secret: Secret::new(printed.token), lifetime })
}

impl Source for Azd {
    fn name(&self) -> &str {
        "azd"
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.ask(scope).await.unwrap_or_else(|outcome| outcome) })
    }
}
