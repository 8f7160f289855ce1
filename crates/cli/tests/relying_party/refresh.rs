//! The Refresh plan: what may be wrong with the ID token that a refresh brings.

use entrant_confidential::{Acquired, MemoryTokenStore, Origin, SilentError, SilentRequest};
use entrant_emulator::Endpoint;
use entrant_types::Fault;

use crate::lab::Lab;
use crate::module::Module;

/// Signs in, puts the rule in force, refreshes once.
async fn refreshed(lab: &Lab, module: &Module) -> Result<Acquired, Fault> {
    let signed_in = lab.sign_in().await?;
    let memory = MemoryTokenStore::new();
    memory.put("alice", signed_in.tokens)?;
    let store = memory.partition("alice");
    lab.set(module).await;
    let request = SilentRequest { fresh: true, ..SilentRequest::new([lab.scope()]) };
    let outcome = lab.client.acquire_silent(&store, request).await;
    if let Err(error) = &outcome {
        assert!(matches!(error, SilentError::Refused(_)), "{error:?}");
        let kept = lab.client.acquire_silent(&store, SilentRequest::new([lab.scope()])).await.unwrap();
        assert_eq!(kept.origin, Origin::Cache, "the token of before still serves, and nothing of the reply was kept");
    }
    outcome.map_err(Fault::from)
}

#[tokio::test]
async fn refresh_token() {
    let (lab, module) = (Lab::new().await, Module::named("refresh-token"));
    let outcome = refreshed(&lab, module).await;
    assert_eq!(outcome.as_ref().map(|acquired| acquired.origin), Ok(Origin::Refreshed));
    assert_eq!(lab.calls(Endpoint::Token), 2);
    module.judge(outcome);
}

#[tokio::test]
async fn refresh_token_invalid_issuer() {
    let (lab, module) = (Lab::new().await, Module::named("refresh-token-invalid-issuer"));
    module.judge(refreshed(&lab, module).await);
}

#[tokio::test]
async fn refresh_token_invalid_sub() {
    let (lab, module) = (Lab::new().await, Module::named("refresh-token-invalid-sub"));
    module.judge(refreshed(&lab, module).await);
}
