//! The control API: what a Rust test does by calling methods, over HTTP on loopback, for every other language.
//!
//! Safe against web pages: the `Host` must be loopback, an `Origin` or a cross-site request is refused (both in
//! [`crate::guard`]), and bodies must be `application/json`, which no form can send.

mod openapi;
mod redis;

use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::faults::FaultRule;
use crate::journal::Entry;
use crate::state::State;

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/control/openapi.json", get(openapi::document))
        .route("/control/counters", get(counters).delete(reset_counters))
        .route("/control/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/control/faults/{id}", delete(remove_fault))
        .route("/control/clock", get(clock).post(set_clock))
        .route("/control/keys", post(keys))
        .route("/control/revoke", post(revoke))
        .route("/control/redis", post(redis::act))
        .route("/control/journal", get(journal).post(note).delete(clear_journal))
}

async fn counters(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    let all = state.counters.all();
    Json(
        all.iter()
            .map(|(name, (answered, failed))| ((*name).to_owned(), json!({ "answered": answered, "failed": failed })))
            .collect(),
    )
}

async fn reset_counters(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.counters.reset();
    StatusCode::NO_CONTENT
}

async fn faults(Shared(state): Shared<Arc<State>>) -> Response {
    Json(state.faults.all()).into_response()
}

async fn add_fault(Shared(state): Shared<Arc<State>>, Json(rule): Json<FaultRule>) -> Response {
    state.identity_tokens.clear();
    match state.faults.add(rule) {
        Ok(id) => (StatusCode::CREATED, Json(json!({ "id": id }))).into_response(),
        Err(fault) => (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": fault.what }))).into_response(),
    }
}

async fn clear_faults(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.identity_tokens.clear();
    state.faults.remove(None);
    StatusCode::NO_CONTENT
}

async fn remove_fault(Shared(state): Shared<Arc<State>>, Path(id): Path<u64>) -> StatusCode {
    state.identity_tokens.clear();
    if state.faults.remove(Some(id)) == 0 { StatusCode::NOT_FOUND } else { StatusCode::NO_CONTENT }
}

async fn clock(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    let (offset, rate) = state.clock.offset_and_rate();
    Json(
        json!({ "now": state.now().to_string(), "now_millis": state.now().millis(), "offset_millis": offset, "rate": rate }),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    step_seconds: Option<f64>,
    rate: Option<f64>,
}

async fn set_clock(shared: Shared<Arc<State>>, Json(change): Json<ClockChange>) -> Json<Value> {
    if let Some(seconds) = change.step_seconds.filter(|seconds| seconds.is_finite()) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float too large for i64 saturates, and the clock saturates too"
        )]
        shared.0.clock.step((seconds * 1000.0) as i64);
    }
    if let Some(rate) = change.rate {
        shared.0.clock.set_rate(rate);
    }
    clock(shared).await
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeyAction {
    Rotate,
    WithdrawOlder,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyChange {
    action: KeyAction,
}

async fn keys(Shared(state): Shared<Arc<State>>, Json(change): Json<KeyChange>) -> Response {
    match change.action {
        KeyAction::Rotate => {
            if let Err(fault) = state.rotate_keys().await {
                return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": fault.what }))).into_response();
            }
        }
        KeyAction::WithdrawOlder => state.keys.withdraw_older(),
    }
    StatusCode::NO_CONTENT.into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    user: String,
}

async fn revoke(Shared(state): Shared<Arc<State>>, Json(revocation): Json<Revocation>) -> StatusCode {
    if state.revoke(&revocation.user) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    after: u64,
}

async fn journal(Shared(state): Shared<Arc<State>>, Query(since): Query<Since>) -> Json<Vec<Entry>> {
    Json(state.journal.since(since.after))
}

/// Another process (the API, the gate) adds what it saw.
async fn note(Shared(state): Shared<Arc<State>>, Json(mut entry): Json<Entry>) -> StatusCode {
    entry.at = state.now();
    entry.bound();
    state.journal.add(entry);
    StatusCode::NO_CONTENT
}

async fn clear_journal(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.journal.clear();
    StatusCode::NO_CONTENT
}
