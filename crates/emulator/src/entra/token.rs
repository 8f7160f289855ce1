//! The token endpoint: who asks, by which grant, and the reply or Entra's refusal.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};

use super::client::{Form, authenticate};
use super::grants::Client;
use super::{app_only, device, on_behalf_of, redeem};
use crate::counters::Endpoint;
use crate::directory::TenantChoice;
use crate::faults::{Point, Struck};
use crate::journal::{Entry, TokenView};
use crate::refusal::{Refusal, Trace, plain};
use crate::state::State;

/// A granted request: the reply's members.
pub(super) type Reply = Map<String, Value>;

/// An authenticated token request.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) state: &'a State,
    pub(super) form: &'a Form,
    pub(super) client: Client<'a>,
    pub(super) tenant: TenantChoice<'a>,
    pub(super) struck: &'a Struck,
}

/// `POST /{tenant}/oauth2/v2.0/token`
pub(super) async fn token(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut form = Form::parse(&body);
    basic_credentials(&headers, &mut form);
    answer(&state, &tenant, &query, &headers, form, false).await
}

/// `POST /{tenant}/oauth2/token`: the v1 endpoint, which names a `resource` instead of scopes and answers in
/// strings. The `adfs` alias lands here too, with scopes, and is answered as v2.
pub(super) async fn token_v1(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut form = Form::parse(&body);
    basic_credentials(&headers, &mut form);
    let by_resource = match (form.get("resource"), form.get("scope")) {
        (Some(resource), None) => {
            let scope = match form.get("grant_type") {
                Some("client_credentials") => format!("{resource}/.default"),
                _ => format!("openid profile offline_access {resource}/.default"),
            };
            form.set("scope", &scope);
            true
        }
        _ => false,
    };
    answer(&state, &tenant, &query, &headers, form, by_resource).await
}

async fn answer(
    state: &State,
    tenant: &str,
    query: &BTreeMap<String, String>,
    headers: &HeaderMap,
    form: Form,
    v1: bool,
) -> Response {
    // msal-node sends the id in the URL, others in a header.
    let correlation = headers.get("client-request-id").and_then(|value| value.to_str().ok());
    let trace = state.trace(correlation.or_else(|| query.get("client-request-id").map(String::as_str)));
    let struck = strike(state, &form);
    let mut response = if struck.intercepts() {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    } else {
        let outcome = match struck.refusal() {
            Some(refusal) => Err(refusal),
            None => grant(state, tenant, &form, &struck).await,
        };
        record(state, &form, &trace, &outcome);
        match outcome {
            Ok(reply) if v1 => Json(v1_shape(state, reply, form.get("resource").unwrap_or_default())).into_response(),
            Ok(reply) => Json(reply).into_response(),
            Err(refusal) => {
                let status = StatusCode::from_u16(refusal.shape.status).unwrap_or(StatusCode::BAD_REQUEST);
                (status, Json(refusal.document(&trace))).into_response()
            }
        }
    };
    response.extensions_mut().insert(struck);
    response
}

/// The v1 endpoint writes its numbers as strings and adds `expires_on`, `not_before` and `resource`.
fn v1_shape(state: &State, mut reply: Reply, resource: &str) -> Reply {
    let seconds = reply.get("expires_in").and_then(Value::as_i64).unwrap_or_default();
    let now = state.now().secs();
    for (name, value) in [
        ("expires_in", seconds.to_string()),
        ("ext_expires_in", seconds.to_string()),
        ("expires_on", now.saturating_add(seconds).to_string()),
        ("not_before", now.saturating_sub(300).to_string()),
        ("resource", resource.to_owned()),
    ] {
        reply.insert(name.into(), value.into());
    }
    reply
}

/// The faults that this request meets: those of rules, and the trouble chosen when its code was made.
fn strike(state: &State, form: &Form) -> Struck {
    let app = form.get("client_id").and_then(|id| state.directory.app_by_client_id(id));
    let (person, trouble) = {
        let grants = state.grants.lock();
        let code = form.get("code").and_then(|code| grants.codes.get(code));
        let refresh = form.get("refresh_token").and_then(|token| grants.refresh.get(token));
        let person = code.map(|code| code.consented.person).or_else(|| refresh.map(|refresh| refresh.consented.person));
        (person, code.and_then(|code| code.trouble.clone()))
    };
    let point = Point {
        app,
        user: person.and_then(|oid| state.directory.people.iter().find(|person| person.oid == oid)),
        resource: form.get("scope"),
        grant: form.get("grant_type"),
        ..Point::at(Endpoint::Token)
    };
    state.strike(&point).and(trouble.as_slice())
}

