//! The key cache: bounded requests, stale while errors last, one fetch at a time.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at a broken promise")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use entrant_testkit::json_reply;
use entrant_types::emulation::World as Side;
use entrant_validate::{Discovery, DiscoveryPolicy, IssuerRule, KeySet, Policy, Rejected, Tenants, Validator};
use serde_json::{Value, json};
use support::*;

fn validator(issuer: &Issuer) -> Arc<Validator> {
    let policy =
        Policy::new(Side::Emulator, vec![IssuerRule::new(v2_issuer(TENANT))], vec![API.to_owned()], Tenants::Any);
    let outside = issuer.stage.outside();
    Arc::new(Validator::new(policy, KeySet::new(JWKS, &outside), outside.clock))
}

/// A token that is good for the whole test, with some unknown key.
fn unknown(number: usize) -> String {
    raw(&json!({"alg": "RS256", "kid": format!("unknown-{number}")}), &long_lived(), &[1; 256])
}

fn long_lived() -> Value {
    with(access_claims(), json!({"exp": now() + 100 * 24 * 3600}))
}

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_one_fetch_a_minute() {
    let issuer = Issuer::new();
    let validator = validator(&issuer);
    for number in 0..1000 {
        let refused = validator.validate(&unknown(number)).await.unwrap_err();
        assert_eq!(refused.reason(), "unknown_key");
    }
    assert_eq!(issuer.fetches(), 2, "the first fetch, and one renewal: the floor forbids another");
    issuer.stage.clock.advance(Duration::from_secs(60));
    for number in 0..1000 {
        assert!(validator.validate(&unknown(number)).await.is_err());
    }
    assert_eq!(issuer.fetches(), 3);
}

#[tokio::test]
async fn the_floor_arms_on_failure_too() {
    let issuer = Issuer::new();
    issuer.set_down(true);
    let validator = validator(&issuer);
    for number in 0..1000 {
        let refused = validator.validate(&unknown(number)).await.unwrap_err();
        assert_eq!((refused.reason(), refused.status()), ("keys_unavailable", 503));
    }
    assert_eq!(issuer.fetches(), 1);
    // A cold start recovers soon: the first waits are fractions of the floor, never zero.
    for _ in 0..60 {
        issuer.stage.clock.advance(Duration::from_secs(1));
        let _ = validator.validate(&unknown(0)).await;
    }
    assert_eq!(issuer.fetches(), 5, "after 3.75, 7.5, 15 and 30 s");
    issuer.set_down(false);
    issuer.stage.clock.advance(Duration::from_secs(60));
    validator.validate(&sign(&access_claims())).await.unwrap();
}

