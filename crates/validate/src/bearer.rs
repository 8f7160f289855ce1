//! For APIs built with axum: a tower layer that lets verified callers through, and an extractor of the caller.
//!
//! ```ignore
//! Router::new().route("/claims", get(claims)).layer(BearerLayer::new(validator));
//! async fn claims(Caller(caller): Caller) -> Json<Map<String, Value>> { Json(caller.claims().clone()) }
//! ```

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Json;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use entrant_types::{Code, Fault, Retry, Whose};
use tower::{Layer, Service};

use crate::{Rejected, Requirement, Validator, Verified};

/// Why a request is not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No token at all: the challenge names no error (RFC 6750 §3.1).
    Missing,
    /// Not exactly one `Authorization: Bearer TOKEN`.
    Malformed,
    /// A token that is not good, or does not suffice.
    Rejected(Rejected),
}

impl Refusal {
    /// The failure as a sentence with what to change.
    #[must_use]
    pub fn to_fault(&self) -> Fault {
        let fault = |what: &str, code| {
            let fix = "Send one access token for this API, as Authorization: Bearer TOKEN.";
            Fault::new(Whose::Caller, what, fix).retry(Retry::Never).code(Code::Entrant(code))
        };
        match self {
            Self::Missing => fault("The request carries no token.", "token_missing"),
            Self::Malformed => fault("The Authorization header is not one bearer token.", "authorization_malformed"),
            Self::Rejected(rejected) => rejected.to_fault(),
        }
    }
}

/// 401, 403, 400 or 503 with `WWW-Authenticate` and a JSON body `{"error", "message", "fix"}`.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, challenge) = match &self {
            Self::Missing => (401, Some("Bearer".to_owned())),
            Self::Malformed => (400, Some(r#"Bearer error="invalid_request""#.to_owned())),
            Self::Rejected(rejected) => (rejected.status(), (rejected.status() != 503).then(|| rejected.challenge())),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED);
        let fault = self.to_fault();
        let error = fault.codes.first().map(ToString::to_string);
        let body = serde_json::json!({"error": error, "message": fault.what, "fix": fault.fix});
        let mut response = (status, Json(body)).into_response();
        if let Some(Ok(challenge)) = challenge.map(HeaderValue::try_from) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The one bearer token of a request.
///
/// # Errors
/// None, or not exactly one.
pub fn token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() {
        return Err(Refusal::Malformed);
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Refusal::Malformed)?;
    let sound = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains([' ', ',']);
    if sound { Ok(token) } else { Err(Refusal::Malformed) }
}

/// Lets requests through whose token is good and meets the requirement; the rest never reaches the handler.
#[derive(Clone, Debug)]
pub struct BearerLayer {
    validator: Arc<Validator>,
    requirement: Arc<Requirement>,
}

impl BearerLayer {
    /// Asks for a good token.
    #[must_use]
    pub fn new(validator: Arc<Validator>) -> Self {
        Self { validator, requirement: Arc::default() }
    }

    /// Asks for scopes, roles or client applications too, over and above the policy's.
    #[must_use]
    pub fn require(mut self, requirement: Requirement) -> Self {
        self.requirement = Arc::new(requirement);
        self
    }
}

impl<S> Layer<S> for BearerLayer {
    type Service = Bearer<S>;

    fn layer(&self, inner: S) -> Bearer<S> {
        Bearer { inner, layer: self.clone() }
    }
}

/// The service that [`BearerLayer`] makes.
#[derive(Clone, Debug)]
pub struct Bearer<S> {
    inner: S,
    layer: BearerLayer,
}

impl<S> Service<Request> for Bearer<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        // The service that was polled ready is the one to call; its clone waits for the next request.
        let waiting = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, waiting);
        let layer = self.layer.clone();
        Box::pin(async move {
            match layer.admit(request.headers()).await {
                Ok(caller) => {
                    request.extensions_mut().insert(Caller(caller));
                    inner.call(request).await
                }
                Err(refusal) => Ok(refusal.into_response()),
            }
        })
    }
}

impl BearerLayer {
    async fn admit(&self, headers: &HeaderMap) -> Result<Verified, Refusal> {
        let caller = self.validator.validate(token(headers)?).await.map_err(Refusal::Rejected)?;
        self.requirement.check(&caller).map_err(Refusal::Rejected)?;
        Ok(caller)
    }
}

/// The verified caller, in a handler behind [`BearerLayer`].
#[derive(Clone, Debug)]
pub struct Caller(pub Verified);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    /// Without the layer there is no caller: the handler is not reached, rather than reached by anybody.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or(Refusal::Missing)
    }
}
