//! The authorization endpoint: what is asked, by whom, and the page that asks who is signing in.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Form as AxumForm, Path, Query, RawQuery, State as Shared};
use axum::http::HeaderMap;
use axum::response::Response;

use super::client::identify;
use super::grants::Client;
use super::redirect;
use super::scopes::{self, Scopes};
use super::sign_in::{refuse, session_of, sign_in};
use super::token::{at_home, unknown_tenant};
use crate::directory::App;
use crate::faults::{Effect, Struck, Trouble};
use crate::pages;
use crate::refusal::Refusal;
use crate::state::State;
use crate::token::AppAuth;

/// Scopes of one app that one person has consented to; APIs expose a handful.
const MOST_CONSENTS: usize = 500;

pub(super) type Parameters = BTreeMap<String, String>;

/// An authorization request that may be answered to its redirect URI.
pub(super) struct Request<'a> {
    pub(super) app: &'a App,
    pub(super) redirect_uri: String,
    pub(super) mode: Mode,
    pub(super) state: Option<String>,
    pub(super) scopes: Scopes,
    pub(super) parameters: &'a Parameters,
    pub(super) query: String,
    /// Faults that this sign-in meets.
    pub(super) struck: Struck,
    /// The trouble that was chosen for it on the page.
    pub(super) trouble: Option<&'static Trouble>,
    /// Whether the person has just accepted on the consent page.
    pub(super) accepted: bool,
    /// What of the trouble shows later, when the code is redeemed.
    pub(super) later: Option<Effect>,
}

impl Request<'_> {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }
}

/// How the answer gets back to the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
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
                return sign_in(&state, request, person, None);
            }
            pages::sign_in(&state, request.app, &request.query, &request.redirect_uri, hinted)
        }
        (_, Some(person)) => sign_in(&state, request, person, session.map(|(secret, _)| secret)),
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
    let mut request = match read(&state, &tenant, &parameters, query) {
        Ok(request) => request,
        Err(response) => return *response,
    };
    request.trouble = fields.get("trouble").and_then(|name| Trouble::named(name));
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
    if fields.get("consent").is_some_and(|answer| answer == "accept") {
        request.accepted = true;
        let mut grants = state.grants.lock();
        let given = grants.consents.entry((request.app.client_id, person.oid)).or_default();
        given.extend(request.scopes.names.iter().cloned());
        given.sort_unstable();
        given.dedup();
        given.truncate(MOST_CONSENTS);
    }
    let session = session_of(&state, &headers).filter(|(_, session)| session.person == person.oid);
    sign_in(&state, request, person, session.map(|(secret, _)| secret))
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
    let choice = state.directory.tenant(tenant).ok_or_else(|| page(unknown_tenant(tenant)))?;
    let missing = |name: &str| page(Refusal::missing(name));
    let app = identify(state, parameters.get("client_id").ok_or_else(|| missing("client_id"))?).map_err(page)?;
    at_home(&Client { app, auth: AppAuth::None }, choice).map_err(page)?;
    let redirect_uri = parameters.get("redirect_uri").ok_or_else(|| missing("redirect_uri"))?.clone();
    if !redirect::registered(app, &redirect_uri) {
        return Err(page(wrong_redirect(app, &redirect_uri)));
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
        struck: Struck::default(),
        trouble: None,
        accepted: false,
        later: None,
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

/// `GET /{tenant}/v2.0/adminconsent`: the administrator agrees at once; there is nothing to protect here.
pub(super) async fn admin_consent(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let trace = state.trace(None);
    let outcome = (|| {
        let choice = state.directory.tenant(&tenant).ok_or_else(|| unknown_tenant(&tenant))?;
        let parameter = |name: &str| parameters.get(name).ok_or_else(|| Refusal::missing(name));
        let app = identify(&state, parameter("client_id")?)?;
        let uri = parameter("redirect_uri")?;
        if !redirect::registered(app, uri) {
            return Err(wrong_redirect(app, uri));
        }
        let scope = parameter("scope")?;
        let names = scopes::delegated(&state.directory, scope)?.names;
        let home = match choice {
            crate::directory::TenantChoice::One(tenant) => tenant.id,
            crate::directory::TenantChoice::Any => app.tenant,
        };
        let people = state.directory.people.iter().filter(|person| person.tenant == home);
        let mut grants = state.grants.lock();
        for person in people {
            let given = grants.consents.entry((app.client_id, person.oid)).or_default();
            given.extend(names.iter().cloned());
            given.sort_unstable();
            given.dedup();
            given.truncate(MOST_CONSENTS);
        }
        let mut back = vec![
            ("admin_consent".to_owned(), "True".to_owned()),
            ("tenant".to_owned(), home.to_string()),
            ("scope".to_owned(), scope.clone()),
        ];
        back.extend(parameters.get("state").map(|value| ("state".to_owned(), value.clone())));
        redirect::with_parameters(uri, &back, false).ok_or_else(|| wrong_redirect(app, uri))
    })();
    match outcome {
        Ok(url) => redirect::to(&url),
        Err(refusal) => pages::failure(&state, &refusal, &trace),
    }
}

fn wrong_redirect(app: &App, uri: &str) -> Refusal {
    let known = app.redirect_uris.join("', '");
    Refusal::new(
        50011,
        format!(
            "The redirect URI '{uri}' specified in the request does not match the redirect URIs configured for the application '{}'.",
            app.client_id
        ),
        format!(
            "Register exactly that URI on '{}' (case matters; for http://localhost the port does not). It has '{known}'.",
            app.name
        ),
    )
}
