//! Faults: each one shows on the wire, for whom and as often as its rule says, and nowhere else.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

mod support;

use std::time::Duration;

use entrant_emulator::{Effect, Endpoint, FaultRule, TokenKind};
use entrant_proto::jose::{JwkSet, PublicKey, UnverifiedJwt};
use serde_json::{Value, json};
use support::{Lab, START, claims};

async fn strike(lab: &Lab, endpoint: Endpoint, effect: Effect) {
    lab.emulator.clear_faults();
    lab.emulator.inject(FaultRule::at(endpoint, effect)).unwrap();
}

async fn id_token(lab: &Lab) -> String {
    lab.signed_in("alice@contoso.example").await["id_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn any_aadsts_number_can_be_forced_with_its_status_error_and_suberror() {
    let lab = Lab::new().await;
    let assertion = lab.assertion().await;
    for (number, status, error, suberror) in [
        (50076, 400, "interaction_required", Some("basic_action")),
        (65001, 400, "invalid_grant", Some("consent_required")),
        (7_000_215, 401, "invalid_client", None),
        (700_082, 400, "invalid_grant", None),
    ] {
        let claims = Some("{\"access_token\":{}}".to_owned());
        strike(&lab, Endpoint::Token, Effect::Aadsts { number, claims: claims.clone() }).await;
        let reply = lab.exchange(&assertion).await;
        assert_eq!((reply.status, reply.aadsts()), (status, u64::from(number)));
        let json = reply.json();
        assert_eq!(json["error"], error);
        assert_eq!(json["suberror"].as_str(), suberror);
        assert_eq!(json["claims"].as_str(), claims.as_deref());
    }
}

#[tokio::test]
async fn a_rule_strikes_after_as_many_requests_and_as_often_as_it_says() {
    let lab = Lab::new().await;
    let assertion = lab.assertion().await;
    let mut rule = FaultRule::at(Endpoint::Token, Effect::Status { code: 503, retry_after: Some(7) }).times(2);
    rule.after = 1;
    lab.emulator.inject(rule).unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let reply = lab.exchange(&assertion).await;
        seen.push((reply.status, reply.headers.get("retry-after").cloned()));
    }
    let fault = (503, Some("7".to_owned()));
    assert_eq!(seen, [(200, None), fault.clone(), fault, (200, None)]);
    let status = lab.emulator.faults().pop().unwrap();
    assert_eq!((status.matched, status.struck), (4, 2));
}

#[tokio::test]
async fn a_rule_strikes_only_whom_it_selects() {
    let lab = Lab::new().await;
    let effect = || Effect::Aadsts { number: 53003, claims: None };
    let rule = |set: &dyn Fn(&mut FaultRule)| {
        let mut rule = FaultRule::at(Endpoint::Token, effect());
        set(&mut rule);
        lab.emulator.clear_faults();
        lab.emulator.inject(rule).unwrap();
    };
    let outcome = async || lab.exchange(&lab.assertion().await).await.status;
    rule(&|rule| rule.app = Some("protected-api".into()));
    assert_eq!(outcome().await, 200);
    rule(&|rule| rule.app = Some("web-app".into()));
    assert_eq!(outcome().await, 400);
    rule(&|rule| rule.grant = Some("refresh_token".into()));
    assert_eq!(outcome().await, 200);
    rule(&|rule| rule.resource = Some("graph.microsoft.com".into()));
    assert_eq!(outcome().await, 400);
    rule(&|rule| rule.user = Some("adele@contoso.example".into()));
    assert_eq!(outcome().await, 200, "there is no user in client credentials");
    let code = lab.code("adele@contoso.example", &[]).await;
    assert_eq!(lab.redeem(&code, &[]).await.aadsts(), 53003);
    lab.signed_in("alice@contoso.example").await;
}