#[tokio::test]
async fn a_rolled_key_is_found_by_the_first_token_that_names_it() {
    let issuer = Issuer::new();
    let validator = validator(&issuer);
    validator.validate(&sign(&long_lived())).await.unwrap();
    // A moment later: somebody who restarts everything rolls the key then, too.
    issuer.publish(&[&KEY, &OTHER_KEY]);
    validator.validate(&sign_with(&OTHER_KEY, json!({}), &long_lived())).await.unwrap();
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn known_keys_serve_while_the_issuer_is_down_but_not_for_ever() {
    let issuer = Issuer::new();
    let validator = validator(&issuer);
    validator.validate(&sign(&long_lived())).await.unwrap();
    issuer.set_down(true);
    issuer.stage.clock.advance(Duration::from_secs(6 * 24 * 3600));
    validator.validate(&sign(&long_lived())).await.unwrap();
    issuer.stage.clock.advance(Duration::from_secs(24 * 3600));
    let refused = validator.validate(&sign(&long_lived())).await.unwrap_err();
    assert_eq!(refused.reason(), "keys_unavailable");
}

#[tokio::test]
async fn a_day_old_set_is_renewed_without_anybody_waiting() {
    let issuer = Issuer::new();
    let validator = validator(&issuer);
    validator.validate(&sign(&long_lived())).await.unwrap();
    issuer.stage.clock.advance(Duration::from_secs(24 * 3600));
    validator.validate(&sign(&long_lived())).await.unwrap();
    issuer.stage.http.reached(2).await;
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn a_hundred_cold_callers_make_one_fetch_and_share_its_failure() {
    for down in [false, true] {
        let issuer = Issuer::new();
        issuer.set_down(down);
        let validator = validator(&issuer);
        let calls: Vec<_> = (0..100)
            .map(|_| {
                let validator = Arc::clone(&validator);
                tokio::spawn(async move { validator.validate(&sign(&access_claims())).await })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap().is_err(), down);
        }
        assert_eq!(issuer.fetches(), 1);
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_end_the_fetch() {
    let issuer = Issuer::new();
    let (answer, held) = tokio::sync::oneshot::channel::<()>();
    let held = std::sync::Mutex::new(Some(held));
    issuer.stage.http.handle_async(move |_| {
        let held = held.lock().unwrap().take();
        Box::pin(async move {
            if let Some(held) = held {
                let _ = held.await;
            }
            Ok(json_reply(200, json!({"keys": [KEY.jwk()]})))
        })
    });
    let validator = validator(&issuer);
    let impatient = Arc::clone(&validator);
    let call = tokio::spawn(async move { impatient.validate(&sign(&access_claims())).await });
    issuer.stage.http.reached(1).await;
    call.abort();
    let _ = call.await;
    answer.send(()).unwrap();
    validator.validate(&sign(&access_claims())).await.unwrap();
    assert_eq!(issuer.stage.http.count(), 1);
}

#[tokio::test]
async fn a_clock_that_stepped_back_does_not_lengthen_the_wait() {
    let issuer = Issuer::new();
    issuer.set_down(true);
    let validator = validator(&issuer);
    issuer.stage.clock.advance(Duration::from_secs(365 * 24 * 3600));
    assert!(validator.validate(&sign(&with(long_lived(), json!({"exp": now() + 366 * 24 * 3600})))).await.is_err());
    issuer.set_down(false);
    issuer.stage.clock.set(entrant_testkit::Stage::START);
    validator.validate(&sign(&access_claims())).await.unwrap();
}

#[tokio::test]
async fn documents_that_are_no_key_sets_are_refused() {
    for body in [json!([]), json!({"keys": []}), json!({"keys": [{"kty": "oct", "k": "AA", "kid": "x"}]})] {
        let issuer = Issuer::new();
        issuer.stage.http.handle(move |_| Ok(json_reply(200, body.clone())));
        let refused = validator(&issuer).validate(&sign(&access_claims())).await.unwrap_err();
        let Rejected::KeysUnavailable(fault) = refused else { panic!("{refused:?}") };
        assert!(fault.is("key_set_unusable"), "{fault}");
    }
}

fn metadata(changes: Value) -> Value {
    let base = format!("{BASE}/common");
    with(
        json!({
            "issuer": format!("{BASE}/{{tenantid}}/v2.0"),
            "authorization_endpoint": "http://localhost:8480/common/oauth2/v2.0/authorize",
            "token_endpoint": format!("{base}/oauth2/v2.0/token"),
            "jwks_uri": JWKS,
            "end_session_endpoint": "http://localhost:8480/common/oauth2/v2.0/logout",
        }),
        changes,
    )
}

async fn discover(side: Side, document: Value) -> Result<(), String> {
    let issuer = Issuer::new();
    issuer.stage.http.handle(move |_| Ok(json_reply(200, document.clone())));
    let rules = vec![IssuerRule::new(format!("{BASE}/{{tenantid}}/v2.0"))];
    let policy = DiscoveryPolicy { world: side, issuers: rules, hosts: Vec::new() };
    let url = format!("{BASE}/common/v2.0/.well-known/openid-configuration");
    let discovery = Discovery::new(url, policy, &issuer.stage.outside());
    discovery.metadata().await.map(|_| ()).map_err(|fault| fault.to_string())
}

#[tokio::test]
async fn metadata_is_believed_only_from_the_configured_issuer_and_host() {
    discover(Side::Emulator, metadata(json!({}))).await.unwrap();
    discover(Side::Emulator, metadata(json!({"issuer": v2_issuer(TENANT)}))).await.unwrap();
    for changes in [
        json!({"issuer": "https://localhost:9999/{tenantid}/v2.0"}),
        json!({"issuer": null}),
        json!({"token_endpoint": "http://localhost:8480/token"}),
        json!({"token_endpoint": "https://evil.example/token"}),
        json!({"jwks_uri": "http://localhost:8480/keys"}),
        json!({"jwks_uri": "file:///etc/passwd"}),
        json!({"authorization_endpoint": "http://evil.example/authorize"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"end_session_endpoint": "https://evil.example/logout"}),
    ] {
        let text = changes.to_string();
        assert!(discover(Side::Emulator, metadata(changes)).await.is_err(), "{text}");
    }
    // The emulator's exception, a sign-in page over http on loopback, exists in its world alone.
    assert!(discover(Side::Azure, metadata(json!({}))).await.is_err());
}
