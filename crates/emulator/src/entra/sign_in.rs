//! A person signs in: admitted or not, consented or not, and back to the app with a code.

use std::time::Duration;

use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::authorize::{Mode, Request};
use super::grants::{Code, Consented, Session};
use super::issue::not_assigned;
use super::redirect;
use crate::counters::Endpoint;
use crate::directory::Person;
use crate::faults::{Point, Stage};
use crate::journal::Entry;
use crate::pages;
use crate::refusal::Refusal;
use crate::state::State;

/// The sign-in session's cookie, named apart from the app's: browsers share cookies between all ports of a host.
pub(crate) const SESSION_COOKIE: &str = "emulator_sign_in";

/// Sends `person` back with a code, or with why not. `session` is the cookie's value, if it is already theirs.
pub(super) fn sign_in(state: &State, mut request: Request<'_>, person: &Person, session: Option<String>) -> Response {
    meet_faults(state, &mut request, person);
    let request = &request;
    let app = request.app;
    if request.struck.intercepts() {
        return marked(StatusCode::SERVICE_UNAVAILABLE.into_response(), request);
    }
    if let Err(refusal) = admitted(request, person) {
        return refuse(state, request, &refusal);
    }
    if needs_consent(state, request, person) {
        if request.parameter("prompt") != Some("none") {
            return pages::consent(app, person, &request.scopes.names, &request.query, &request.redirect_uri);
        }
        let text = format!("Nobody has consented to use the application '{}' ({}).", app.client_id, app.name);
        let mut refusal = Refusal::new(65001, text, "Send an interactive authorization request.");
        refusal.shape.error = "interaction_required";
        return refuse(state, request, &refusal);
    }
    let (code, cookie) = new_code(state, request, person, session);
    record(state, request, format!("{} signs in", person.upn), 302, None);
    let mut parameters = vec![("code".to_owned(), code)];
    if request.parameter("client_info") == Some("1") {
        parameters.push(("client_info".into(), crate::token::client_info(person)));
    }
    let mut response = deliver(state, request, parameters);
    if let Some(cookie) = cookie.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Rules that strike this sign-in, and the trouble that was chosen for it, now or for when its code is redeemed.
fn meet_faults(state: &State, request: &mut Request<'_>, person: &Person) {
    let point = Point {
        app: Some(request.app),
        user: Some(person),
        resource: request.parameter("scope"),
        ..Point::at(Endpoint::Authorize)
    };
    let struck = state.strike(&point);
    request.struck = match request.trouble.map(|trouble| (trouble.stage, trouble.effect())) {
        Some((Stage::Redirect, effect)) => struck.and(&[effect]),
        Some((_, effect)) => {
            request.later = Some(effect);
            struck
        }
        None => struck,
    };
}

/// Whether `person` may use the app at all.
fn admitted(request: &Request<'_>, person: &Person) -> Result<(), Refusal> {
    let app = request.app;
    // On a redirect these two are `access_denied`; at the token endpoint 50105 is `invalid_grant`.
    let denied = |mut refusal: Refusal| {
        if matches!(refusal.number(), 50105 | 65004) {
            refusal.shape.error = "access_denied";
        }
        Err(refusal)
    };
    if let Some(refusal) = request.struck.refusal() {
        return denied(refusal);
    }
    if person.disabled {
        let text = format!("The user account '{}' is disabled.", person.upn);
        return Err(Refusal::new(50057, text, "Enable the account."));
    }
    if person.tenant != app.tenant && !app.multi_tenant {
        return Err(Refusal::new(
            50020,
            format!("User account '{}' does not exist in the tenant of the application '{}'.", person.upn, app.name),
            "Sign in with an account of this tenant, or mark the app multi_tenant.",
        ));
    }
    if !app.admits(person) {
        return denied(not_assigned(app, person));
    }
    Ok(())
}

fn needs_consent(state: &State, request: &Request<'_>, person: &Person) -> bool {
    if request.accepted {
        return false;
    }
    let app = request.app;
    let grants = state.grants.lock();
    let given = grants.consents.get(&(app.client_id, person.oid));
    let covered = given.is_some_and(|given| request.scopes.names.iter().all(|name| given.contains(name)));
    let standing = covered || app.admin_consent || person.consent.contains(&app.name);
    !standing || request.parameter("prompt") == Some("consent")
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
    let parameter = |name: &str| request.parameter(name).map(str::to_owned);
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
        trouble: request.later.clone(),
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

pub(super) fn refuse(state: &State, request: &Request<'_>, refusal: &Refusal) -> Response {
    let trace = state.trace(request.parameter("client-request-id"));
    let code = refusal.number();
    tracing::warn!(client = %request.app.name, code, trace_id = %trace.trace_id, "sign-in refused with AADSTS{code}: {} Fix: {}", refusal.text, refusal.fix);
    record(state, request, "sign-in".into(), 302, Some((refusal, trace.trace_id.to_string())));
    let mut parameters = vec![
        ("error".to_owned(), word_on_redirect(refusal).to_owned()),
        ("error_description".into(), refusal.description(&trace)),
    ];
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

/// The token endpoint's words do not exist at the authorization endpoint (RFC 6749 §4.1.2.1, `OpenID` Connect Core
/// §3.1.2.6).
fn word_on_redirect(refusal: &Refusal) -> &'static str {
    match (refusal.number(), refusal.shape.error) {
        (65001, "invalid_grant") => "consent_required",
        (50105, "invalid_grant") => "access_denied",
        (_, "invalid_grant") => "interaction_required",
        (_, "invalid_client") => "unauthorized_client",
        (_, word) => word,
    }
}

/// Back to the app, in the mode that it asked for.
fn deliver(state: &State, request: &Request<'_>, mut parameters: Vec<(String, String)>) -> Response {
    if let Some(value) = &request.state {
        parameters.push(("state".into(), value.clone()));
    }
    if parameters.iter().any(|(name, _)| name == "code") {
        parameters.push(("session_state".into(), state.random_guid().to_string()));
    }
    request.struck.edit_redirect(&mut parameters);
    let response = if request.mode == Mode::FormPost {
        pages::form_post(&request.redirect_uri, &parameters)
    } else {
        match redirect::with_parameters(&request.redirect_uri, &parameters, request.mode == Mode::Fragment) {
            Some(url) => redirect::to(&url),
            None => pages::failure(state, &Refusal::bare(50011), &state.trace(None)),
        }
    };
    marked(response, request)
}

fn marked(mut response: Response, request: &Request<'_>) -> Response {
    response.extensions_mut().insert(request.struck.clone());
    response
}

fn record(state: &State, request: &Request<'_>, what: String, status: u16, refused: Option<(&Refusal, String)>) {
    state.journal.add(Entry {
        at: state.now(),
        status,
        code: refused.as_ref().map(|(refusal, _)| format!("AADSTS{}", refusal.number())),
        explanation: refused.as_ref().map(|(refusal, _)| format!("{} {}", refusal.text, refusal.fix)),
        trace_id: refused.map(|(_, trace)| trace),
        ..Entry::new("browser", "Entra", format!("{what} to {}", request.app.name))
    });
}
