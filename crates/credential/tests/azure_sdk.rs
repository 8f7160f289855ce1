//! The bridge, both ways, and in a circle.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use entrant_credential::azure_sdk::{SdkCredential, SdkSource};
use entrant_credential::sources::Imds;
use entrant_credential::{KeeperOptions, Keepers, Selector, Source};
use entrant_testkit::{Stage, json_reply, reply};
use entrant_types::{Fault, Scope};
use serde_json::json;

const SCOPE: &str = "https://redis.azure.com/.default";

fn credential(stage: &Stage) -> SdkCredential {
    let source = Arc::new(Imds::at("http://127.0.0.1:1", Selector::SystemAssigned, &stage.outside()));
    let (keepers, driver) = Keepers::new(source, KeeperOptions::default(), &stage.outside());
    tokio::spawn(driver.run());
    SdkCredential::new(keepers)
}

#[tokio::test]
async fn a_client_of_the_azure_sdk_gets_our_tokens_with_one_request() {
    let stage = Stage::new();
    stage.http.push(Ok(json_reply(200, json!({"access_token": "our-token", "expires_in": "3600"}))));
    let credential = credential(&stage);
    for _ in 0..5 {
        let token = credential.get_token(&[SCOPE], None).await.unwrap();
        assert_eq!(token.token.secret(), "our-token");
        assert_eq!(token.expires_on.unix_timestamp(), Stage::START.secs() + 3600);
    }
    assert_eq!(stage.http.count(), 1);
    assert!(credential.get_token(&[], None).await.is_err());
    assert!(credential.get_token(&["a", "b"], None).await.is_err());
}

#[tokio::test]
async fn our_fault_reaches_the_client_of_the_azure_sdk_whole() {
    let stage = Stage::new();
    stage.http.push(Ok(reply(400, r#"{"error":"invalid_request","error_description":"Identity not found"}"#)));
    let error = credential(&stage).get_token(&[SCOPE], None).await.unwrap_err();
    let fault = error.downcast_ref::<Fault>().unwrap();
    assert!(fault.is("identity_not_found"), "{fault}");
}

#[tokio::test]
async fn a_credential_of_the_azure_sdk_is_a_source() {
    let stage = Stage::new();
    stage.http.push(Ok(json_reply(200, json!({"access_token": "their-token", "expires_in": "3600"}))));
    stage.http.push(Ok(reply(500, "")));
    let source = SdkSource::new("sdk", Arc::new(credential(&stage)), &stage.outside());
    let token = source.fetch(&Scope::new(SCOPE)).await.into_result("sdk").unwrap();
    assert_eq!((token.secret.expose(), token.lifetime.left(Stage::START).as_secs()), ("their-token", 3600));
    let other = Scope::new("https://graph.example/.default");
    assert!(source.fetch(&other).await.into_result("sdk").unwrap_err().is("azure_sdk"));
}
