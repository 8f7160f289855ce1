//! Signs a person in with no secret anywhere: the application proves itself by a managed identity.
//!
//! `cargo run -p entrant-confidential --example sign_in -- TENANT_ID CLIENT_ID IDENTITY_CLIENT_ID SCOPE`
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;
use std::sync::Arc;

use entrant_confidential::{Callback, ConfidentialClient, ConfidentialConfig, MemoryTokenStore, SignInRequest};
use entrant_credential::sources::managed_identity;
use entrant_credential::{ClientAuth, Keeper, KeeperOptions, ManagedIdentityAssertion, Selector};
use entrant_host::{HostConfig, outside};
use entrant_proto::oauth::Authority;
use entrant_types::emulation::World;
use entrant_types::{ClientId, Fault, Scope, Whose};

fn id(text: &str) -> Result<ClientId, Fault> {
    text.parse().map_err(|_| Fault::new(Whose::Configuration, format!("{text:?} is no GUID."), "Give a client id."))
}

async fn sign_in(tenant: &str, client_id: &str, identity: &str, scope: &str) -> Result<(), Fault> {
    let outside = outside(HostConfig::default())?;
    let authority = Authority::parse("https://login.microsoftonline.com", tenant)?;
    let source = managed_identity(Selector::ClientId(id(identity)?), &outside);
    let exchange = authority.cloud().token_exchange().default_scope();
    let (keeper, driver) = Keeper::new(source, exchange, KeeperOptions::default(), &outside);
    tokio::spawn(driver.run());
    let auth = ClientAuth::Assertion(Arc::new(ManagedIdentityAssertion::new(keeper)));
    let config = ConfidentialConfig::new(authority, id(client_id)?, auth, World::Azure);
    let client = ConfidentialClient::new(config, outside)?;

    let scopes = vec![Scope::new(scope)];
    let redirect_uri = "http://localhost:5000/getAToken".to_owned();
    let request = SignInRequest { redirect_uri, scopes: scopes.clone(), ..SignInRequest::default() };
    let (url, flow) = client.begin_sign_in(request).await?;
    println!("Open {url}\nand paste what follows the ? in the address that the browser ends on:");
    let query = std::io::stdin().lines().next().and_then(Result::ok).unwrap_or_default();
    let signed_in = client.redeem(flow, Callback::parse(query.trim())?).await?;
    println!("{} signed in", signed_in.account.username.as_deref().unwrap_or("somebody"));
    let store = MemoryTokenStore::new();
    store.put("session", signed_in.tokens)?;
    let acquired = client.acquire_silent(&store.partition("session"), scopes.as_slice()).await?;
    println!("token for {scope}: {:?}, until {}", acquired.origin, acquired.token.lifetime.expires);
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tenant, client_id, identity, scope] = arguments.as_slice() else {
        eprintln!("usage: sign_in TENANT_ID CLIENT_ID IDENTITY_CLIENT_ID SCOPE");
        return ExitCode::from(2);
    };
    let Err(fault) = sign_in(tenant, client_id, identity, scope).await else { return ExitCode::SUCCESS };
    eprintln!("{fault}");
    ExitCode::FAILURE
}
