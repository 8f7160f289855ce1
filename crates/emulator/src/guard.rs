//! What every request passes: a loopback `Host`, no browser on identity endpoints, the emulator's mark, a count.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use entrant_proto::oauth::http_date;
use entrant_types::emulation::{EMULATOR_HEADER, is_loopback_host};
use serde_json::json;

use crate::counters::Endpoint;
use crate::faults::{Point, Struck, apply};
use crate::refusal::Refusal;
use crate::state::State;

/// The middleware of both listeners.
pub(crate) async fn guard(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let endpoint = endpoint_of(request.uri().path());
    let mut response = match refusal(endpoint, request.method(), request.headers()) {
        Some(response) => response,
        None => answered(&state, endpoint, request, next).await,
    };
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static(EMULATOR_HEADER), HeaderValue::from_static("1"));
    // By the emulator's own clock, which may be stepped or run faster: clients measure lifetimes and skew from here.
    if let Ok(date) = HeaderValue::from_str(&http_date::format(state.now())) {
        headers.entry(header::DATE).or_insert(date);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    state.counters.count(endpoint, response.status().as_u16());
    response
}

/// The answer with the faults that its handler met; endpoints that ask nobody for rules meet them here.
async fn answered(state: &State, endpoint: Endpoint, request: Request, next: Next) -> Response {
    if matches!(endpoint, Endpoint::Control | Endpoint::Console) {
        return next.run(request).await;
    }
    let mut response = if strikes_itself(endpoint) {
        next.run(request).await
    } else {
        let struck = state.strike(&Point::at(endpoint));
        let mut response = match struck.refusal() {
            Some(refusal) => refused(state, &refusal),
            None if struck.intercepts() => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            None => next.run(request).await,
        };
        response.extensions_mut().insert(struck);
        response
    };
    match response.extensions_mut().remove::<Struck>() {
        Some(struck) if !struck.0.is_empty() => apply(state, &struck, response).await,
        _ => response,
    }
}

/// Entra's error document.
fn refused(state: &State, refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.shape.status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, Json(refusal.document(&state.trace(None)))).into_response()
}

/// Endpoints whose handlers know who asks, and for what, and look the rules up by that.
fn strikes_itself(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::Token
            | Endpoint::Authorize
            | Endpoint::Logout
            | Endpoint::Imds
            | Endpoint::AppService
            | Endpoint::AzureMl
            | Endpoint::CloudShell
            | Endpoint::Arc
            | Endpoint::ServiceFabric
    )
}

fn refusal(endpoint: Endpoint, method: &Method, headers: &HeaderMap) -> Option<Response> {
    let refuse = |status: StatusCode, text: &str| {
        tracing::warn!(endpoint = endpoint.name(), "refused: {text}");
        Some((status, Json(json!({ "error": "invalid_request", "error_description": text }))).into_response())
    };
    // A page of another site can make a browser resolve its own name to 127.0.0.1; the Host header betrays it.
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_loopback_host(without_port(host)) {
        return refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "The Host header does not name this machine's loopback interface.",
        );
    }
    // Only our own page may choose a person; apps send browsers here by GET, and sign-out may come from anywhere.
    let chooses = *method == Method::POST && matches!(endpoint, Endpoint::Authorize | Endpoint::Other);
    if chooses && headers.get(header::ORIGIN).is_some_and(|origin| !is_own(origin, host)) {
        return refuse(StatusCode::FORBIDDEN, "Forms of other sites are not answered here.");
    }
    if is_machine_only(endpoint) {
        // Azure's metadata service refuses forwarded requests; a browser has no business here at all.
        if headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded") {
            return refuse(StatusCode::BAD_REQUEST, "Forwarded requests are not answered here.");
        }
        let cross_site = headers.get("sec-fetch-site").is_some_and(|site| site != "none" && site != "same-origin");
        if headers.contains_key(header::ORIGIN) || cross_site {
            return refuse(StatusCode::FORBIDDEN, "Requests from web pages are not answered here.");
        }
    }
    None
}

/// Whether `origin` is that of the request's own host.
fn is_own(origin: &HeaderValue, host: &str) -> bool {
    let origin = origin.to_str().unwrap_or_default();
    origin.split_once("://").is_some_and(|(_, own)| own.eq_ignore_ascii_case(host))
}

fn without_port(host: &str) -> &str {
    if let Some(end) = host.strip_prefix('[').and_then(|rest| rest.find(']')) {
        return &host[..end + 2];
    }
    host.split(':').next().unwrap_or_default()
}

fn is_machine_only(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::Imds
            | Endpoint::AppService
            | Endpoint::AzureMl
            | Endpoint::CloudShell
            | Endpoint::Arc
            | Endpoint::ServiceFabric
            | Endpoint::ImdsCompute
            | Endpoint::Control
    )
}

/// The endpoint behind a path, by its end: the first segment is a tenant.
fn endpoint_of(path: &str) -> Endpoint {
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    match path {
        "/metadata/identity/oauth2/token" => return Endpoint::Imds,
        "/metadata/instance/compute" => return Endpoint::ImdsCompute,
        "/msi/token" => return Endpoint::AppService,
        "/common/discovery/instance" => return Endpoint::Discovery,
        "/oidc/userinfo" => return Endpoint::UserInfo,
        "/" | "" => return Endpoint::Console,
        _ => {}
    }
    for (prefix, endpoint) in [
        ("/control/", Endpoint::Control),
        ("/console/", Endpoint::Console),
        ("/azure-ml/", Endpoint::AzureMl),
        ("/cloud-shell/", Endpoint::CloudShell),
        ("/arc/", Endpoint::Arc),
        ("/service-fabric/", Endpoint::ServiceFabric),
        ("/workload/", Endpoint::WorkloadIssuer),
    ] {
        if path.starts_with(prefix) {
            return endpoint;
        }
    }
    for (suffix, endpoint) in [
        ("/.well-known/openid-configuration", Endpoint::Metadata),
        ("/discovery/v2.0/keys", Endpoint::Keys),
        ("/discovery/keys", Endpoint::Keys),
        ("/authorize", Endpoint::Authorize),
        ("/token", Endpoint::Token),
        ("/logout", Endpoint::Logout),
        ("/devicecode", Endpoint::DeviceCode),
        ("/adminconsent", Endpoint::AdminConsent),
    ] {
        if path.ends_with(suffix) {
            return endpoint;
        }
    }
    Endpoint::Other
}
