//! ID tokens: the forgeries that sign a person in elsewhere, each refused by name (OIDC Core 3.1.3.7, 12.2).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at a broken promise")]

mod support;

use std::time::Duration;

use entrant_types::Secret;
use entrant_types::emulation::World as Side;
use entrant_validate::{Expected, IdTokenPolicy, IdTokenValidator, IssuerRule, KeySet, Subject, Tenants, Verified};
use serde_json::{Value, json};
use support::*;

fn validator(issuer: &Issuer) -> IdTokenValidator {
    let rules = vec![IssuerRule::new(format!("{BASE}/{{tenantid}}/v2.0"))];
    let tenants = Tenants::Only(vec![TENANT.parse().unwrap()]);
    let policy = IdTokenPolicy::new(Side::Emulator, rules, tenants, CLIENT);
    let outside = issuer.stage.outside();
    IdTokenValidator::new(policy, KeySet::new(JWKS, &outside), outside.clock)
}

async fn sign_in(token: &str) -> Result<Verified, &'static str> {
    let nonce = Secret::from("n-1");
    let expected = Expected::SignIn { nonce: &nonce, max_age: None };
    validator(&Issuer::new()).validate(token, expected).await.map_err(|rejected| rejected.reason())
}

async fn sign_in_with(changes: Value) -> &'static str {
    sign_in(&sign(&with(id_claims(), changes))).await.err().unwrap_or("ok")
}

#[tokio::test]
async fn a_good_id_token_says_who_signed_in() {
    let verified = sign_in(&sign(&id_claims())).await.unwrap();
    assert_eq!(verified.object_id(), Some(ALICE.parse().unwrap()));
    assert_eq!(verified.text("preferred_username"), Some("alice@contoso.example"));
}

#[tokio::test]
async fn a_forged_signature_signs_nobody_in() {
    let forged = sign_with(&OTHER_KEY, json!({"kid": KEY.kid()}), &id_claims());
    assert_eq!(sign_in(&forged).await.unwrap_err(), "signature");
}

#[tokio::test]
async fn alg_none_signs_nobody_in() {
    let forged = raw(&json!({"alg": "none", "typ": "JWT"}), &id_claims(), b"");
    assert_eq!(sign_in(&forged).await.unwrap_err(), "algorithm");
}

#[tokio::test]
async fn a_wrong_audience_signs_nobody_in() {
    assert_eq!(sign_in_with(json!({"aud": API})).await, "audience");
    assert_eq!(sign_in_with(json!({"aud": [CLIENT, API]})).await, "audience");
    assert_eq!(sign_in_with(json!({"aud": [CLIENT]})).await, "ok");
    assert_eq!(sign_in_with(json!({"azp": API})).await, "authorized_party");
    assert_eq!(sign_in_with(json!({"azp": 7})).await, "authorized_party");
    assert_eq!(sign_in_with(json!({"azp": CLIENT})).await, "ok");
}

#[tokio::test]
async fn a_wrong_issuer_signs_nobody_in() {
    assert_eq!(sign_in_with(json!({"iss": "https://localhost:9999/x/v2.0"})).await, "issuer");
}

#[tokio::test]
async fn an_expired_id_token_signs_nobody_in() {
    assert_eq!(sign_in_with(json!({"exp": now() - 3600})).await, "expired");
    assert_eq!(sign_in_with(json!({"iat": now() + 3600})).await, "not_yet_valid");
    assert_eq!(sign_in_with(json!({"iat": null})).await, "malformed");
    assert_eq!(sign_in_with(json!({"exp": null})).await, "malformed");
}

#[tokio::test]
async fn a_nonce_of_another_sign_in_signs_nobody_in() {
    assert_eq!(sign_in_with(json!({"nonce": "n-2"})).await, "nonce");
    assert_eq!(sign_in_with(json!({"nonce": null})).await, "nonce");
    assert_eq!(sign_in_with(json!({"nonce": ["n-1"]})).await, "nonce");
    let empty = Secret::from("");
    let expected = Expected::SignIn { nonce: &empty, max_age: None };
    let token = sign(&with(id_claims(), json!({"nonce": ""})));
    assert_eq!(validator(&Issuer::new()).validate(&token, expected).await.unwrap_err().reason(), "nonce");
}

