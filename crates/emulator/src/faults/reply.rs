//! Effects on an answer that is already made.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::body::Frame;
use serde_json::Value;

use super::{Effect, Struck};
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
    let mut response = (status, "fault").into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
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