async fn grant(state: &State, tenant: &str, form: &Form, struck: &Struck) -> Result<Reply, Refusal> {
    let tenant = state.directory.tenant(tenant).ok_or_else(|| unknown_tenant(tenant))?;
    let kind = form.need("grant_type")?;
    let client = authenticate(state, form).await?;
    at_home(&client, tenant)?;
    let ask = Ask { state, form, client, tenant, struck };
    match kind {
        "authorization_code" => redeem::authorization_code(ask).await,
        "refresh_token" => redeem::refresh_token(ask).await,
        "client_credentials" => app_only::client_credentials(ask).await,
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => on_behalf_of::on_behalf_of(ask).await,
        "urn:ietf:params:oauth:grant-type:device_code" | "device_code" => device::poll(ask).await,
        other => Err(Refusal::new(
            70003,
            format!("The app requested an unsupported grant type '{other}'."),
            "Use authorization_code, refresh_token, client_credentials, the on-behalf-of or the device code grant.",
        )),
    }
}

pub(super) fn unknown_tenant(tenant: &str) -> Refusal {
    Refusal::new(
        90002,
        format!("Tenant '{tenant}' not found."),
        "Set TENANT_ID to the tenant id or domain that the console shows.",
    )
}

/// An app is found in its own tenant only, unless it is multi-tenant.
pub(super) fn at_home(client: &Client<'_>, tenant: TenantChoice<'_>) -> Result<(), Refusal> {
    match tenant {
        TenantChoice::One(tenant) if tenant.id != client.app.tenant && !client.app.multi_tenant => Err(Refusal::new(
            700_016,
            format!(
                "Application with identifier '{}' was not found in the directory '{}'.",
                client.app.client_id, tenant.domain
            ),
            "Use the app's own tenant, or mark the app multi_tenant.",
        )),
        _ => Ok(()),
    }
}

/// `client_secret_basic` (RFC 6749 §2.3.1): the two halves are form-encoded.
fn basic_credentials(headers: &HeaderMap, form: &mut Form) {
    use base64::Engine as _;
    let Some(text) = headers.get("authorization").and_then(|value| value.to_str().ok()) else { return };
    let Some(encoded) = text.strip_prefix("Basic ") else { return };
    let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(encoded) else { return };
    let Ok(pair) = String::from_utf8(bytes) else { return };
    let Some((id, secret)) = pair.split_once(':') else { return };
    let decode =
        |text: &str| form_urlencoded::parse(format!("v={text}").as_bytes()).next().map(|(_, v)| v.into_owned());
    if let (Some(id), Some(secret)) = (decode(id), decode(secret)) {
        form.set("client_id", &id);
        form.set("client_secret", &secret);
    }
}

fn record(state: &State, form: &Form, trace: &Trace, outcome: &Result<Reply, Refusal>) {
    let client = form.get("client_id").unwrap_or("?");
    let from = state.directory.app_by_client_id(client).map_or_else(|| plain(client), |app| app.name.clone());
    let grant = form.get("grant_type").unwrap_or("?");
    let mut tokens: Vec<TokenView> =
        form.get("client_assertion").map(|token| TokenView::of("client assertion", token)).into_iter().collect();
    let what = format!("token: {}", plain(grant));
    let mut entry =
        Entry { at: trace.at, trace_id: Some(trace.trace_id.to_string()), ..Entry::new(&from, "Entra", what) };
    match outcome {
        Ok(reply) => {
            for (member, name) in
                [("access_token", "access token"), ("id_token", "ID token"), ("refresh_token", "refresh token")]
            {
                tokens.extend(reply.get(member).and_then(Value::as_str).map(|token| TokenView::of(name, token)));
            }
            tracing::info!(client = %entry.from, grant, trace_id = %trace.trace_id, "token issued");
        }
        Err(refusal) => {
            entry.status = refusal.shape.status;
            entry.code = Some(format!("AADSTS{}", refusal.number()));
            entry.explanation = Some(format!("{} {}", refusal.text, refusal.fix));
            let code = refusal.number();
            tracing::warn!(client = %entry.from, grant, code, trace_id = %trace.trace_id, "refused with AADSTS{code}: {} Fix: {}", refusal.text, refusal.fix);
        }
    }
    entry.tokens = tokens;
    state.journal.add(entry);
}