#[tokio::test]
async fn a_probability_strikes_about_its_share() {
    let lab = Lab::new().await;
    let mut rule = FaultRule::at(Endpoint::AppService, Effect::Status { code: 500, retry_after: None });
    rule.probability = Some(0.5);
    lab.emulator.inject(rule).unwrap();
    let mut failed = 0;
    for _ in 0..60 {
        failed += u32::from(lab.managed_identity("https://redis.azure.com", "").await.status == 500);
    }
    assert!((10..=50).contains(&failed), "{failed} of 60");
}

#[tokio::test]
async fn json_answers_lose_and_change_members() {
    let lab = Lab::new().await;
    strike(&lab, Endpoint::AppService, Effect::DropField { field: "expires_on".into() }).await;
    assert!(lab.managed_identity("https://redis.azure.com", "").await.json().get("expires_on").is_none());
    strike(&lab, Endpoint::AppService, Effect::SetField { field: "expires_on".into(), value: json!(START - 60) }).await;
    assert_eq!(lab.managed_identity("https://redis.azure.com", "").await.json()["expires_on"], START - 60);
    strike(&lab, Endpoint::Keys, Effect::SetField { field: "keys".into(), value: json!([]) }).await;
    assert_eq!(lab.get(&lab.facts.jwks_url, &[]).await.json()["keys"], json!([]));
    strike(&lab, Endpoint::Metadata, Effect::SetField { field: "issuer".into(), value: json!("https://other") }).await;
    let url = format!("{}/v2.0/.well-known/openid-configuration", lab.facts.authority);
    assert_eq!(lab.get(&url, &[]).await.json()["issuer"], "https://other");
}

#[tokio::test]
async fn answers_can_be_pages_halves_or_nothing() {
    let lab = Lab::new().await;
    strike(&lab, Endpoint::Keys, Effect::NotJson).await;
    assert!(lab.get(&lab.facts.jwks_url, &[]).await.text().starts_with("<html>"));
    for effect in [Effect::Truncate, Effect::Reset] {
        strike(&lab, Endpoint::Keys, effect).await;
        assert!(lab.attempt("GET", &lab.facts.jwks_url).await.is_err(), "the connection ends early");
    }
}

#[tokio::test]
async fn latency_and_hang_hold_the_answer_for_as_long_as_they_say() {
    let lab = Lab::new().await;
    for (effect, span) in [(Effect::Latency { millis: 3000 }, 3000), (Effect::Hang, 120_000)] {
        strike(&lab, Endpoint::Keys, effect).await;
        let request = lab.attempt("GET", &lab.facts.jwks_url);
        let release = async {
            lab.clock.sleeper_until(lab.now() + Duration::from_millis(span)).await;
            lab.clock.advance(Duration::from_millis(span));
        };
        let (reply, ()) = tokio::join!(request, release);
        assert_eq!(reply.is_ok(), span == 3000);
    }
}

#[tokio::test]
async fn claims_and_times_of_a_token_can_be_wrong() {
    let lab = Lab::new().await;
    let effect = Effect::Claim { token: TokenKind::Id, name: "aud".into(), value: Some("somebody".into()) };
    strike(&lab, Endpoint::Token, effect).await;
    let tokens = lab.signed_in("alice@contoso.example").await;
    assert_eq!(claims(tokens["id_token"].as_str().unwrap())["aud"], "somebody");
    assert_eq!(claims(tokens["access_token"].as_str().unwrap())["aud"], lab.facts.api_client_id.unwrap().to_string());
    strike(&lab, Endpoint::Token, Effect::Claim { token: TokenKind::Any, name: "oid".into(), value: None }).await;
    assert!(!claims(&id_token(&lab).await).contains_key("oid"));
    let usual = {
        lab.emulator.clear_faults();
        claims(&id_token(&lab).await)
    };
    strike(&lab, Endpoint::Token, Effect::ShiftTimes { token: TokenKind::Id, seconds: -7200 }).await;
    let shifted = claims(&id_token(&lab).await);
    assert_eq!(shifted["exp"].as_i64().unwrap(), usual["exp"].as_i64().unwrap() - 7200);
}

