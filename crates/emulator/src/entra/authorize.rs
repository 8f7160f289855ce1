//! The authorization endpoint: who is signing in, and back to the app with a code.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Form as AxumForm, Path, Query, RawQuery, State as Shared};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::client::identify;
use super::grants::{Code, Consented, Session};
use super::redirect;
use super::scopes::{self, Scopes};
use super::token::{error_parameters, not_assigned};
use crate::directory::{App, Person, TenantChoice};
use crate::journal::Entry;
use crate::pages;
use crate::refusal::Refusal;
use crate::state::State;

/// The sign-in session's cookie, named apart from the app's: browsers share cookies between all ports of a host.
pub(crate) const SESSION_COOKIE: &str = "emulator_sign_in";

pub(super) type Parameters = BTreeMap<String, String>;

/// An authorization request that may be answered to its redirect URI.
struct Request<'a> {
    app: &'a App,
    redirect_uri: String,
    mode: Mode,
    state: Option<String>,
    scopes: Scopes,
    parameters: &'a Parameters,
    query: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Query,
    Fragment,
    FormPost,
}

/// `GET /{tenant}/oauth2/v2.0/authorize`
pub(super) async fn ask(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    RawQuery(query): RawQuery,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    let request = match read(&state, &tenant, &parameters, query) {
        Ok(request) => request,
        Err(response) => return *response,
    };
    let session = session_of(&state, &headers);
    let prompt = parameters.get("prompt").map_or("", String::as_str);
    let hinted = parameters.get("login_hint").and_then(|hint| state.directory.person(hint));
    let known = session
        .as_ref()
        .and_then(|(_, session)| state.directory.people.iter().find(|person| person.oid == session.person));
    // A hint for somebody else than who is signed in asks again.
    let known = known.filter(|person| hinted.is_none_or(|hinted| hinted.oid == person.oid));
    match (prompt, known) {
        ("none", None) => refuse(
            &state,
            &request,
            &Refusal::new(
                50058,
                "A silent sign-in request was sent but no user is signed in.",
                "Start an interactive sign-in.",
            ),
        ),
        ("login" | "select_account" | "create", _) | (_, None) => {
            if let Some(person) = hinted.filter(|_| state.sign_in.auto) {
                return sign_in(&state, &request, person, None);
            }
            pages::sign_in(&state, request.app, &request.query, &request.redirect_uri, hinted)
        }
        (_, Some(person)) => sign_in(&state, &request, person, session.map(|(secret, _)| secret)),
    }
}

/// `POST /{tenant}/oauth2/v2.0/authorize?…`: the page's answer, with the request still in the query.
pub(super) async fn answer(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    RawQuery(query): RawQuery,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    AxumForm(fields): AxumForm<Parameters>,
) -> Response {
    let request = match read(&state, &tenant, &parameters, query) {
        Ok(request) => request,
        Err(response) => return *response,
    };
    if fields.contains_key("cancel") {
        let refusal = Refusal::new(65004, "User declined to consent to access the app.", "Choose a person to go on.");
        return refuse(&state, &request, &refusal);
    }
    let Some(person) = fields.get("user").and_then(|user| state.directory.person(user)) else {
        return pages::failure(
            &state,
            &Refusal::new(50050, "Nobody was chosen.", "Choose a person on the page."),
            &state.trace(None),
        );
    };
    let consent = fields.get("consent").map(String::as_str);
    if consent == Some("accept") {
        let names = request.scopes.names.clone();
        state.grants.lock().consents.entry((request.app.client_id, person.oid)).or_default().extend(names);
    }
    let session = session_of(&state, &headers).filter(|(_, session)| session.person == person.oid);
    sign_in(&state, &request, person, session.map(|(secret, _)| secret))
}

