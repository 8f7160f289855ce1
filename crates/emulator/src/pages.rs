//! Pages: sign-in, consent, sign-out, failures. No scripts, no pictures, nothing that looks like Microsoft's.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::directory::{App, Person};
use crate::faults::{Stage, TROUBLES, Trouble};
use crate::refusal::{Refusal, Trace, timestamp};
use crate::state::State;

/// The one script of the emulator: it submits the `form_post` page, and the policy allows this text only.
const SUBMIT: &str = "document.forms[0].submit()";

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    app: &'a str,
    action: String,
    people: Vec<Card<'a>>,
    tenant: &'a str,
    troubles: Vec<(&'static str, Vec<&'static Trouble>)>,
}

struct Card<'a> {
    upn: &'a str,
    name: &'a str,
    about: String,
    hinted: bool,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct Consent<'a> {
    app: &'a str,
    action: String,
    upn: &'a str,
    scopes: &'a [String],
}

#[derive(Template)]
#[template(path = "failure.html")]
struct Failure<'a> {
    code: u32,
    text: &'a str,
    fix: &'a str,
    trace_id: String,
    correlation_id: String,
    at: String,
    console: &'a str,
}

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOut<'a> {
    frames: &'a [String],
    back: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "form_post.html")]
struct FormPost<'a> {
    action: &'a str,
    parameters: &'a [(String, String)],
    script: &'static str,
}

/// The people picker.
pub(crate) fn sign_in(state: &State, app: &App, query: &str, redirect: &str, hinted: Option<&Person>) -> Response {
    let people = state.directory.people.iter().filter(|person| person.tenant == app.tenant || app.multi_tenant);
    let mut people: Vec<Card<'_>> = people
        .map(|person| Card {
            upn: &person.upn,
            name: &person.name,
            about: about(app, person),
            hinted: hinted.is_some_and(|hinted| hinted.oid == person.oid),
        })
        .collect();
    people.sort_by_key(|card| !card.hinted);
    let tenant = state
        .directory
        .tenants
        .iter()
        .find(|tenant| tenant.id == app.tenant)
        .map_or("", |tenant| tenant.domain.as_str());
    page(
        StatusCode::OK,
        &SignIn { app: &app.name, action: format!("?{query}"), people, tenant, troubles: troubles() },
        &form_policy(redirect),
    )
}

/// The menu's entries by stage.
fn troubles() -> Vec<(&'static str, Vec<&'static Trouble>)> {
    let of = |stage: Stage| (stage.title(), TROUBLES.iter().filter(|trouble| trouble.stage == stage).collect());
    [Stage::Redirect, Stage::Redemption, Stage::Tokens].map(of).to_vec()
}

#[derive(Template)]
#[template(path = "device.html")]
struct Device<'a> {
    code: Option<&'a str>,
    note: Option<&'a str>,
    people: Vec<&'a Person>,
}

/// The page of the device code.
pub(crate) fn device(state: &State, code: Option<&str>, note: Option<&str>) -> Response {
    let template = Device { code, note, people: state.directory.people.iter().collect() };
    page(StatusCode::OK, &template, &form_policy(""))
}

fn about(app: &App, person: &Person) -> String {
    let roles = app.roles_of(person);
    if person.disabled {
        "account disabled".into()
    } else if !app.admits(person) {
        "not assigned to this app: AADSTS50105".into()
    } else if roles.is_empty() {
        "user".into()
    } else {
        format!("app role {}", roles.join(", "))
    }
}

/// The consent page.
pub(crate) fn consent(app: &App, person: &Person, scopes: &[String], query: &str, redirect: &str) -> Response {
    page(
        StatusCode::OK,
        &Consent { app: &app.name, action: format!("?{query}"), upn: &person.upn, scopes },
        &form_policy(redirect),
    )
}

/// A refusal that must not be redirected.
pub(crate) fn failure(state: &State, refusal: &Refusal, trace: &Trace) -> Response {
    let code = refusal.number();
    tracing::warn!(code, trace_id = %trace.trace_id, "refused on the page with AADSTS{code}: {} Fix: {}", refusal.text, refusal.fix);
    let template = Failure {
        code,
        text: &refusal.text,
        fix: &refusal.fix,
        trace_id: trace.trace_id.to_string(),
        correlation_id: trace.correlation_id.to_string(),
        at: timestamp(trace.at),
        console: &state.origins.plain,
    };
    page(StatusCode::from_u16(refusal.shape.status).unwrap_or(StatusCode::BAD_REQUEST), &template, STRICT)
}

/// Signed out; `frames` tell the other apps.
pub(crate) fn signed_out(frames: &[String], back: Option<&str>) -> Response {
    let origins: Vec<String> = frames.iter().filter_map(|frame| origin(frame)).collect();
    let policy =
        if origins.is_empty() { STRICT.to_owned() } else { format!("{STRICT}; frame-src {}", origins.join(" ")) };
    page(StatusCode::OK, &SignedOut { frames, back }, &policy)
}

/// `response_mode=form_post`.
pub(crate) fn form_post(action: &str, parameters: &[(String, String)]) -> Response {
    use base64::Engine as _;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, SUBMIT.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(hash.as_ref());
    let policy = format!("{}; script-src 'sha256-{hash}'", form_policy(action));
    let mut response = page(StatusCode::OK, &FormPost { action, parameters, script: SUBMIT }, &policy);
    // The app sees where the form comes from, as it would from Entra; otherwise `Origin` would be `null`.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
    response
}

/// No scripts, no foreign content, no framing.
pub(crate) const STRICT: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// The same with forms; browsers hold a form's *redirects* to the policy too, so the app's origin and other
/// loopback ports (where an app may send the browser on to) are in it.
fn form_policy(redirect: &str) -> String {
    let app = origin(redirect).unwrap_or_default();
    format!("{STRICT}; form-action 'self' http://localhost:* https://localhost:* http://127.0.0.1:* {app}")
}

fn origin(url: &str) -> Option<String> {
    let origin = url::Url::parse(url).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// A page with its policy.
pub(crate) fn page(status: StatusCode, template: &impl Template, policy: &str) -> Response {
    let Ok(text) = template.render() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let policy = HeaderValue::from_str(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    (status, headers, text).into_response()
}