#[tokio::test]
async fn a_tenant_that_does_not_fit_a_templated_issuer_signs_nobody_in() {
    assert_eq!(sign_in_with(json!({"tid": OTHER_TENANT})).await, "issuer");
    assert_eq!(sign_in_with(json!({"tid": OTHER_TENANT, "iss": v2_issuer(OTHER_TENANT)})).await, "tenant");
    assert_eq!(sign_in_with(json!({"tid": null})).await, "issuer");
}

#[tokio::test]
async fn key_confusion_signs_nobody_in() {
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": KEY.kid()});
    let text = raw(&header, &id_claims(), b"");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, KEY.jwk().n.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&key, text.trim_end_matches('.').as_bytes());
    assert_eq!(sign_in(&raw(&header, &id_claims(), tag.as_ref())).await.unwrap_err(), "algorithm");
}

#[tokio::test]
async fn a_token_without_a_key_id_is_checked_with_the_only_published_key_and_with_none_of_several() {
    let forged = raw(&json!({"alg": "RS256"}), &id_claims(), b"x");
    assert_eq!(sign_in(&forged).await.unwrap_err(), "signature");
    let issuer = Issuer::new();
    issuer.publish(&[&KEY, &OTHER_KEY]);
    let nonce = Secret::from("n-1");
    let expected = Expected::SignIn { nonce: &nonce, max_age: None };
    assert_eq!(validator(&issuer).validate(&forged, expected).await.unwrap_err().reason(), "unknown_key");
}

#[tokio::test]
async fn a_huge_or_encrypted_id_token_is_not_even_read() {
    assert_eq!(sign_in(&"A".repeat(1 << 20)).await.unwrap_err(), "too_large");
    assert_eq!(sign_in("a.b.c.d.e").await.unwrap_err(), "malformed");
}

#[tokio::test]
async fn an_access_token_is_no_id_token() {
    let own_api = with(access_claims(), json!({"aud": CLIENT, "nonce": "n-1"}));
    assert_eq!(sign_in(&sign(&own_api)).await.unwrap_err(), "access_token");
}

#[tokio::test]
async fn a_sign_in_older_than_was_asked_for_is_refused() {
    let nonce = Secret::from("n-1");
    for (auth_time, expected) in
        [(json!(now() - 500), "ok"), (json!(now() - 700), "sign_in_too_old"), (json!(null), "sign_in_too_old")]
    {
        let token = sign(&with(id_claims(), json!({"auth_time": auth_time})));
        let wanted = Expected::SignIn { nonce: &nonce, max_age: Some(Duration::from_secs(600)) };
        let result = validator(&Issuer::new()).validate(&token, wanted).await;
        assert_eq!(result.map_or_else(|rejected| rejected.reason(), |_| "ok"), expected);
    }
}

#[tokio::test]
async fn a_renewed_id_token_must_speak_of_the_same_person() {
    let first = sign_in(&sign(&with(id_claims(), json!({"auth_time": now() - 100})))).await.unwrap();
    let subject = Subject::of(&first).unwrap();
    for (changes, expected) in [
        (json!({"nonce": null, "auth_time": now() - 100}), "ok"),
        (json!({"nonce": null}), "ok"),
        (json!({"sub": "somebody-else"}), "continuation"),
        (json!({"auth_time": now() - 99}), "continuation"),
        (json!({"aud": API}), "audience"),
        (json!({"exp": now() - 3600}), "expired"),
    ] {
        let text = changes.to_string();
        let token = sign(&with(id_claims(), changes));
        let result = validator(&Issuer::new()).validate(&token, Expected::Renewal(&subject)).await;
        assert_eq!(result.map_or_else(|rejected| rejected.reason(), |_| "ok"), expected, "{text}");
    }
}