#[tokio::test]
async fn signatures_can_be_missing_wrong_unpublished_or_without_kid() {
    let lab = Lab::new().await;
    let keys = JwkSet::parse(&lab.get(&lab.facts.jwks_url, &[]).await.body).unwrap();
    let verify = |token: &str| {
        let token = UnverifiedJwt::parse(token).unwrap();
        let key = keys.keys.iter().find(|key| key.kid == token.header().kid)?;
        token.verify(&PublicKey::from_jwk(key).unwrap()).ok()
    };
    let id = TokenKind::Id;
    assert!(verify(&id_token(&lab).await).is_some());
    strike(&lab, Endpoint::Token, Effect::BadSignature { token: id }).await;
    assert!(verify(&id_token(&lab).await).is_none());
    strike(&lab, Endpoint::Token, Effect::UnpublishedKey { token: id }).await;
    assert!(verify(&id_token(&lab).await).is_none());
    strike(&lab, Endpoint::Token, Effect::AlgNone { token: id }).await;
    assert_eq!(UnverifiedJwt::parse(&id_token(&lab).await).unwrap().header().alg, "none");
    strike(&lab, Endpoint::Token, Effect::NoKid { token: id }).await;
    let token = id_token(&lab).await;
    let token = UnverifiedJwt::parse(&token).unwrap();
    assert_eq!(token.header().kid, None);
    assert!(token.verify(&PublicKey::from_jwk(&keys.keys[0]).unwrap()).is_ok(), "only the key's name is missing");
}

#[tokio::test]
async fn lifetimes_change_and_long_ones_come_with_refresh_in() {
    let lab = Lab::new().await;
    strike(&lab, Endpoint::Token, Effect::Lifetime { seconds: 28 * 3600 }).await;
    let reply = lab.exchange(&lab.assertion().await).await.json();
    assert_eq!((reply["expires_in"].as_u64(), reply["refresh_in"].as_u64()), (Some(28 * 3600), Some(14 * 3600)));
    strike(&lab, Endpoint::AppService, Effect::Lifetime { seconds: 90 }).await;
    assert_eq!(lab.managed_identity("https://redis.azure.com", "").await.json()["expires_in"], "90");
}

#[tokio::test]
async fn the_identity_endpoint_can_repeat_a_token_past_its_end() {
    let lab = Lab::new().await;
    let first = lab.assertion().await;
    strike(&lab, Endpoint::AppService, Effect::RepeatToken).await;
    let first = {
        let _ = first;
        lab.assertion().await
    };
    lab.clock.advance(Duration::from_secs(7200));
    assert_eq!(lab.assertion().await, first);
    lab.emulator.clear_faults();
    assert_ne!(lab.assertion().await, first);
}

#[tokio::test]
async fn the_redirect_can_carry_another_state_or_code_or_none() {
    let lab = Lab::new().await;
    let back = async |parameter: &str, value: Option<&str>| {
        let effect = Effect::Redirect { parameter: parameter.into(), value: value.map(str::to_owned) };
        strike(&lab, Endpoint::Authorize, effect).await;
        lab.post(&lab.authorize_url(&[]), &[("user", "alice@contoso.example")]).await.location()
    };
    assert_eq!(back("state", Some("other")).await["state"], "other");
    assert!(!back("state", None).await.contains_key("state"));
    assert_eq!(back("code", Some("x")).await["code"], "x");
}

