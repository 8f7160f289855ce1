//! Effects on an answer that is already made.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::body::Frame;
use serde_json::{Value, json};

use super::{Challenge, Effect, Struck};
use crate::state::State;

/// Marks an answer that must end the connection instead of being sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abort;

/// Answers that a field can be changed in are small.
const LARGEST: usize = 256 * 1024;
/// A client that waits longer than this has no time limit of its own.
const HANG: Duration = Duration::from_secs(120);

/// The answer as the effects leave it.
pub(crate) async fn apply(state: &State, struck: &Struck, response: Response) -> Response {
    let mut response = response;
    for effect in &struck.0 {
        response = match effect {
            Effect::Latency { millis } => {
                state.pause(Duration::from_millis(*millis)).await;
                response
            }
            Effect::Hang => {
                state.pause(HANG).await;
                abort(response)
            }
            Effect::Reset => abort(response),
            Effect::Status { code, retry_after } => status(*code, *retry_after),
            Effect::Challenge { error, claims } => challenge(*error, claims.as_deref()),
            Effect::NotJson => {
                let page = "<html><body>This is not JSON.</body></html>";
                (StatusCode::OK, [(header::CONTENT_TYPE, "text/html")], page).into_response()
            }
            Effect::Truncate => truncated(response).await,
            Effect::DropField { field } => edited(response, field, None).await,
            Effect::SetField { field, value } => edited(response, field, Some(value)).await,
            _ => response,
        };
    }
    response
}

fn abort(mut response: Response) -> Response {
    response.extensions_mut().insert(Abort);
    response
}

fn status(code: u16, retry_after: Option<u32>) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // Every endpoint that clients of Azure read errors from says them in these two members.
    let text = format!("A fault rule answers {code}.");
    let body = json!({ "error": "temporarily_unavailable", "error_description": text });
    let mut response = (status, Json(body)).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A protected API's refusal: the challenge for programs, a JSON body for people.
fn challenge(error: Challenge, claims: Option<&str>) -> Response {
    let (status, name) = match error {
        Challenge::InvalidToken => (StatusCode::UNAUTHORIZED, "invalid_token"),
        Challenge::InsufficientClaims => (StatusCode::UNAUTHORIZED, "insufficient_claims"),
        Challenge::InsufficientScope => (StatusCode::FORBIDDEN, "insufficient_scope"),
    };
    let mut value = format!("Bearer realm=\"\", error=\"{name}\"");
    if let Some(claims) = claims {
        let _ = write!(value, ", claims=\"{}\"", STANDARD.encode(claims));
    }
    let body = json!({ "error": name, "reason": "fault", "message": "A fault rule refuses this call.", "fix": "End the rule." });
    let mut response = (status, Json(body)).into_response();
    let value = HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("Bearer"));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    response
}

/// An answer that ends in an error before it has begun, for servers that do not know [`Abort`].
pub(crate) fn broken(response: Response) -> Response {
    if response.extensions().get::<Abort>().is_none() {
        return response;
    }
    Response::new(Body::new(Broken))
}

struct Broken;

impl hyper::body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(Err(std::io::Error::other("the connection ends, as a fault demands"))))
    }
}

/// Half of the body under the whole's length: the peer sees the connection end early.
async fn truncated(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, LARGEST).await.unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let half = bytes.slice(..bytes.len() / 2);
    Response::from_parts(parts, Body::new(Half(Some(half))))
}

/// A body that does not say how long it is.
struct Half(Option<Bytes>);

impl hyper::body::Body for Half {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

async fn edited(response: Response, field: &str, value: Option<&Value>) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, LARGEST).await.unwrap_or_default();
    let Ok(Value::Object(mut document)) = serde_json::from_slice(&bytes) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    match value {
        Some(value) => {
            document.insert(field.to_owned(), value.clone());
        }
        None => {
            document.remove(field);
        }
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(Value::Object(document).to_string()))
}