/// Everything that must be right before an error may be sent to the redirect URI.
fn read<'a>(
    state: &'a State,
    tenant: &str,
    parameters: &'a Parameters,
    query: Option<String>,
) -> Result<Request<'a>, Box<Response>> {
    let trace = state.trace(parameters.get("client-request-id").map(String::as_str));
    let page = |refusal: Refusal| Box::new(pages::failure(state, &refusal, &trace));
    let choice = state.directory.tenant(tenant).ok_or_else(|| {
        page(Refusal::new(
            90002,
            format!("Tenant '{tenant}' not found."),
            "Set TENANT_ID to the tenant id or domain that the console shows.",
        ))
    })?;
    let missing = |name: &str| page(Refusal::missing(name));
    let app = identify(state, parameters.get("client_id").ok_or_else(|| missing("client_id"))?).map_err(page)?;
    if let TenantChoice::One(tenant) = choice
        && tenant.id != app.tenant
        && !app.multi_tenant
    {
        return Err(page(Refusal::new(
            700_016,
            format!(
                "Application with identifier '{}' was not found in the directory '{}'.",
                app.client_id, tenant.domain
            ),
            "Use the app's own tenant, or mark the app multi_tenant.",
        )));
    }
    let redirect_uri = parameters.get("redirect_uri").ok_or_else(|| missing("redirect_uri"))?.clone();
    if !redirect::registered(app, &redirect_uri) {
        let known = app.redirect_uris.join("', '");
        return Err(page(Refusal::new(
            50011,
            format!(
                "The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured for the application '{}'.",
                app.client_id
            ),
            format!(
                "Register exactly that URI on '{}' (case matters; for http://localhost the port does not). It has '{known}'.",
                app.name
            ),
        )));
    }
    let mode = match parameters.get("response_mode").map(String::as_str) {
        Some("fragment") => Mode::Fragment,
        Some("form_post") => Mode::FormPost,
        _ => Mode::Query,
    };
    let mut request = Request {
        app,
        redirect_uri,
        mode,
        state: parameters.get("state").cloned(),
        scopes: scopes::delegated(&state.directory, "openid").map_err(page)?,
        parameters,
        query: query.unwrap_or_default(),
    };
    let back = |request: &Request<'_>, refusal: Refusal| Box::new(refuse(state, request, &refusal));
    if parameters.get("response_type").map(String::as_str) != Some("code") {
        let mut refusal = Refusal::new(700_054, "The response type is not supported.", "Ask for response_type=code.");
        refusal.shape.error = "unsupported_response_type";
        return Err(back(&request, refusal));
    }
    let Some(scope) = parameters.get("scope") else { return Err(back(&request, Refusal::missing("scope"))) };
    match scopes::delegated(&state.directory, scope) {
        Ok(scopes) => request.scopes = scopes,
        Err(refusal) => return Err(back(&request, refusal)),
    }
    Ok(request)
}

/// Sends `person` back with a code, or with why not. `session` is the cookie's value, if it is already theirs.
fn sign_in(state: &State, request: &Request<'_>, person: &Person, session: Option<String>) -> Response {
    let app = request.app;
    if person.disabled {
        return refuse(
            state,
            request,
            &Refusal::new(50057, format!("The user account '{}' is disabled.", person.upn), "Enable the account."),
        );
    }
    if person.tenant != app.tenant && !app.multi_tenant {
        return refuse(
            state,
            request,
            &Refusal::new(
                50020,
                format!(
                    "User account '{}' from another tenant does not exist in the tenant of the application '{}'.",
                    person.upn, app.name
                ),
                "Sign in with an account of this tenant, or mark the app multi_tenant.",
            ),
        );
    }
    if !app.admits(person) {
        let mut refusal = not_assigned(app, person);
        refusal.shape.error = "access_denied";
        return refuse(state, request, &refusal);
    }
    if needs_consent(state, request, person) {
        if request.parameters.get("prompt").map(String::as_str) == Some("none") {
            let mut refusal = Refusal::new(
                65001,
                format!(
                    "The user or administrator has not consented to use the application '{}' ({}).",
                    app.client_id, app.name
                ),
                "Send an interactive authorization request.",
            );
            refusal.shape.error = "interaction_required";
            return refuse(state, request, &refusal);
        }
        return pages::consent(state, app, person, &request.scopes.names, &request.query, &request.redirect_uri);
    }
    let (code, cookie) = new_code(state, request, person, session);
    record(state, request, format!("{} signs in", person.upn), 302, None);
    let mut parameters = vec![("code".to_owned(), code)];
    if request.parameters.get("client_info").map(String::as_str) == Some("1") {
        parameters.push(("client_info".into(), crate::token::client_info(person)));
    }
    let mut response = deliver(state, request, parameters);
    if let Some(cookie) = cookie.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

fn needs_consent(state: &State, request: &Request<'_>, person: &Person) -> bool {
    let app = request.app;
    let forced = request.parameters.get("prompt").map(String::as_str) == Some("consent");
    let grants = state.grants.lock();
    let given = grants.consents.get(&(app.client_id, person.oid));
    let covered = given.is_some_and(|given| request.scopes.names.iter().all(|name| given.contains(name)));
    let standing = app.admin_consent || person.consent.contains(&app.name);
    !covered && (forced || !standing)
}

/// A code bound to client, redirect URI and challenge, with the cookie of a new session.
fn new_code(
    state: &State,
    request: &Request<'_>,
    person: &Person,
    session: Option<String>,
) -> (String, Option<String>) {
    let now = state.now();
    let secret = state.random(32);
    let sid = state.random_guid().to_string();
    let code_secret = format!("1.{}", state.random(48).expose());
    let mut grants = state.grants.lock();
    let existing = session.and_then(|value| {
        grants.sessions.get_mut(&value).map(|session| {
            session.clients.push(request.app.client_id);
            session.clients.sort_unstable();
            session.clients.dedup();
            session.clone()
        })
    });
    let (session, cookie) = existing.map_or_else(
        || {
            let session = Session {
                sid,
                person: person.oid,
                signed_in: now,
                mfa: person.mfa,
                clients: vec![request.app.client_id],
            };
            (session, Some(format!("{SESSION_COOKIE}={}; Path=/; HttpOnly; SameSite=Lax", secret.expose())))
        },
        |session| (session, None),
    );
    if cookie.is_some() {
        grants.sessions.put(secret.expose(), session.clone());
    }
    let parameter = |name: &str| request.parameters.get(name).cloned();
    let challenge = parameter("code_challenge")
        .map(|challenge| (challenge, parameter("code_challenge_method").as_deref() == Some("S256")));
    let family = grants.new_family();
    let consented = Consented {
        person: person.oid,
        scope: parameter("scope").unwrap_or_default(),
        session: session.sid,
        signed_in: session.signed_in,
        mfa: session.mfa,
        family,
    };
    let life = Duration::from_secs(u64::from(state.lifetimes.code.unwrap_or(600)));
    let code = Code {
        client: request.app.client_id,
        redirect_uri: request.redirect_uri.clone(),
        challenge,
        nonce: parameter("nonce"),
        consented,
        expires: now + life,
        redeemed: false,
    };
    grants.codes.put(&code_secret, code);
    (code_secret, cookie)
}

/// The session that the request's cookie opens.
pub(super) fn session_of(state: &State, headers: &HeaderMap) -> Option<(String, Session)> {
    let value = cookie(headers, SESSION_COOKIE)?;
    let session = state.grants.lock().sessions.get(&value).cloned()?;
    Some((value, session))
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(own, value)| (own == name).then(|| value.to_owned()))
}

