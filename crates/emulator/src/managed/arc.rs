//! Azure Arc's challenge: prove that you may read a file that only the agent's group can read.

use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use entrant_types::Secret;
use serde_json::json;

use crate::state::State;
use crate::store::Store;

/// The challenge in force: one at a time, each used once.
#[derive(Debug)]
pub(crate) struct ArcKey {
    store: Store,
    pending: Mutex<Option<Secret>>,
}

impl ArcKey {
    pub(crate) fn new(store: &Store) -> Self {
        Self { store: store.clone(), pending: Mutex::new(None) }
    }
}

/// A 401 with the file's path, unless the request carries the content of the file of the last challenge.
pub(super) fn challenge(state: &State, headers: &HeaderMap) -> Option<Response> {
    let presented = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let presented = presented.and_then(|value| value.strip_prefix("Basic "));
    {
        let mut pending = state.arc.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if presented.is_some_and(|text| pending.as_ref() == Some(&Secret::from(text))) {
            *pending = None;
            return None;
        }
    }
    let secret = state.random(32);
    let name = "arc-challenge.key";
    let path =
        state.arc.store.path(name).filter(|_| state.arc.store.write(name, secret.expose().as_bytes(), true).is_ok());
    let Some(path) = path else {
        let text = "Azure Arc needs a data directory for its key file.";
        return Some(
            (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": "no_data_dir", "error_description": text })))
                .into_response(),
        );
    };
    *state.arc.pending.lock().unwrap_or_else(PoisonError::into_inner) = Some(secret);
    // The body is JSON because msal-node parses it before it looks at the status.
    let mut response = (StatusCode::UNAUTHORIZED, Json(json!({ "error": "unauthorized_client" }))).into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("Basic realm={}", path.display())) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    Some(response)
}
