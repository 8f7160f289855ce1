//! Device code: sign-in on another device (RFC 8628).

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Form as AxumForm, Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use entrant_types::{ClientId, Timestamp};
use serde_json::json;

use super::authorize::Parameters;
use super::client::{Form, identify};
use super::grants::{Client, Consented};
use super::issue::{issue, not_assigned};
use super::token::{Ask, Reply, at_home, unknown_tenant};
use crate::pages;
use crate::refusal::Refusal;
use crate::state::State;
use crate::token::AppAuth;

/// Entra's values (`v2-oauth2-device-code.md`).
const LIFE: Duration = Duration::from_secs(900);
const INTERVAL: u64 = 5;

/// A sign-in that waits for its person.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    client: ClientId,
    user_code: String,
    scope: String,
    expires: Timestamp,
    answer: Option<Answer>,
}

#[derive(Clone, Debug)]
enum Answer {
    Accepted(Box<Consented>),
    Declined,
}

/// `POST /{tenant}/oauth2/v2.0/devicecode`
pub(super) async fn begin(Shared(state): Shared<Arc<State>>, Path(tenant): Path<String>, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let outcome = (|| {
        let choice = state.directory.tenant(&tenant).ok_or_else(|| unknown_tenant(&tenant))?;
        let app = identify(&state, form.need("client_id")?)?;
        at_home(&Client { app, auth: AppAuth::None }, choice)?;
        Ok((app.client_id, form.need("scope")?.to_owned()))
    })();
    let (client, scope) = match outcome {
        Ok(parts) => parts,
        Err(refusal) => {
            let refusal: Refusal = refusal;
            return (StatusCode::BAD_REQUEST, Json(refusal.document(&state.trace(None)))).into_response();
        }
    };
    let device_code = state.random(48);
    let user_code = user_code(&state);
    let waiting = Waiting { client, user_code: user_code.clone(), scope, expires: state.now() + LIFE, answer: None };
    state.grants.lock().devices.put(device_code.expose(), waiting);
    let uri = format!("{}/common/oauth2/deviceauth", state.origins.plain);
    Json(json!({
        "user_code": user_code,
        "device_code": device_code.expose(),
        "verification_uri": uri,
        "verification_uri_complete": format!("{uri}?user_code={user_code}"),
        "expires_in": LIFE.as_secs(),
        "interval": INTERVAL,
        "message": format!("To sign in, open {uri} in a browser and enter the code {user_code}."),
    }))
    .into_response()
}

/// Nine letters that cannot be misread for one another.
fn user_code(state: &State) -> String {
    const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
    let mut bytes = [0_u8; 9];
    state.entropy.fill(&mut bytes);
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

/// `GET /common/oauth2/deviceauth`
pub(super) async fn ask(Shared(state): Shared<Arc<State>>, Query(parameters): Query<Parameters>) -> Response {
    pages::device(&state, parameters.get("user_code").map(String::as_str), None)
}

/// `POST /common/oauth2/deviceauth`
pub(super) async fn answer(Shared(state): Shared<Arc<State>>, AxumForm(fields): AxumForm<Parameters>) -> Response {
    let typed = fields.get("user_code").map_or("", String::as_str).trim().to_ascii_uppercase();
    let person = fields.get("user").and_then(|user| state.directory.person(user));
    let now = state.now();
    let mut grants = state.grants.lock();
    let family = grants.new_family();
    let Some(waiting) = grants.devices.values_mut().find(|waiting| waiting.user_code == typed && waiting.expires > now)
    else {
        drop(grants);
        return pages::device(&state, None, Some("That code is not known, or it has expired."));
    };
    waiting.answer = match person {
        Some(person) => Some(Answer::Accepted(Box::new(Consented {
            person: person.oid,
            scope: waiting.scope.clone(),
            session: typed,
            signed_in: now,
            mfa: person.mfa,
            family,
        }))),
        None => Some(Answer::Declined),
    };
    drop(grants);
    pages::device(&state, None, Some("Done. Go back to the other device."))
}

/// The device asks whether its person has finished.
pub(super) async fn poll(ask: Ask<'_>) -> Result<Reply, Refusal> {
    let presented = ask.form.get("device_code").map_or_else(|| ask.form.need("code"), Ok)?;
    let consented = finished(ask, presented)?;
    let person = ask.state.directory.people.iter().find(|person| person.oid == consented.person);
    if let Some(person) = person.filter(|person| !ask.client.app.admits(person)) {
        return Err(not_assigned(ask.client.app, person));
    }
    issue(ask, &consented, None).await
}

fn finished(ask: Ask<'_>, presented: &str) -> Result<Consented, Refusal> {
    let mut grants = ask.state.grants.lock();
    let fix = "Start the device sign-in again.";
    let Some(waiting) = grants.devices.get(presented).cloned() else {
        return Err(Refusal::new(70018, "The device code is not known or was used.", fix));
    };
    if waiting.client != ask.client.app.client_id {
        return Err(Refusal::new(70018, "The device code belongs to another client.", fix));
    }
    if waiting.expires <= ask.state.now() {
        return Err(Refusal::new(70019, "The device code has expired.", fix));
    }
    match waiting.answer {
        None => Err(Refusal::new(70016, "The user has not finished signing in.", "Ask again after the interval.")),
        Some(Answer::Declined) => {
            let mut refusal = Refusal::new(65004, "The user declined.", fix);
            refusal.shape.error = "authorization_declined";
            Err(refusal)
        }
        Some(Answer::Accepted(consented)) => {
            grants.devices.take(presented);
            Ok(*consented)
        }
    }
}
