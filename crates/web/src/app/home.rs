//! `/`: the one button, or who is signed in and the chain behind it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use entrant_confidential::{AccountTokens, Acquired, Origin, SilentError, due_at};
use entrant_redis::Status;
use entrant_types::{Fault, Timestamp};
use http::StatusCode;

use super::App;
use super::call_api::is_the_end;
use super::visit::Visit;
use crate::page::chain::{self, Link, Shown, State as Standing};
use crate::page::moment::Moment;
use crate::page::problem::Problem;
use crate::page::shell::{Shell, respond};
use crate::page::timeline::{Life, TimeLine};
use crate::session::record::Person;
use crate::session::sessions::Session;

#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOut<'a> {
    shell: Shell,
    sign_in: &'a str,
    secretless: bool,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    shell: Shell,
    person: &'a Person,
    since: Moment,
    ends: Moment,
    idle_minutes: u64,
    links: Vec<Link>,
    lines: Option<TimeLine>,
    claims: Vec<(String, String)>,
}

/// `GET /`.
pub(crate) async fn home(State(app): State<Arc<App>>, visit: Visit) -> Response {
    match app.sessions.find(&visit.headers).await {
        Ok(None) => {
            let page = SignedOut {
                shell: app.shell("Sign in", &visit, None),
                sign_in: "/login",
                secretless: app.parts.assertion.is_some(),
            };
            respond(StatusCode::OK, &page, None)
        }
        Ok(Some(session)) => signed_in(&app, &visit, &session).await,
        Err(fault) => app.failure(&visit, None, &fault),
    }
}

/// Entra refused to go on: the session ends here too, and says why.
async fn ended(app: &App, visit: &Visit, session: &Session, fault: &Fault) -> Response {
    if let Err(fault) = app.sessions.end(session).await {
        return app.failure(visit, None, &fault);
    }
    tracing::info!(request = %visit.id.0, %fault, "Entra ended the session");
    let problem = Problem::of(fault, app.now()).status(StatusCode::FORBIDDEN).action("/login", "Sign in again");
    app.problem(visit, None, &problem)
}

async fn signed_in(app: &App, visit: &Visit, session: &Session) -> Response {
    let (mut links, mut lives) = (Vec::new(), Vec::new());
    let acquired = app.api_token(session, None).await;
    if let Err(SilentError::Interaction(interaction)) = &acquired
        && is_the_end(interaction)
    {
        return ended(app, visit, session, &interaction.fault).await;
    }
    let (tokens_link, tokens_lives, accepted) = user_tokens(app, session, acquired).await;
    // After the tokens: the time must not lie before what was just received.
    let now = app.now();
    let client_id = app.config.client_id.to_string();
    let credential = app.config.federated_credential.as_deref();
    let (proof, proof_life) =
        chain::assertion_links(app.parts.assertion.as_ref(), credential, &client_id, Some(accepted), now);
    links.extend(proof);
    links.push(tokens_link);
    lives.extend(proof_life);
    lives.extend(tokens_lives);
    let status = app.parts.redis.as_ref().map(entrant_redis::ManagedConnection::status);
    let (redis_link, redis_life) = redis(status, app.config.redis_backend.clone(), now);
    links.push(redis_link);
    lives.extend(redis_life);
    let record = session.record();
    let mut shell = app.shell(record.person.name.clone(), visit, Some(session));
    // About every two minutes of the faster time.
    shell.refresh = shell.time_lapse.map(|rate| (120 / rate).clamp(1, 60));
    let page = Home {
        shell,
        person: &record.person,
        since: Moment::new(record.signed_in, now),
        ends: Moment::new(app.sessions.ends(record).1, now),
        idle_minutes: app.sessions.limits().idle.as_secs() / 60,
        links,
        lines: TimeLine::draw(&lives, now),
        claims: chain::claim_rows(&record.person.claims),
    };
    respond(StatusCode::OK, &page, app.end_session_origin().await.as_deref())
}

/// The link of the person's tokens, their lives, and when Entra last took the app's proof for them.
async fn user_tokens(
    app: &App,
    session: &Session,
    acquired: Result<Acquired, SilentError>,
) -> (Link, Vec<Life>, Timestamp) {
    let now = app.now();
    // A renewal of just now is in the store, not in what this request loaded.
    let renewed = match &acquired {
        Ok(acquired) if acquired.origin != Origin::Cache => app.sessions.tokens(session).await.ok().flatten(),
        _ => None,
    };
    let tokens = renewed.as_ref().map_or(&session.record().tokens, |(tokens, _)| tokens);
    let accepted =
        tokens.lifetimes().map(|(_, lifetime)| lifetime.received).max().unwrap_or(session.record().signed_in);
    let link =
        Link::new("Your tokens", Standing::Holds, "Entra ID signed you in and gave this app tokens to act for you.");
    let link = match acquired {
        Ok(acquired) => {
            let origin = match acquired.origin {
                Origin::Cache => "cache hit: no request to Entra ID",
                Origin::Refreshed => "renewed at Entra ID just now",
            };
            link.code("For", Some(app.config.api_scope.to_string()))
                .text("Access token", Some(origin.to_owned()))
                .at("Ends", Some(acquired.token.lifetime.expires), now)
                .code("Fingerprint", Some(chain::fingerprint(&acquired.token.secret)))
                .fault(acquired.renewal_failed.map(Into::into))
        }
        Err(error) => Link { state: Standing::Trouble, ..link }.fault(Some(error.into())),
    };
    let refresh = if tokens.can_refresh() { "held: renewals need no new sign-in" } else { "none: you sign in again" };
    let link = link.text("Refresh token", Some(refresh.to_owned()));
    (link, lives(tokens), accepted)
}

fn lives(tokens: &AccountTokens) -> Vec<Life> {
    let can_refresh = tokens.can_refresh();
    tokens
        .lifetimes()
        .map(|(resource, lifetime)| Life {
            name: format!("Your access token for {resource}"),
            lifetime,
            next: can_refresh.then(|| due_at(&lifetime)),
            colour: 2,
        })
        .collect()
}

fn redis(status: Option<Status>, backend: Option<String>, now: Timestamp) -> (Link, Option<Life>) {
    let Some(status) = status else {
        let sentence = "Sessions are kept in this process's memory: they end with it.";
        return (Link::new("Session store", Standing::Holds, sentence), None);
    };
    let (state, sentence) = match status.state {
        entrant_redis::State::Ready => (
            Standing::Holds,
            "Sessions lie sealed in Redis. The connection logs in with a token and is authenticated again before it ends.",
        ),
        entrant_redis::State::Connecting => (Standing::Waiting, "The connection is being made."),
        entrant_redis::State::Down => (Standing::Trouble, "The connection is down; the next attempt comes by itself."),
    };
    let life = status.last_auth.zip(status.token_expires).map(|(received, expires)| Life {
        name: "Redis connection's token".to_owned(),
        lifetime: entrant_types::Lifetime { received, refresh_at: None, expires },
        next: status.next_refresh,
        colour: 3,
    });
    let link = Link::new("Redis connection", state, sentence)
        .code("Server", Some(status.server))
        .text("Behind it", backend)
        .code("User name", status.object_id.map(|id| format!("{id} (the identity's object id)")))
        .at("Token ends", status.token_expires, now)
        .at("Next refresh", status.next_refresh, now)
        .text("Re-AUTH", Some(chain::times(status.reauths)))
        .at("Connected since", status.connected_since, now)
        .fault(status.last_fault);
    (link, life)
}
