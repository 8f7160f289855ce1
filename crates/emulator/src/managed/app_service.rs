//! The token endpoint of App Service, Functions and Container Apps: the one that every SDK can be pointed at.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query as AxumQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use entrant_types::Secret;
use serde_json::json;

use super::select::{self, Query};
use super::{Refused, record};
use crate::state::State;

/// `GET /msi/token`
pub(super) async fn token(
    Shared(state): Shared<Arc<State>>,
    AxumQuery(query): AxumQuery<Query>,
    headers: HeaderMap,
) -> Response {
    let resource = query.get("resource").map_or("", String::as_str);
    let trace_id = state.random_guid().to_string();
    let outcome = async {
        let presented = headers.get("x-identity-header").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if Secret::from(presented) != state.identity_header {
            return Err(Refused::new(
                401,
                "unauthorized",
                "The X-IDENTITY-HEADER header is missing or is not this run's.",
                "Take IDENTITY_HEADER from this run of the emulator: it changes at every start.",
            ));
        }
        let identity = select::identity(&state, &query)?;
        Ok((identity, select::token(&state, identity, resource).await?))
    }
    .await;
    match outcome {
        Ok((identity, issued)) => {
            record(&state, "App Service", resource, &Ok((identity, &issued)), &trace_id);
            Json(issued.body(state.now())).into_response()
        }
        Err(refused) => {
            record(&state, "App Service", resource, &Err(&refused), &trace_id);
            let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
            let document = json!({ "statusCode": refused.status, "message": refused.text, "correlationId": trace_id });
            (status, Json(document)).into_response()
        }
    }
}
