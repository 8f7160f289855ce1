//! The layer and the extractor, in a real router.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at a broken promise")]

mod support;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response, header};
use axum::routing::get;
use axum::{Router, http};
use entrant_types::emulation::World;
use entrant_validate::bearer::{BearerLayer, Caller};
use entrant_validate::{IssuerRule, KeySet, Policy, Requirement, Tenants, Validator};
use serde_json::{Value, json};
use support::*;
use tower::ServiceExt as _;

fn router(issuer: &Issuer) -> Router {
    let rules = vec![IssuerRule::new(v2_issuer(TENANT))];
    let policy = Policy::new(World::Emulator, rules, vec![API.to_owned()], Tenants::Any);
    let outside = issuer.stage.outside();
    let validator = Arc::new(Validator::new(policy, KeySet::new(JWKS, &outside), outside.clock));
    let name = |Caller(caller): Caller| async move { caller.text("name").unwrap_or_default().to_owned() };
    Router::new()
        .route(
            "/write",
            get(name).layer(BearerLayer::new(Arc::clone(&validator)).require(Requirement::scopes(["write"]))),
        )
        .route("/read", get(name).layer(BearerLayer::new(validator)))
        .route("/forgotten", get(name))
}

async fn ask(issuer: &Issuer, path: &str, authorization: &[&str]) -> (u16, String, String) {
    let mut request = Request::get(path);
    for value in authorization {
        request = request.header(header::AUTHORIZATION, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response: Response<Body> = router(issuer).oneshot(request).await.unwrap();
    let challenge = response.headers().get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 65536).await.unwrap();
    (status, challenge.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_verified_caller_reaches_the_handler() {
    let issuer = Issuer::new();
    let token = sign(&access_claims());
    assert_eq!(ask(&issuer, "/read", &[&format!("Bearer {token}")]).await, (200, String::new(), "Alice".to_owned()));
    assert_eq!(ask(&issuer, "/read", &[&format!("bEARER {token}")]).await.0, 200);
}

#[tokio::test]
async fn a_refusal_names_its_reason() {
    let issuer = Issuer::new();
    let expired = sign(&with(access_claims(), json!({"exp": now() - 3600})));
    let (status, challenge, body) = ask(&issuer, "/read", &[&format!("Bearer {expired}")]).await;
    assert_eq!(status, 401);
    assert!(challenge.contains(r#"error="invalid_token""#) && challenge.contains("expired"), "{challenge}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["error"], "expired");
    let good = sign(&access_claims());
    let (status, challenge, _) = ask(&issuer, "/write", &[&format!("Bearer {good}")]).await;
    assert_eq!(status, http::StatusCode::FORBIDDEN.as_u16());
    assert!(challenge.contains("insufficient_scope") && challenge.contains(r#"scope="write""#), "{challenge}");
}

#[tokio::test]
async fn a_request_without_exactly_one_token_is_refused() {
    let issuer = Issuer::new();
    let token = format!("Bearer {}", sign(&access_claims()));
    assert_eq!(ask(&issuer, "/read", &[]).await.1, "Bearer");
    assert_eq!(ask(&issuer, "/read", &[&token, &token]).await.0, 400);
    for header in ["Bearer", "Bearer ", "Basic abc", "Bearer a b", "Bearer a,b", &token[7..]] {
        assert_eq!(ask(&issuer, "/read", &[header]).await.0, 400, "{header}");
    }
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn an_outage_of_the_issuer_is_not_the_caller_s_fault() {
    let issuer = Issuer::new();
    issuer.set_down(true);
    let (status, challenge, _) = ask(&issuer, "/read", &[&format!("Bearer {}", sign(&access_claims()))]).await;
    assert_eq!((status, challenge.as_str()), (503, ""));
}

#[tokio::test]
async fn a_handler_whose_layer_was_forgotten_is_reached_by_nobody() {
    let issuer = Issuer::new();
    let token = format!("Bearer {}", sign(&access_claims()));
    assert_eq!(ask(&issuer, "/forgotten", &[&token]).await.0, 401);
}
