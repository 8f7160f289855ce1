//! A cluster's service-account issuer: metadata, keys, and a projected token file that is written anew in time.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use entrant_types::emulation::EMULATOR_CLAIM;
use entrant_types::{Clock as _, Fault, Secret};
use serde_json::{Map, Value, json};

use crate::faults::{Struck, TokenKind};
use crate::refusal::Refusal;
use crate::seed::{EXCHANGE, service_account_subject};
use crate::state::State;
use crate::store::Store;

/// The file's name in the data directory.
pub(crate) const TOKEN_FILE: &str = "workload-identity-token";
/// The kubelet's default, and the share of it after which the kubelet writes the file anew.
const LIFE: Duration = Duration::from_secs(3600);
const RENEWED_AFTER: f64 = 0.8;

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/workload/.well-known/openid-configuration", get(metadata))
        .route("/workload/openid/v1/jwks", get(keys))
}

async fn metadata(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    let issuer = state.issuers.workload();
    Json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/openid/v1/jwks"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

async fn keys(Shared(state): Shared<Arc<State>>) -> Response {
    match state.keys.get().await {
        Some(keys) => Json(keys.set()).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// A projected token of a service account, `namespace/name`.
pub(crate) async fn token(state: &State, account: &str) -> Result<Secret, Refusal> {
    let now = state.now();
    let (namespace, name) = account.split_once('/').unwrap_or(("default", account));
    let mut claims = Map::new();
    for (claim, value) in [
        ("aud", json!([EXCHANGE])),
        ("iss", state.issuers.workload().into()),
        ("sub", service_account_subject(account).into()),
        ("iat", now.secs().into()),
        ("nbf", now.secs().into()),
        ("exp", (now + LIFE).secs().into()),
        ("jti", state.random_guid().to_string().into()),
        ("kubernetes.io", json!({ "namespace": namespace, "serviceaccount": { "name": name } })),
        (EMULATOR_CLAIM, true.into()),
    ] {
        claims.insert(claim.to_owned(), value);
    }
    state.sign(TokenKind::Access, claims, &Struck::default()).await
}

/// Keeps the projected token file fresh for as long as the emulator runs.
pub(crate) async fn keep(state: &State, store: &Store) -> Result<(), Fault> {
    if store.path(TOKEN_FILE).is_none() {
        return std::future::pending().await;
    }
    loop {
        if let Ok(token) = token(state, "default/web-app").await {
            store.write(TOKEN_FILE, token.expose().as_bytes(), true)?;
        }
        state.clock.sleep_until(state.now() + LIFE.mul_f64(RENEWED_AFTER)).await;
    }
}
