//! The protected API: who calls, says the token, and only a verified one.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use entrant_types::{Entropy, Fault, Retry};
use entrant_validate::{Rejected, Validator, Verified};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use crate::guard::guard;

/// The API has no use for bodies; this much is read and thrown away.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// The protected API.
#[derive(Clone, Debug)]
pub struct Api {
    validator: Arc<Validator>,
    entropy: Arc<dyn Entropy>,
}

impl Api {
    /// Accepts what `validator` accepts; its policy says which scope is needed.
    #[must_use]
    pub fn build(validator: Arc<Validator>, entropy: Arc<dyn Entropy>) -> Self {
        Self { validator, entropy }
    }

    /// `GET /health` and `GET /api/claims`; everything answers JSON.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/api/claims", get(claims))
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(self.clone())
            .layer(middleware::from_fn_with_state(Arc::clone(&self.entropy), guard))
    }
}

async fn health() -> Json<serde_json::Value> {
    Json(json!({"status": "healthy"}))
}

async fn claims(State(api): State<Api>, request: Request) -> Response {
    match authorise(&api, request.headers()).await {
        Ok(caller) => {
            let message = caller.text("name").map_or_else(
                || "The API accepted the token.".to_owned(),
                |name| format!("The API accepted the token of {name}."),
            );
            Json(json!({"message": message, "claims": caller.claims()})).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Why a request is not let through.
#[derive(Debug)]
enum Refusal {
    /// No credentials at all: RFC 6750 §3.1 asks for a challenge without an error code.
    Missing,
    /// Not one `Authorization: Bearer` header.
    Malformed(&'static str),
    /// A token that does not suffice.
    Rejected(Rejected),
}

async fn authorise(api: &Api, headers: &HeaderMap) -> Result<Verified, Refusal> {
    let token = bearer(headers)?;
    api.validator.validate(token).await.map_err(Refusal::Rejected)
}

/// The token of the one `Authorization` header (RFC 6750 §2.1; forms and queries are not looked at).
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() {
        return Err(Refusal::Malformed("The request has more than one Authorization header."));
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(Refusal::Malformed("The Authorization header is not of the form: Bearer TOKEN."));
    }
    Ok(token.trim())
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Missing => refusal(
                StatusCode::UNAUTHORIZED,
                "Bearer realm=\"protected-api\"",
                json!({
                    "error": "invalid_request",
                    "reason": "missing",
                    "message": "The request carries no access token.",
                    "fix": "Send an access token for this API as Authorization: Bearer TOKEN.",
                }),
            ),
            Self::Malformed(what) => refusal(
                StatusCode::BAD_REQUEST,
                &format!("Bearer error=\"invalid_request\", error_description=\"{what}\""),
                json!({
                    "error": "invalid_request",
                    "reason": "malformed_header",
                    "message": what,
                    "fix": "Send the access token once, as Authorization: Bearer TOKEN.",
                }),
            ),
            Self::Rejected(rejected) => rejection(&rejected),
        }
    }
}

fn rejection(rejected: &Rejected) -> Response {
    let status = StatusCode::from_u16(rejected.status()).unwrap_or(StatusCode::UNAUTHORIZED);
    let fault = rejected.to_fault();
    tracing::info!(reason = rejected.reason(), %fault, "token refused");
    let error = match status {
        StatusCode::UNAUTHORIZED => "invalid_token",
        StatusCode::FORBIDDEN => "insufficient_scope",
        _ => "temporarily_unavailable",
    };
    let body = json!({
        "error": error,
        "reason": rejected.reason(),
        "message": fault.what,
        "fix": fault.fix,
    });
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return unavailable(&fault, body);
    }
    refusal(status, &rejected.challenge(), body)
}

/// 503: not the token's fault, so no challenge, and the caller may keep the token.
fn unavailable(fault: &Fault, body: serde_json::Value) -> Response {
    let seconds = if let Retry::After(span) = fault.retry { span.as_secs().max(1) } else { 5 };
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, seconds.to_string())], Json(body)).into_response()
}

fn refusal(status: StatusCode, challenge: &str, body: serde_json::Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    let challenge = HeaderValue::from_str(challenge).unwrap_or(HeaderValue::from_static("Bearer"));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

async fn not_found() -> Response {
    let body =
        json!({"error": "not_found", "message": "There is no such path.", "fix": "Ask for /health or /api/claims."});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

async fn method_not_allowed() -> Response {
    let body = json!({"error": "method_not_allowed", "message": "This path answers GET only.", "fix": "Send GET."});
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}
