//! Signing out: by the button, and by Entra on behalf of another app.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use entrant_types::{Fault, Secret};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;

use super::App;
use super::visit::Visit;
use crate::cookie;
use crate::page::problem::Problem;
use crate::session::seal::RecordId;
use crate::session::sessions::Session;

/// The sign-out form.
#[derive(Deserialize)]
pub(crate) struct SignOut {
    #[serde(default)]
    form_token: String,
}

/// `POST /logout`: ends the session here, then the one at Entra.
pub(crate) async fn logout(
    State(app): State<Arc<App>>,
    visit: Visit,
    form: Result<Form<SignOut>, FormRejection>,
) -> Response {
    let session = match app.sessions.find(&visit.headers).await {
        Ok(session) => session,
        Err(fault) => return app.failure(&visit, None, &fault),
    };
    let Some(session) = session else { return forget(Redirect::to("/").into_response()) };
    let form_token = form.map(|Form(form)| Secret::new(form.form_token)).ok();
    if !is_own_origin(&app, &visit) || form_token.as_ref() != Some(session.form_token()) {
        let cause = "The request to sign out did not come from a page of this session, so nobody was signed out.";
        let step = "Use the Sign out button of a page that you opened in this browser.";
        let problem = Problem::plain(StatusCode::FORBIDDEN, "Not signed out", cause, step, app.now());
        return app.problem(&visit, Some(&session), &problem);
    }
    if let Err(fault) = app.sessions.end(&session).await {
        return app.failure(&visit, Some(&session), &fault);
    }
    match app.end_session_url(&session).await {
        Ok(url) => forget(Redirect::to(&url).into_response()),
        Err(fault) => {
            // Signed out here, and honest about there.
            let problem = Problem::of(&fault, app.now());
            forget(app.problem(&visit, None, &problem))
        }
    }
}

/// `GET /front-channel-logout?iss=…&sid=…`: Entra says, in a frame of its own page, that the person signed out
/// there. The session's cookie does not come along into a frame, so the session is found by Entra's name for it.
pub(crate) async fn front_channel(State(app): State<Arc<App>>, visit: Visit) -> Response {
    let (Some(issuer), Some(sid)) = (visit.parameter("iss"), visit.parameter("sid")) else {
        return (StatusCode::BAD_REQUEST, "iss and sid are needed, each once").into_response();
    };
    let mut response = match app.sessions.end_group(&group(&issuer, &sid)).await {
        Ok(ended) => {
            tracing::info!(request = %visit.id.0, ended, "front-channel sign-out");
            StatusCode::OK.into_response()
        }
        Err(fault) => {
            tracing::warn!(request = %visit.id.0, %fault, "front-channel sign-out failed");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    };
    // The one response that may be framed, empty as it is.
    let policy = HeaderValue::from_static("default-src 'none'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    let framed = HeaderName::from_static("cross-origin-resource-policy");
    response.headers_mut().insert(framed, HeaderValue::from_static("cross-origin"));
    response
}

/// How sessions of one sign-in at Entra are told from others: by issuer and `sid` together.
pub(super) fn group(issuer: &str, sid: &str) -> RecordId {
    RecordId::of(format!("{issuer}\n{sid}").as_bytes())
}

/// What the browser itself says about where a form came from. A browser that says nothing is left to the form's
/// token.
fn is_own_origin(app: &App, visit: &Visit) -> bool {
    let own = app.config.public_url.origin().ascii_serialization();
    let origin = visit.header("origin").is_none_or(|origin| origin == own);
    let site = visit.header("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    origin && site
}

impl App {
    /// Where the browser goes to end the session at Entra too.
    async fn end_session_url(&self, session: &Session) -> Result<String, Fault> {
        let hint = session.record().tokens.account.login_hint.as_deref();
        let back = self.config.signed_out_uri();
        self.parts.client.logout_url(Some(&back), hint).await.map(Into::into)
    }

    /// The origin of that address, which the sign-out form is allowed to end up at. Asked for with every page of a
    /// session, and held since the sign-in.
    pub(super) async fn end_session_origin(&self) -> Option<String> {
        let url = self.parts.client.logout_url(None, None).await.ok()?;
        Some(url.origin().ascii_serialization())
    }
}

fn forget(mut response: Response) -> Response {
    if let Some(removal) = cookie::remove(cookie::SESSION) {
        response.headers_mut().append(header::SET_COOKIE, removal);
    }
    response
}
