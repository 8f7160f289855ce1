//! `/login` and `/getAToken`: the two halves of a sign-in.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use entrant_confidential::{Callback, SignInFlow, SignInRequest};
use entrant_types::{Fault, Scope};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::App;
use super::sign_out::group;
use super::visit::Visit;
use crate::page::problem::Problem;
use crate::page::shell::{Shell, respond};
use crate::session::record::Person;
use crate::{login_state, return_path};

/// What a browser remembers between the two halves, sealed.
#[derive(Serialize, Deserialize)]
struct Pending {
    flow: SignInFlow,
    return_to: String,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice {
    shell: Shell,
    heading: &'static str,
    text: &'static str,
    address: String,
    button: &'static str,
}

/// `GET /login?return=/path`.
pub(crate) async fn login(State(app): State<Arc<App>>, visit: Visit) -> Response {
    let wanted = visit.parameter("return").unwrap_or_default();
    let return_to = return_path::sanitised(&wanted, &app.config.public_url);
    if visit.is_cross_site() {
        // Another site may lead here, but not start a sign-in behind the person's back.
        let page = Notice {
            shell: app.shell("Sign in", &visit, None),
            heading: "Do you want to sign in?",
            text: "Another site led you here. Go on only if you want to sign in to this app.",
            address: address(&return_to),
            button: "Sign in",
        };
        return respond(StatusCode::OK, &page, None);
    }
    app.send_to_sign_in(&visit, vec![app.config.api_scope.clone()], None, &return_to).await
}

/// `/login` with a return path.
fn address(return_to: &str) -> String {
    if return_to == "/" {
        return "/login".to_owned();
    }
    format!("/login?{}", form_urlencoded::Serializer::new(String::new()).append_pair("return", return_to).finish())
}

impl App {
    /// Sends the browser to the sign-in page and lets it remember what for.
    pub(super) async fn send_to_sign_in(
        &self,
        visit: &Visit,
        scopes: Vec<Scope>,
        claims: Option<String>,
        return_to: &str,
    ) -> Response {
        let redirect_uri = self.config.redirect_uri();
        let limit = Some(self.config.sign_in_limit);
        let request = SignInRequest { redirect_uri, scopes, claims, limit, ..SignInRequest::default() };
        let begun = self.parts.client.begin_sign_in(request).await;
        let outcome = begun.and_then(|(url, flow)| {
            let state = flow.state().clone();
            let pending = Pending { flow, return_to: return_to.to_owned() };
            let entropy = self.parts.outside.entropy.as_ref();
            let limits = (self.now(), self.config.sign_in_limit);
            let lines = login_state::remember(&visit.headers, &state, &pending, limits, entropy)?;
            Ok((url, lines))
        });
        match outcome {
            Ok((url, lines)) => with_cookies(Redirect::to(url.as_str()).into_response(), lines),
            Err(fault) => self.sign_in_failure(visit, &fault, return_to),
        }
    }

    fn sign_in_failure(&self, visit: &Visit, fault: &Fault, return_to: &str) -> Response {
        tracing::warn!(request = %visit.id.0, %fault, trace_id = fault.trace.trace_id, "sign-in failed");
        let problem = Problem::of(fault, self.now()).action(address(return_to), "Try again");
        self.problem(visit, None, &problem)
    }

    /// Ends a sign-in: a new session under a new id, and the way back.
    async fn finish(&self, visit: &Visit, pending: Pending, callback: Callback) -> Result<Response, Fault> {
        let signed_in = self.parts.client.redeem(pending.flow, callback).await?;
        let person = Person::of(&signed_in.id_claims);
        let sid = signed_in.account.session_id.as_deref();
        let group = signed_in.id_claims.issuer().zip(sid).map(|(issuer, sid)| group(issuer, sid));
        let cookie = self.sessions.begin(&visit.headers, person, signed_in.tokens, group.as_ref()).await?;
        tracing::info!(
            request = %visit.id.0,
            tenant = ?signed_in.account.tenant_id,
            object = ?signed_in.account.object_id,
            "signed in"
        );
        Ok(with_cookies(Redirect::to(&pending.return_to).into_response(), vec![cookie]))
    }
}

/// `GET /getAToken?code=…&state=…`, or with `error`.
pub(crate) async fn callback(State(app): State<Arc<App>>, visit: Visit) -> Response {
    let callback = match Callback::parse(&visit.query) {
        Ok(callback) => callback,
        Err(fault) => return unreferred(app.sign_in_failure(&visit, &fault, "/")),
    };
    let state = callback.state().map(|state| state.expose().to_owned()).unwrap_or_default();
    let Some((pending, forget)) =
        login_state::take::<Pending>(&visit.headers, &state, (app.now(), app.config.sign_in_limit))
    else {
        return unreferred(stale(&app, &visit));
    };
    let return_to = pending.return_to.clone();
    let response = match app.finish(&visit, pending, callback).await {
        Ok(response) => response,
        Err(fault) => app.sign_in_failure(&visit, &fault, &return_to),
    };
    // Used up, whatever came of it.
    unreferred(with_cookies(response, vec![forget]))
}

/// The callback's own address holds the code: it is told to nobody, not even to this site.
fn unreferred(mut response: Response) -> Response {
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// A callback that this browser did not begin, or began too long ago, or has used already.
fn stale(app: &App, visit: &Visit) -> Response {
    let cause = "The answer of the sign-in page is used up, more than ten minutes old, or belongs to another browser.";
    let step = "Start the sign-in again; it takes one click if you are still signed in at Entra ID.";
    let problem = Problem::plain(
        StatusCode::BAD_REQUEST,
        "This sign-in has expired or was begun elsewhere",
        cause,
        step,
        app.now(),
    );
    tracing::info!(request = %visit.id.0, "stale callback");
    app.problem(visit, None, &problem.action("/login", "Sign in again"))
}

fn with_cookies(mut response: Response, lines: Vec<HeaderValue>) -> Response {
    for line in lines {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    response
}