fn refuse(state: &State, request: &Request<'_>, refusal: &Refusal) -> Response {
    let trace = state.trace(request.parameters.get("client-request-id").map(String::as_str));
    let code = refusal.number();
    tracing::warn!(client = %request.app.name, code, trace_id = %trace.trace_id, "sign-in refused with AADSTS{code}: {} Fix: {}", refusal.text, refusal.fix);
    record(state, request, "sign-in".into(), 302, Some((refusal, trace.trace_id.to_string())));
    let mut parameters = error_parameters(refusal, &trace);
    if refusal.number() == 65004 {
        parameters.push(("error_subcode".into(), "cancel".into()));
    }
    if let Some(suberror) = refusal.shape.suberror {
        parameters.push(("suberror".into(), suberror.into()));
    }
    if let Some(claims) = &refusal.claims {
        parameters.push(("claims".into(), claims.clone()));
    }
    deliver(state, request, parameters)
}

/// Back to the app, in the mode that it asked for.
fn deliver(state: &State, request: &Request<'_>, mut parameters: Vec<(String, String)>) -> Response {
    if let Some(value) = &request.state {
        parameters.push(("state".into(), value.clone()));
    }
    if parameters.iter().any(|(name, _)| name == "code") {
        parameters.push(("session_state".into(), state.random_guid().to_string()));
    }
    if request.mode == Mode::FormPost {
        return pages::form_post(&request.redirect_uri, &parameters);
    }
    let url = redirect::with_parameters(&request.redirect_uri, &parameters, request.mode == Mode::Fragment);
    match url.and_then(|url| HeaderValue::from_str(&url).ok()) {
        Some(location) => (StatusCode::FOUND, [("location", location)]).into_response(),
        None => pages::failure(state, &Refusal::bare(50011), &state.trace(None)),
    }
}

fn record(state: &State, request: &Request<'_>, what: String, status: u16, refused: Option<(&Refusal, String)>) {
    state.journal.add(Entry {
        number: 0,
        at: state.now(),
        from: "browser".into(),
        to: "Entra".into(),
        what: format!("{what} to {}", request.app.name),
        status,
        code: refused.as_ref().map(|(refusal, _)| format!("AADSTS{}", refusal.number())),
        explanation: refused.as_ref().map(|(refusal, _)| format!("{} {}", refusal.text, refusal.fix)),
        trace_id: refused.map(|(_, trace)| trace),
        millis: None,
        tokens: Vec::new(),
    });
}
