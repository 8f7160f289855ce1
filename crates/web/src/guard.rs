//! What every request passes and every response carries: size limits, a request id, security headers.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use entrant_types::Entropy;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// Longest request target: a callback with a long code is about 3 KiB.
const MAX_TARGET_BYTES: usize = 8 * 1024;
/// All headers together: seven pending sign-ins and what else a host's cookies come to.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Response header that names a request, so that a person can quote it and an operator can find it.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the request at hand: 16 hexadecimal digits, made here. What a client sends under that name is not
/// believed.
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    /// A fresh one.
    #[must_use]
    pub fn new(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        Self(format!("{:016x}", u64::from_be_bytes(bytes)).into())
    }
}

/// Headers of every response. Pages allow no script at all; one page says what its form may lead to, so a
/// response that brings its own policy keeps it.
const ALWAYS: [(HeaderName, &str); 7] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not `no-referrer`: with it browsers send `Origin: null` with our own forms (Fetch standard, "append a request
    // `Origin` header"), and sign-out looks at the origin.
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// Why a request is refused before anybody looks at it.
fn too_large(request: &Request) -> Option<StatusCode> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_TARGET_BYTES {
        return Some(StatusCode::URI_TOO_LONG);
    }
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    (headers > MAX_HEADER_BYTES).then_some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
}

/// The outermost layer of both routers.
pub async fn guard(State(entropy): State<Arc<dyn Entropy>>, mut request: Request, next: Next) -> Response {
    let id = RequestId::new(entropy.as_ref());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let refused = too_large(&request);
    request.extensions_mut().insert(id.clone());
    let mut response = match refused {
        Some(status) => {
            let mut response = Response::new(axum::body::Body::from(status.canonical_reason().unwrap_or_default()));
            *response.status_mut() = status;
            response
        }
        None => next.run(request).await,
    };
    protect(response.headers_mut(), &id);
    // Never the query: it carries codes and states.
    tracing::info!(request = %id.0, %method, path, status = response.status().as_u16(), "answered");
    response
}

fn protect(headers: &mut HeaderMap, id: &RequestId) {
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, id);
    }
}
