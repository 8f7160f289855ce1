//! Promises of the protected API: 401 names the reason, 403 the scope, and only a good token is answered.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use entrant_testkit::{Stage, json_reply};
use entrant_types::emulation::World;
use entrant_types::outside::HttpError;
use entrant_validate::{IssuerRule, KeySet, Policy, Requirement, Tenants, Validator};
use entrant_web::api::Api;
use http::Request;
use serde_json::{Value, json};

use crate::browser::{Reply, send};
use crate::identity::{ALICE, API, BASE, CLIENT, KEY, TENANT, sign};

fn router(world: World, keys_up: bool) -> (Stage, Router) {
    let stage = Stage::new();
    stage.http.handle(move |_| {
        if keys_up { Ok(json_reply(200, json!({"keys": [KEY.jwk()]}))) } else { Err(HttpError::Connect("down".into())) }
    });
    let outside = stage.outside();
    let issuers = vec![IssuerRule::new(format!("{BASE}/{TENANT}/v2.0"))];
    let audiences = vec![API.to_owned(), format!("api://{API}")];
    let tenants = Tenants::Only(vec![TENANT.parse().unwrap()]);
    let policy = Policy::new(world, issuers, audiences, tenants).require(Requirement::scopes(["access_as_user"]));
    let keys = KeySet::new(format!("{BASE}/keys"), &outside);
    let validator = Arc::new(Validator::new(policy, keys, Arc::clone(&outside.clock)));
    let router = Api::build(validator, outside.entropy).router();
    (stage, router)
}

fn claims(change: Value) -> Value {
    let now = Stage::START.secs();
    let mut claims = json!({
        "aud": API, "iss": format!("{BASE}/{TENANT}/v2.0"), "iat": now, "nbf": now, "exp": now + 3600, "azp": CLIENT,
        "oid": ALICE, "sub": "at-the-api", "tid": TENANT, "scp": "access_as_user", "ver": "2.0", "xms_emulator": true,
        "name": "Alice",
    });
    if let (Value::Object(claims), Value::Object(change)) = (&mut claims, change) {
        claims.extend(change);
        claims.retain(|_, value| !value.is_null());
    }
    claims
}

async fn get(router: &Router, authorization: &[&str]) -> Reply {
    let mut request = Request::builder().uri("/api/claims");
    for value in authorization {
        request = request.header("authorization", *value);
    }
    send(router, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_good_token_is_answered_with_message_and_claims() {
    let (_stage, router) = router(World::Emulator, true);
    for audience in [API.to_owned(), format!("api://{API}")] {
        let token = sign(&claims(json!({"aud": audience})));
        let reply = get(&router, &[&format!("Bearer {token}")]).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        assert!(body["message"].as_str().unwrap().contains("Alice"));
        assert_eq!(body["claims"]["oid"], ALICE);
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn every_bad_token_is_refused_with_its_own_reason() {
    let (_stage, router) = router(World::Emulator, true);
    let now = Stage::START.secs();
    let other = "22222222-aaaa-4bbb-8ccc-222222222222";
    let cases = [
        (json!({"exp": now - 600, "nbf": now - 4200, "iat": now - 4200}), 401, "expired"),
        (json!({"nbf": now + 600}), 401, "not_yet_valid"),
        (json!({"aud": "00000003-0000-0000-c000-000000000000"}), 401, "audience"),
        (json!({"iss": format!("{BASE}/{other}/v2.0")}), 401, "issuer"),
        (json!({"tid": other}), 401, "tenant"),
        (json!({"azp": null, "scp": null, "nonce": "n"}), 401, "id_token"),
        (json!({"xms_emulator": null}), 401, "world"),
        (json!({"scp": "something_else"}), 403, "scope"),
        (json!({"scp": null}), 403, "scope"),
        (json!({"scp": "access_as_user_not"}), 403, "scope"),
    ];
    for (change, status, reason) in cases {
        let token = sign(&claims(change.clone()));
        let reply = get(&router, &[&format!("Bearer {token}")]).await;
        assert_eq!(reply.status, status, "{change}: {}", reply.body);
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["reason"], reason, "{change}");
        let challenge = reply.header("www-authenticate");
        let error = if status == 401 { "invalid_token" } else { "insufficient_scope" };
        assert!(challenge.starts_with(&format!("Bearer error=\"{error}\", error_description=\"")), "{challenge}");
        assert!(!reply.body.contains("eyJ"), "no token comes back");
    }
}

#[tokio::test]
async fn a_forged_or_unsigned_token_is_refused() {
    let (_stage, router) = router(World::Emulator, true);
    let token = sign(&claims(json!({})));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    let unsigned = format!("{signed}.");
    for token in [forged.as_str(), &unsigned, "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        let reply = get(&router, &[&format!("Bearer {token}")]).await;
        assert_eq!(reply.status, 401, "{token}");
        assert!(reply.header("www-authenticate").contains("invalid_token"));
    }
}

#[tokio::test]
async fn a_request_without_one_bearer_token_is_told_what_is_missing() {
    let (_stage, router) = router(World::Emulator, true);
    let none = get(&router, &[]).await;
    assert_eq!(none.status, 401);
    assert!(none.header("www-authenticate").starts_with("Bearer"), "{none:?}");
    assert!(none.body.contains("missing"));
    for headers in [&["Basic dXNlcjpwYXNz"][..], &["Bearer"], &["Bearer "], &["Bearer a", "Bearer b"]] {
        let reply = get(&router, headers).await;
        assert_eq!(reply.status, 400, "{headers:?}");
        assert!(reply.header("www-authenticate").contains("invalid_request"), "{headers:?}");
    }
}

#[tokio::test]
async fn a_token_of_the_emulator_is_refused_in_the_real_world() {
    let (_stage, router) = router(World::Azure, true);
    let token = sign(&claims(json!({})));
    let reply = get(&router, &[&format!("Bearer {token}")]).await;
    assert_eq!(reply.status, 401);
    assert!(reply.body.contains("\"world\""), "{}", reply.body);
}

#[tokio::test]
async fn unavailable_keys_are_503_and_blame_no_token() {
    let (_stage, router) = router(World::Emulator, false);
    let token = sign(&claims(json!({})));
    let reply = get(&router, &[&format!("Bearer {token}")]).await;
    assert_eq!(reply.status, 503, "{}", reply.body);
    assert!(reply.header("www-authenticate").is_empty());
    assert!(!reply.header("retry-after").is_empty());
}

#[tokio::test]
async fn health_needs_no_token_and_everything_else_answers_json() {
    let (_stage, router) = router(World::Emulator, true);
    let ask = |method: &'static str, path: &'static str| {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let router = router.clone();
        async move { send(&router, request).await }
    };
    let health = ask("GET", "/health").await;
    assert_eq!((health.status.as_u16(), health.body.as_str()), (200, "{\"status\":\"healthy\"}"));
    for (method, path, status) in [("GET", "/", 404), ("GET", "/api/claims/", 404), ("POST", "/api/claims", 405)] {
        let reply = ask(method, path).await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert!(serde_json::from_str::<Value>(&reply.body).is_ok(), "{}", reply.body);
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
}
