//! Tokens for the application itself, and on behalf of its callers.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at a broken promise")]

mod support;

use std::time::Duration;

use entrant_confidential::SilentError;
use entrant_types::{Scope, Secret};
use serde_json::json;
use support::*;

fn redis() -> Scope {
    Scope::new("https://redis.azure.com/.default")
}

#[tokio::test]
async fn sixty_four_cold_callers_send_one_request_also_when_it_fails() {
    for failing in [false, true] {
        let entra = Entra::new();
        let client = entra.client();
        if failing {
            entra.refuse(503, json!({}));
        }
        entra.hold();
        let calls: Vec<_> = (0..64)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.client_credentials(&redis(), None).await })
            })
            .collect();
        entra.stage.http.reached(1).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        entra.release();
        for call in calls {
            assert_eq!(call.await.unwrap().is_err(), failing);
        }
        assert_eq!(entra.posts(), 1);
        assert_eq!(entra.last_post()["grant_type"], "client_credentials");
        assert_eq!(entra.last_post()["scope"], "https://redis.azure.com/.default");
    }
}

#[tokio::test]
async fn the_application_s_token_is_renewed_ahead_and_outlives_an_outage() {
    let entra = Entra::new();
    let client = entra.client();
    let first = client.client_credentials(&redis(), None).await.unwrap();
    assert_eq!(client.client_credentials(&redis(), None).await.unwrap(), first);
    entra.stage.clock.advance(Duration::from_secs(2700));
    entra.refuse(503, json!({}));
    for _ in 0..10 {
        assert_eq!(client.client_credentials(&redis(), None).await.unwrap(), first);
    }
    assert_eq!(entra.posts(), 2);
    entra.stage.clock.advance(Duration::from_secs(31));
    entra.accept();
    assert_ne!(client.client_credentials(&redis(), None).await.unwrap(), first);
}

#[tokio::test]
async fn a_refusal_of_the_application_is_sent_again_each_time() {
    let entra = Entra::new();
    let client = entra.client();
    entra.refuse(401, refusal("invalid_client", 7_000_215, json!({})));
    for _ in 0..3 {
        assert_eq!(client.client_credentials(&redis(), None).await.unwrap_err().aadsts(), Some(7_000_215));
    }
    assert_eq!(entra.posts(), 3);
}

#[tokio::test]
async fn an_api_goes_on_to_another_on_behalf_of_each_caller() {
    let entra = Entra::new();
    let client = entra.client();
    let scopes = [Scope::new("User.Read")];
    let (alice, bob) = (Secret::from("alice-token"), Secret::from("bob-token"));
    let for_alice = client.on_behalf_of(&alice, None, &scopes, None).await.unwrap();
    assert_eq!(entra.last_post()["assertion"], "alice-token");
    assert_eq!(entra.last_post()["requested_token_use"], "on_behalf_of");
    assert_eq!(client.on_behalf_of(&alice, None, &scopes, None).await.unwrap(), for_alice);
    assert_ne!(client.on_behalf_of(&bob, None, &scopes, None).await.unwrap(), for_alice, "never another's token");
    assert_eq!(entra.posts(), 2);
}

#[tokio::test]
async fn what_the_caller_s_user_must_prove_reaches_the_caller() {
    let entra = Entra::new();
    let demand = r#"{"access_token":{"acrs":{"essential":true}}}"#;
    entra.refuse(400, refusal("interaction_required", 50079, json!({"claims": demand})));
    let client = entra.client();
    let error = client.on_behalf_of(&Secret::from("t"), None, &[Scope::new("User.Read")], None).await.unwrap_err();
    assert!(matches!(&error, SilentError::Interaction(what) if what.claims.as_deref() == Some(demand)), "{error:?}");
}
