//! `/call-api`: the person's token, the API's answer, and where the time went.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use entrant_confidential::claims::insufficient_claims;
use entrant_confidential::{Acquired, Interaction, Origin, SilentError, SilentRequest};
use entrant_proto::oauth::error::{quoted, transport_fault};
use entrant_types::outside::{HttpReply, HttpRequest};
use entrant_types::{AccessToken, Code, Fault, Retry, Whose};
use http::StatusCode;
use serde_json::{Map, Value};

use super::App;
use super::visit::Visit;
use crate::page::chain::{claim_rows, fingerprint};
use crate::page::moment::Moment;
use crate::page::problem::Problem;
use crate::page::shell::{Shell, respond};
use crate::session::partition::SessionTokens;
use crate::session::sessions::Session;

/// Set by the sign-in that a claims challenge led to: a second challenge is then shown, not followed in a circle.
const AFTER_STEP_UP: &str = "/call-api?after=step-up";
/// What an API answers beyond its claims is not shown.
const MAX_REPLY_BYTES: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "call_api.html")]
struct CallApi<'a> {
    shell: Shell,
    message: String,
    steps: Vec<Step>,
    api: &'a str,
    fingerprint: String,
    expires: Moment,
    claims: Vec<(String, String)>,
}

/// One step of the call, for the table.
#[derive(Debug)]
struct Step {
    name: &'static str,
    what: String,
    time: String,
    share: u32,
    span: Duration,
}

impl Step {
    fn new(name: &'static str, what: impl Into<String>, span: Duration) -> Self {
        Self { name, what: what.into(), time: String::new(), share: 0, span }
    }
}

/// Why there is no page of claims.
enum Stop {
    /// The person has to take part.
    Interaction(Box<Interaction>),
    /// The session is over.
    SignedOut,
    /// A failure to show.
    Fault(Box<Fault>),
}

