//! A source of one's own in an explicit chain, before the Azure CLI.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use entrant_credential::sources::{AzureCli, Chain};
use entrant_credential::{Outcome, Source};
use entrant_host::{HostConfig, outside};
use entrant_types::{AccessToken, BoxFuture, Fault, Lifetime, Outside, Scope, Secret};

/// A token that somebody put into a variable.
#[derive(Debug)]
struct Variable(Outside);

impl Source for Variable {
    fn name(&self) -> &str {
        "variable"
    }

    fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async {
            let Some(text) = self.0.env.get("MY_TOKEN") else {
                return Outcome::NotApplicable("MY_TOKEN is not set".to_owned());
            };
            let received = self.0.clock.now();
            let lifetime = Lifetime { received, refresh_at: None, expires: received + Duration::from_secs(600) };
            Outcome::Token(AccessToken { secret: Secret::new(text), lifetime })
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let outside = outside(HostConfig::default())?;
    let chain = Chain::first_try(Variable(outside.clone())).or_else(AzureCli::new(None, &outside));
    let scope = Scope::new("https://redis.azure.com/.default");
    let token = chain.fetch(&scope).await.into_result(chain.name())?;
    println!("{} gave a token that ends at {}", chain.name(), token.lifetime.expires);
    Ok(())
}
