//! The person signed in to the Azure CLI.

use std::time::Duration;

use entrant_proto::jose::UnverifiedJwt;
use entrant_types::outside::CommandOutput;
use entrant_types::{AccessToken, BoxFuture, Lifetime, Outside, Scope, Secret, Timestamp};
use serde::Deserialize;

use super::command::{argument, failed, run, scope_argument, unreadable};
use crate::source::{Outcome, Source};

/// `az account get-access-token`.
#[derive(Debug)]
pub struct AzureCli {
    tenant: Option<String>,
    outside: Outside,
}

#[derive(Deserialize)]
struct Printed {
    #[serde(rename = "accessToken")]
    access_token: String,
    /// Unix seconds, since version 2.54. The older `expiresOn` is local time without a zone.
    expires_on: Option<i64>,
}

impl AzureCli {
    /// For the tenant that `az login` chose, or another one that the person can sign in to.
    #[must_use]
    pub fn new(tenant: Option<String>, outside: &Outside) -> Self {
        Self { tenant, outside: outside.clone() }
    }

    async fn ask(&self, scope: &Scope) -> Result<Outcome, Outcome> {
        let scope = scope_argument(scope)?;
        let mut args = vec!["account", "get-access-token", "--output", "json", "--scope", scope.as_str()];
        if let Some(tenant) = &self.tenant {
            args.extend(["--tenant", argument(tenant, "tenant")?]);
        }
        let output = run(&self.outside, "az", &args).await?;
        if output.code == Some(0) {
            return Ok(parse(&output, self.outside.clock.now())
                .map_or_else(|| Outcome::Failed(unreadable("az")), Outcome::Token));
        }
        // Its exit codes do not tell "not signed in" from a failure, but a second command's does.
        let signed_in = run(&self.outside, "az", &["account", "show", "--output", "none"]).await?;
        if signed_in.code == Some(0) {
            return Ok(Outcome::Failed(failed("az", &output)));
        }
        Ok(Outcome::NotApplicable("nobody is signed in to the Azure CLI: run `az login`".to_owned()))
    }
}

/// The token and its end; of an old version the end is read from the token.
fn parse(output: &CommandOutput, now: Timestamp) -> Option<AccessToken> {
    let printed: Printed = serde_json::from_str(output.stdout.expose()).ok()?;
    let expires = printed
        .expires_on
        .or_else(|| UnverifiedJwt::parse(&printed.access_token).ok()?.unverified_claims().get("exp")?.as_i64());
    let expires = expires.map_or(now + Duration::from_secs(300), Timestamp::from_secs);
    let lifetime = Lifetime { received: now, refresh_at: None, expires };
    Some(AccessToken { secret: Secret::new(printed.access_token), lifetime })
}

impl Source for AzureCli {
    fn name(&self) -> &str {
        "azure-cli"
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.ask(scope).await.unwrap_or_else(|outcome| outcome) })
    }
}
