//! The instance metadata service's token endpoint.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query as AxumQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::select::{self, Query};
use super::{Refused, record};
use crate::state::State;

/// `GET /metadata/identity/oauth2/token`
pub(super) async fn token(
    Shared(state): Shared<Arc<State>>,
    AxumQuery(query): AxumQuery<Query>,
    headers: HeaderMap,
) -> Response {
    let resource = query.get("resource").map_or("", String::as_str);
    let trace_id = state.random_guid().to_string();
    let outcome = answer(&state, &query, &headers, resource).await;
    match outcome {
        Ok((identity, issued)) => {
            record(&state, "IMDS", resource, &Ok((identity, &issued)), &trace_id);
            Json(issued.body(state.now())).into_response()
        }
        Err(refused) => {
            record(&state, "IMDS", resource, &Err(&refused), &trace_id);
            let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, Json(json!({ "error": refused.error, "error_description": refused.text }))).into_response()
        }
    }
}

async fn answer<'a>(
    state: &'a State,
    query: &Query,
    headers: &HeaderMap,
    resource: &str,
) -> Result<(&'a crate::directory::Identity, Arc<super::Issued>), Refused> {
    // The header proves that the caller can set headers: a server-side request forgery usually cannot.
    let header = headers.get("metadata").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !header.eq_ignore_ascii_case("true") {
        return Err(Refused::new(
            400,
            "bad_request_102",
            "Required metadata header not specified",
            "Send the header 'Metadata: true'.",
        ));
    }
    let version = query.get("api-version").map_or("", String::as_str);
    if version.is_empty() {
        return Err(Refused::new(
            400,
            "bad_request",
            "The api-version query parameter is missing.",
            "Add api-version=2018-02-01.",
        ));
    }
    let identity = select::identity(state, query)?;
    Ok((identity, select::token(state, identity, resource).await?))
}

/// `GET /metadata/instance/compute`: MSAL asks it for the region.
pub(super) async fn compute() -> Json<Value> {
    Json(
        json!({ "azEnvironment": "emulator", "location": "localhost", "name": "host-vm", "provider": "entrant-emulator" }),
    )
}
