//! Our keepers as the credential of any Azure SDK client.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use entrant_credential::azure_sdk::SdkCredential;
use entrant_credential::sources::development;
use entrant_credential::{KeeperOptions, Keepers, Selector};
use entrant_host::{HostConfig, outside};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let outside = outside(HostConfig::default())?;
    let source = Arc::new(development(None, Selector::SystemAssigned, &outside));
    let (keepers, driver) = Keepers::new(source, KeeperOptions::default(), &outside);
    tokio::spawn(driver.run());

    // Hand this to a client's constructor; here we play the client.
    let credential: Arc<dyn TokenCredential> = Arc::new(SdkCredential::new(keepers));
    let token = credential.get_token(&["https://redis.azure.com/.default"], None).await?;
    println!("a token that ends at {}", token.expires_on);
    Ok(())
}
