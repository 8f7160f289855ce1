//! Session to account to token, with one signed-in person and with a hundred thousand.

use std::time::Instant;

use entrant_confidential::{
    AccountTokens, ConfidentialClient, ConfidentialConfig, MemoryTokenStore, Origin, SilentRequest,
};
use entrant_credential::ClientAuth;
use entrant_host::{DialPolicy, HostConfig};
use entrant_proto::oauth::Authority;
use entrant_types::emulation::World;
use entrant_types::{Scope, Secret};
use serde_json::json;

use super::Failure;
use super::speed::median;

const RESOURCE: &str = "api://11112222-bbbb-3333-cccc-4444dddd5555";

/// Measures and describes. Only loopback may be dialled, and nothing listens: a warm look-up that asked the authority
/// would fail the run.
pub async fn section() -> Result<String, Failure> {
    let outside = entrant_host::outside(HostConfig { dial: DialPolicy::LoopbackOnly, ..HostConfig::default() })?;
    let now = outside.clock.now();
    let authority = Authority::parse("https://localhost:1", "00001111-aaaa-2222-bbbb-3333cccc4444")?;
    let client_id = "22223333-cccc-4444-dddd-5555eeee6666".parse()?;
    let auth = ClientAuth::Secret(Secret::from("unused"));
    let config = ConfidentialConfig::new(authority, client_id, auth, World::Emulator);
    let client = ConfidentialClient::new(config, outside)?;
    let request = SilentRequest::new([Scope::new(format!("{RESOURCE}/access_as_user"))]);
    let mut medians = Vec::new();
    for sessions in [1_usize, 100_000] {
        let store = MemoryTokenStore::new();
        for number in 0..sessions {
            store.put(number.to_string(), tokens(number, now.millis())?)?;
        }
        let partitions: Vec<_> = (0..sessions.min(1000))
            .map(|nth| store.partition((nth * sessions / sessions.min(1000)).to_string()))
            .collect();
        let mut chunks = Vec::new();
        for _ in 0..7 {
            let started = Instant::now();
            for nth in 0..100_000 {
                let acquired = client.acquire_silent(&partitions[nth % partitions.len()], request.clone()).await?;
                if acquired.origin != Origin::Cache {
                    return Err("a warm look-up left the cache".into());
                }
            }
            chunks.push(started.elapsed().as_secs_f64() / 100_000.0 * 1e6);
        }
        medians.push(median(chunks));
    }
    Ok(format!(
        "\nSession → account → token (`acquire_silent`, tokens in memory, no request to anybody):\n\n\
         | signed-in people | µs | × one |\n|---|---|---|\n| 1 | {:.2} | 1.00 |\n| 100,000 | {:.2} | {:.2} |\n",
        medians[0],
        medians[1],
        medians[1] / medians[0],
    ))
}

/// One account with a refresh token and one access token of 1.5 KB, as a session record holds it.
fn tokens(number: usize, now: i64) -> Result<AccountTokens, Failure> {
    Ok(serde_json::from_value(json!({
        "account": {"home_account_id": format!("{number}.home"), "tenant_id": null, "object_id": null,
            "username": "alice@contoso.example", "name": "Alice", "login_hint": null, "session_id": null},
        "subject": {"issuer": "https://localhost:1/", "subject": number.to_string(), "auth_time": null},
        "refresh_token": "r".repeat(1000),
        "access": {RESOURCE: {"secret": "t".repeat(1500), "received": now, "refresh_at": null,
            "expires": now + 3_600_000, "scopes": [format!("{RESOURCE}/access_as_user")]}},
    }))?)
}