#[tokio::test]
async fn the_sign_in_pages_menu_fails_one_sign_in_and_not_the_next() {
    let lab = Lab::new().await;
    let page = lab.get(&lab.authorize_url(&[]), &[]).await.text();
    assert!(page.contains("Fail this sign-in as"), "{page}");
    let fields = [("user", "alice@contoso.example"), ("trouble", "blocked")];
    let back = lab.post(&lab.authorize_url(&[]), &fields).await.location();
    assert!(back["error_description"].starts_with("AADSTS53003: "), "{back:?}");
    assert!(back["claims"].contains("capolids"));
    let fields = [("user", "alice@contoso.example"), ("trouble", "assertion-expired")];
    let code = lab.post(&lab.authorize_url(&[]), &fields).await.location()["code"].clone();
    assert_eq!(lab.redeem(&code, &[]).await.aadsts(), 700_024);
    let fields = [("user", "alice@contoso.example"), ("trouble", "wrong-nonce")];
    let code = lab.post(&lab.authorize_url(&[("nonce", "mine")]), &fields).await.location()["code"].clone();
    let tokens = lab.redeem(&code, &[]).await.json();
    assert_ne!(claims(tokens["id_token"].as_str().unwrap())["nonce"], "mine");
    lab.signed_in("alice@contoso.example").await;
}

#[tokio::test]
async fn keys_rotate_with_the_old_one_published_until_it_is_withdrawn() {
    let lab = Lab::new().await;
    let before = lab.assertion().await;
    let kids = async || -> Vec<Value> {
        let keys = lab.get(&lab.facts.jwks_url, &[]).await.json();
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
    };
    let first = kids().await;
    lab.emulator.rotate_keys().await.unwrap();
    let both = kids().await;
    assert_eq!(both.len(), 2);
    assert_eq!(both[1], first[0]);
    assert_eq!(lab.exchange(&before).await.status, 200, "a token of the older key still verifies");
    lab.emulator.withdraw_older_keys();
    assert_eq!(kids().await, both[..1]);
    assert_eq!(lab.exchange(&before).await.aadsts(), 700_027);
    assert_eq!(lab.exchange(&lab.assertion().await).await.status, 200);
}

#[tokio::test]
async fn a_persons_grants_can_be_revoked() {
    let lab = Lab::new().await;
    let tokens = lab.signed_in("alice@contoso.example").await;
    assert!(lab.emulator.revoke("alice@contoso.example"));
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    assert_eq!(lab.token_with(&lab.assertion().await, &form).await.aadsts(), 50173);
    assert!(!lab.emulator.revoke("nobody@contoso.example"));
}

#[tokio::test]
async fn the_clock_can_be_stepped_and_run_faster() {
    let lab = Lab::new().await;
    lab.emulator.step_clock(3_600_000);
    assert_eq!(claims(&lab.assertion().await)["exp"], START + 7200);
    lab.emulator.set_clock_rate(60.0);
    lab.clock.advance(Duration::from_secs(60));
    assert_eq!(lab.emulator.clock().now().secs(), START + 7200);
    lab.emulator.set_clock_rate(1.0);
    lab.emulator.step_clock(-7_200_000);
    assert_eq!(claims(&lab.assertion().await)["exp"], START + 3600, "a token from the future is not repeated");
}

#[tokio::test]
async fn faults_of_the_seed_are_in_force_from_the_start() {
    let lab = Lab::seeded("[[fault]]\nendpoint = 'imds'\ntimes = 1\neffect = { status = { code = 410 } }\n").await;
    let url = format!(
        "{}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://redis.azure.com",
        lab.facts.imds_url
    );
    assert_eq!(lab.get(&url, &[("metadata", "true")]).await.status, 410);
    assert_eq!(lab.get(&url, &[("metadata", "true")]).await.status, 200);
}

#[tokio::test]
async fn a_rule_that_could_mean_nothing_is_refused_with_a_sentence() {
    let lab = Lab::new().await;
    let mut rule = FaultRule::at(Endpoint::Token, Effect::Reset);
    rule.endpoint = Some("tokens".into());
    let fault = lab.emulator.inject(rule).unwrap_err();
    assert!(fault.what.contains("'tokens'") && fault.what.contains("token,"), "{fault}");
}