impl From<SilentError> for Stop {
    fn from(error: SilentError) -> Self {
        match error {
            SilentError::Interaction(interaction) => Self::Interaction(interaction),
            SilentError::SignedOut(_) => Self::SignedOut,
            SilentError::Refused(fault) | SilentError::Unavailable(fault) => Self::Fault(Box::new(fault)),
        }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

/// `GET /call-api`.
pub(crate) async fn call_api(State(app): State<Arc<App>>, visit: Visit) -> Response {
    let begun = app.now();
    let session = match app.sessions.find(&visit.headers).await {
        Ok(Some(session)) => session,
        Ok(None) => return Redirect::to("/login?return=%2Fcall-api").into_response(),
        Err(fault) => return app.failure(&visit, None, &fault),
    };
    let mut steps = vec![Step::new("Session", "loaded and opened", begun.until(app.now()))];
    match app.ask(&session, &mut steps).await {
        Ok((token, answer)) => app.answer(&visit, &session, steps, &token, &answer).await,
        Err(Stop::SignedOut) => Redirect::to("/login?return=%2Fcall-api").into_response(),
        Err(Stop::Interaction(interaction)) => app.step_up(&visit, &session, *interaction).await,
        Err(Stop::Fault(fault)) => app.call_failure(&visit, &session, &fault),
    }
}

impl App {
    /// A token of the session's person for the API, silently.
    pub(super) async fn api_token(&self, session: &Session, claims: Option<&str>) -> Result<Acquired, SilentError> {
        let tokens = SessionTokens::new(&self.sessions, session);
        let request = SilentRequest::new([self.config.api_scope.clone()]);
        let request = match claims {
            Some(claims) => request.with_claims(claims),
            None => request,
        };
        self.parts.client.acquire_silent(&tokens, request).await
    }

    /// Gets a token and calls; answers a claims challenge once with a token that meets it.
    async fn ask(&self, session: &Session, steps: &mut Vec<Step>) -> Result<(AccessToken, Map<String, Value>), Stop> {
        let mut challenge: Option<String> = None;
        loop {
            let begun = self.now();
            let acquired = self.api_token(session, challenge.as_deref()).await?;
            let (name, what) = match acquired.origin {
                Origin::Cache => ("Cache", "access token found; no request to Entra ID"),
                Origin::Refreshed => ("Entra ID", "access token renewed with the refresh token"),
            };
            steps.push(Step::new(name, what, begun.until(self.now())));
            let begun = self.now();
            let reply = self.send(&acquired.token).await?;
            let demanded = demanded_claims(&reply);
            let what = match &demanded {
                Some(_) => "HTTP 401: asks for another proof (claims challenge)".to_owned(),
                None => format!("HTTP {}", reply.status),
            };
            steps.push(Step::new("API", what, begun.until(self.now())));
            match demanded {
                Some(claims) if challenge.is_none() => challenge = Some(claims),
                Some(claims) => return Err(still_demanded(&self.config.api_scope, claims)),
                None => return Ok((acquired.token, body(&reply, self.config.api_url.as_str())?)),
            }
        }
    }

    async fn send(&self, token: &AccessToken) -> Result<HttpReply, Fault> {
        let url = self.config.api_url.as_str();
        let mut request = HttpRequest::get(url)
            .header("authorization", format!("Bearer {}", token.secret.expose()))
            .header("accept", "application/json");
        request.max_reply_bytes = MAX_REPLY_BYTES;
        self.parts.outside.http.send(request).await.map_err(|error| transport_fault(&format!("the API {url}"), &error))
    }

    async fn answer(
        &self,
        visit: &Visit,
        session: &Session,
        mut steps: Vec<Step>,
        token: &AccessToken,
        answer: &Map<String, Value>,
    ) -> Response {
        measure(&mut steps, self.config.time_lapse.unwrap_or(1));
        let message = answer.get("message").and_then(Value::as_str).unwrap_or("The API answered without a message.");
        let claims = answer.get("claims").and_then(Value::as_object).map(claim_rows).unwrap_or_default();
        let page = CallApi {
            shell: self.shell("The API answered", visit, Some(session)),
            message: quoted(message),
            steps,
            api: self.config.api_url.as_str(),
            fingerprint: fingerprint(&token.secret),
            expires: Moment::new(token.lifetime.expires, self.now()),
            claims,
        };
        respond(StatusCode::OK, &page, self.end_session_origin().await.as_deref())
    }

    /// Sends the person to sign in with what is asked for; a second time in a row is shown as a failure.
    async fn step_up(&self, visit: &Visit, session: &Session, interaction: Interaction) -> Response {
        tracing::info!(request = %visit.id.0, fault = %interaction.fault, "the person has to take part");
        if visit.parameter("after").is_some() {
            return self.call_failure(visit, session, &interaction.fault);
        }
        if is_the_end(&interaction)
            && let Err(fault) = self.sessions.end(session).await
        {
            return self.failure(visit, None, &fault);
        }
        self.send_to_sign_in(visit, interaction.scopes, interaction.claims, AFTER_STEP_UP).await
    }

    fn call_failure(&self, visit: &Visit, session: &Session, fault: &Fault) -> Response {
        tracing::warn!(request = %visit.id.0, %fault, trace_id = fault.trace.trace_id, "the API call failed");
        let mut problem = Problem::of(fault, self.now()).action("/call-api", "Try again");
        if fault.is("api_forbidden") {
            problem = problem.status(StatusCode::FORBIDDEN);
        }
        self.problem(visit, Some(session), &problem)
    }
}

/// Whether Entra refused the refresh token itself, and not only what it was used for: account disabled, sign-in
/// revoked or grown old. The session is then worth no more than that.
pub(super) fn is_the_end(interaction: &Interaction) -> bool {
    let refused =
        interaction.fault.codes.iter().any(|code| matches!(code, Code::OAuth(name) if name == "invalid_grant"));
    refused && interaction.claims.is_none() && !interaction.consent
}

/// The claims that a 401 demands, if that is what it says.
fn demanded_claims(reply: &HttpReply) -> Option<String> {
    if reply.status != 401 {
        return None;
    }
    reply.header("www-authenticate").and_then(insufficient_claims)
}

/// A token made to meet the challenge did not: only the person can.
fn still_demanded(scope: &entrant_types::Scope, claims: String) -> Stop {
    let fault = Fault::new(
        Whose::Caller,
        "The API asks for a proof that only a new sign-in can give.",
        "Sign in again; if that does not help, ask who runs the API which condition it sets.",
    )
    .retry(Retry::Never)
    .code(Code::Entrant("interaction_required"));
    Stop::Interaction(Box::new(Interaction {
        scopes: vec![scope.clone()],
        claims: Some(claims),
        consent: false,
        fault,
    }))
}

/// The JSON object of a good answer; a refusal as a fault in the API's own words.
fn body(reply: &HttpReply, url: &str) -> Result<Map<String, Value>, Fault> {
    let parsed = serde_json::from_slice::<Map<String, Value>>(&reply.body).unwrap_or_default();
    let said = |name: &str| parsed.get(name).and_then(Value::as_str).map(quoted).filter(|text| !text.is_empty());
    let refusal = |whose, name, fix: &str| {
        let words = said("message").map(|words| format!(" It says: {words}")).unwrap_or_default();
        let what = format!("The API {url} answered HTTP {}.{words}", reply.status);
        let fix = said("fix").unwrap_or_else(|| fix.to_owned());
        Fault::new(whose, what, fix).retry(Retry::Whenever).code(Code::Http(reply.status)).code(Code::Entrant(name))
    };
    match reply.status {
        200..=299 if !parsed.is_empty() => Ok(parsed),
        200..=299 => {
            Err(refusal(Whose::Provider, "api_reply", "Check that API_ENDPOINT is the address of the API's claims."))
        }
        401 => {
            let fix = "Compare the API's accepted audience and issuer with the scope that this app asks for.";
            Err(refusal(Whose::Configuration, "api_unauthorized", fix).retry(Retry::Never))
        }
        403 => {
            let fix = "Grant this app the API's permission, or assign yourself the role that it asks for.";
            Err(refusal(Whose::Configuration, "api_forbidden", fix).retry(Retry::Never))
        }
        404 => Err(refusal(
            Whose::Configuration,
            "api_not_found",
            "Check API_ENDPOINT: it is the full address, path included.",
        )),
        _ => Err(refusal(Whose::Provider, "api_failed", "Try again; if it stays so, look at the API's own log.")),
    }
}

/// Writes each step's time in words and as a share of the whole.
fn measure(steps: &mut [Step], rate: u32) {
    let all: Duration = steps.iter().map(|step| step.span).sum();
    for step in steps {
        let span = step.span / rate.max(1);
        step.time =
            if span < Duration::from_millis(1) { "< 1 ms".to_owned() } else { format!("{} ms", span.as_millis()) };
        let share = step.span.as_millis() * 1000 / all.as_millis().max(1);
        step.share = u32::try_from(share).unwrap_or(1000);
    }
}
