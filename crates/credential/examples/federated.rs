//! An app registration's own token without a secret: a user-assigned managed identity is its credential.
//! Needs `CLIENT_ID`, `TENANT_ID` and `MANAGED_IDENTITY_CLIENT_ID`, as in every Entra guide.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::str::FromStr;

use entrant_credential::sources::{Federated, authority_from_environment, managed_identity};
use entrant_credential::{Selector, Source};
use entrant_host::{HostConfig, outside};
use entrant_types::{ClientId, Fault, Outside, Scope, Whose};

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let outside = outside(HostConfig::default())?;
    let authority = authority_from_environment(&variable::<String>(&outside, "TENANT_ID")?, &outside)?;
    let app: ClientId = variable(&outside, "CLIENT_ID")?;
    let selector = Selector::ClientId(variable(&outside, "MANAGED_IDENTITY_CLIENT_ID")?);

    let identity = managed_identity(selector.clone(), &outside);
    let source = Federated::new(authority, app, &selector, identity, &outside)?;
    let scope = Scope::new("https://graph.microsoft.com/.default");
    let token = source.fetch(&scope).await.into_result(source.name())?;
    println!("{app} has a token for {scope} that ends at {}", token.lifetime.expires);
    Ok(())
}

fn variable<T: FromStr>(outside: &Outside, name: &str) -> Result<T, Fault> {
    let value = outside.env.get(name).and_then(|text| text.parse().ok());
    value.ok_or_else(|| Fault::new(Whose::Configuration, format!("{name} is missing or wrong"), format!("Set {name}.")))
}
