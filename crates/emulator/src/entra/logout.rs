//! Sign-out: ends the session, tells the other apps, goes back where the app registered.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Query, State as Shared};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

use super::redirect;
use super::sign_in::{SESSION_COOKIE, session_of};
use crate::counters::Endpoint;
use crate::directory::App;
use crate::faults::Point;
use crate::journal::Entry;
use crate::pages;
use crate::state::State;

/// `GET|POST /{tenant}/oauth2/v2.0/logout`
pub(super) async fn logout(
    Shared(state): Shared<Arc<State>>,
    Query(parameters): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let posted: BTreeMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let parameter = |name: &str| parameters.get(name).or_else(|| posted.get(name)).cloned();
    let session = session_of(&state, &headers);
    let mut notify = Vec::new();
    if let Some((secret, session)) = &session {
        state.grants.lock().sessions.take(secret);
        let apps = state.directory.apps.iter().filter(|app| session.clients.contains(&app.client_id));
        notify.extend(apps.filter_map(|app| front_channel(&state, app, &session.sid)));
    }
    state.journal.add(Entry { at: state.now(), ..Entry::new("browser", "Entra", "sign-out") });
    let struck = state.strike(&Point::at(Endpoint::Logout));
    // A return address is honoured when an app registered it, and the page is shown otherwise.
    let back = parameter("post_logout_redirect_uri")
        .filter(|uri| state.directory.apps.iter().any(|app| redirect::registered(app, uri)))
        .and_then(|uri| {
            let mut returned: Vec<_> =
                parameter("state").map(|value| ("state".to_owned(), value)).into_iter().collect();
            struck.edit_redirect(&mut returned);
            redirect::with_parameters(&uri, &returned, false)
        });
    let mut response = match &back {
        Some(url) if notify.is_empty() => redirect::to(url),
        _ => pages::signed_out(&notify, back.as_deref()),
    };
    response.extensions_mut().insert(struck);
    let gone = format!("{SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    if let Ok(cookie) = HeaderValue::from_str(&gone) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// An app's logout URL with `iss` and `sid` (OpenID Connect Front-Channel Logout §3).
fn front_channel(state: &State, app: &App, sid: &str) -> Option<String> {
    let parameters = [("iss".to_owned(), state.issuers.v2(app.tenant)), ("sid".to_owned(), sid.to_owned())];
    redirect::with_parameters(app.logout_url.as_ref()?, &parameters, false)
}
