//! Keeps a managed identity's token for Redis fresh and tells every change. Against the emulator:
//! `entrant emulator run --profile app-service -- cargo run -p entrant-credential --example managed_identity`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use entrant_credential::sources::managed_identity;
use entrant_credential::{Keeper, KeeperOptions, Selector};
use entrant_host::{HostConfig, outside};
use entrant_types::{Fault, Resource};

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let outside = outside(HostConfig::default())?;
    let selector = match outside.env.get("MANAGED_IDENTITY_CLIENT_ID").and_then(|id| id.parse().ok()) {
        Some(client_id) => Selector::ClientId(client_id),
        None => Selector::SystemAssigned,
    };
    let source = managed_identity(selector, &outside);
    let scope = Resource::new(Resource::REDIS).default_scope();
    let (keeper, driver) = Keeper::new(source, scope, KeeperOptions::default(), &outside);
    tokio::spawn(driver.run());

    let token = keeper.token().await?;
    println!("{} gave a token that ends at {}", keeper.source_name(), token.lifetime.expires);
    let mut changes = keeper.subscribe();
    while changes.changed().await.is_ok() {
        let seen = changes.borrow_and_update();
        println!("token {}, next attempt {:?}, last fault {:?}", seen.generation, seen.next_attempt, seen.last_fault);
    }
    Ok(())
}
