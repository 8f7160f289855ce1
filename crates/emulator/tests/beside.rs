//! Beside the emulator: the protected API and the Redis gate of the same process meet its rules and are counted.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

mod support;

use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use entrant_emulator::{AuthTrouble, Challenge, Effect, Endpoint, FaultRule};
use entrant_types::ObjectId;
use serde_json::json;
use support::Lab;

fn challenge(error: Challenge, claims: Option<&str>) -> Effect {
    Effect::Challenge { error, claims: claims.map(str::to_owned) }
}

fn alice(lab: &Lab) -> ObjectId {
    lab.facts.people.iter().find(|person| person.upn.starts_with("alice")).unwrap().object_id
}

/// Status and headers of a call that would be answered with 200.
async fn call(lab: &Lab, caller: Option<ObjectId>) -> (u16, HeaderMap) {
    let response = lab.emulator.api_call(caller, async { StatusCode::OK.into_response() }).await;
    (response.status().as_u16(), response.headers().clone())
}

#[tokio::test]
async fn a_call_of_the_api_meets_the_rules_of_its_caller_and_is_counted() {
    let lab = Lab::new().await;
    let mut rule = FaultRule::at(Endpoint::Api, challenge(Challenge::InsufficientScope, None));
    rule.user = Some("alice@contoso.example".into());
    lab.emulator.inject(rule).unwrap();
    let (status, headers) = call(&lab, Some(alice(&lab))).await;
    assert_eq!(
        (status, &headers["www-authenticate"]),
        (403, &"Bearer realm=\"\", error=\"insufficient_scope\"".parse().unwrap())
    );
    assert_eq!(call(&lab, None).await.0, 200, "nobody is not Alice");
    let counters = lab.emulator.counters();
    assert_eq!((counters.get(Endpoint::Api), counters.failed(Endpoint::Api)), (2, 1));
}

#[tokio::test]
async fn a_claims_challenge_carries_its_claims_in_base64() {
    let lab = Lab::new().await;
    let effect = challenge(Challenge::InsufficientClaims, Some("{\"access_token\":{}}"));
    lab.emulator.inject(FaultRule::at(Endpoint::Api, effect)).unwrap();
    let (status, headers) = call(&lab, None).await;
    assert_eq!(status, 401);
    let value = headers["www-authenticate"].to_str().unwrap();
    assert_eq!(value, "Bearer realm=\"\", error=\"insufficient_claims\", claims=\"eyJhY2Nlc3NfdG9rZW4iOnt9fQ==\"");
}

#[tokio::test]
async fn an_auth_meets_the_rules_of_its_identity_and_is_counted() {
    let lab = Lab::new().await;
    let identity = lab.facts.managed_identity_principal_id.unwrap();
    let mut rule = FaultRule::at(Endpoint::Redis, Effect::RefuseAuth { silent: true }).times(1);
    rule.identity = Some("web-app-identity".into());
    lab.emulator.inject(rule).unwrap();
    assert_eq!(lab.emulator.redis_auth(alice(&lab)), AuthTrouble::default());
    let trouble = AuthTrouble { refused: true, silent: true, ..AuthTrouble::default() };
    assert_eq!(lab.emulator.redis_auth(identity), trouble);
    assert_eq!(lab.emulator.redis_auth(identity), AuthTrouble::default(), "once");
    lab.emulator.count_redis_auth(false);
    assert_eq!(lab.emulator.counters().failed(Endpoint::Redis), 1);
}

#[tokio::test]
async fn effects_of_the_api_and_of_redis_exist_nowhere_else() {
    let lab = Lab::new().await;
    for (at, effect) in [
        (Endpoint::Token, challenge(Challenge::InvalidToken, None)),
        (Endpoint::Api, Effect::RefuseAuth { silent: false }),
        (Endpoint::Api, challenge(Challenge::InsufficientClaims, None)),
        (Endpoint::Api, challenge(Challenge::InvalidToken, Some("{}"))),
    ] {
        assert!(lab.emulator.inject(FaultRule::at(at, effect.clone())).is_err(), "{effect:?} at {at:?}");
    }
}

#[tokio::test]
async fn orders_for_a_gate_that_is_not_there_are_refused() {
    let lab = Lab::new().await;
    let url = format!("{}control/redis", lab.facts.console_url);
    let body = json!({ "action": "disconnect" }).to_string();
    let reply = lab.send("POST", &url, &[("content-type", "application/json")], body).await;
    assert_eq!(reply.status, 409);
    assert!(reply.text().contains("entrant dev"), "{}", reply.text());
}

#[tokio::test]
async fn any_number_can_be_forced_at_endpoints_that_know_nobody() {
    let lab = Lab::new().await;
    lab.emulator.inject(FaultRule::at(Endpoint::Discovery, Effect::Aadsts { number: 50049, claims: None })).unwrap();
    let url = format!("{}/common/discovery/instance", lab.facts.authority_host);
    let reply = lab.get(&url, &[]).await;
    assert_eq!((reply.status, reply.aadsts()), (400, 50049));
    assert_eq!(reply.json()["error"], "invalid_instance");
}
