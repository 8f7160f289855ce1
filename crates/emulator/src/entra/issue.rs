//! Tokens for a person: access token, ID token, refresh token.

use std::time::Duration;

use serde_json::{Map, Value};

use super::client::Form;
use super::grants::{Consented, REFRESH_LIFE, Refresh};
use super::scopes::{self, Scopes};
use super::token::{Ask, Reply};
use crate::directory::{App, Person};
use crate::faults::TokenKind;
use crate::refusal::Refusal;
use crate::state::State;
use crate::token::{UserGrant, client_info};

/// Tokens for a person: access, ID and refresh token.
pub(super) async fn issue(ask: Ask<'_>, consented: &Consented, nonce: Option<&str>) -> Result<Reply, Refusal> {
    let Ask { state, form, client, struck, .. } = ask;
    let person = usable_person(state, consented, client.app)?;
    // A request without scope means what was consented; one with scope may name any resource.
    let asked = form.get("scope").unwrap_or(&consented.scope);
    let mut scopes = scopes::delegated(&state.directory, asked)?;
    let first = scopes::delegated(&state.directory, &consented.scope)?;
    scopes.openid |= first.openid;
    scopes.profile |= first.profile;
    scopes.offline = first.offline;
    let grant = UserGrant {
        person,
        client: client.app,
        auth: client.auth,
        session: &consented.session,
        signed_in: consented.signed_in,
        mfa: consented.mfa,
    };
    let mut reply = access_token(ask, &grant, &scopes).await?;
    if scopes.offline {
        let refresh = new_refresh_token(state, client.app, consented);
        reply.insert("refresh_token".into(), refresh.into());
    }
    if scopes.openid {
        let life = Duration::from_secs(u64::from(state.lifetimes.id.unwrap_or(3600)));
        let claims = state.claims(life).id_token(&grant, nonce, scopes.profile, scopes.email);
        reply.insert("id_token".into(), state.sign(TokenKind::Id, claims, struck).await?.expose().into());
    }
    reply.insert("client_info".into(), client_info(person).into());
    Ok(reply)
}

pub(super) fn usable_person<'a>(state: &'a State, consented: &Consented, app: &App) -> Result<&'a Person, Refusal> {
    let person = state.directory.people.iter().find(|person| person.oid == consented.person);
    let person = person.ok_or_else(|| Refusal::bare(70000))?;
    if person.disabled {
        return Err(Refusal::new(
            50057,
            format!("The user account '{}' is disabled.", person.upn),
            "Enable the account.",
        ));
    }
    if !app.admits(person) {
        return Err(not_assigned(app, person));
    }
    Ok(person)
}

pub(super) fn not_assigned(app: &App, person: &Person) -> Refusal {
    Refusal::new(
        50105,
        format!(
            "The signed in user '{}' is not assigned to a role for the application '{}' ({}).",
            person.upn, app.client_id, app.name
        ),
        format!(
            "Assign '{}' to the enterprise application '{}', or switch its assignment requirement off.",
            person.upn, app.name
        ),
    )
}

async fn access_token(ask: Ask<'_>, grant: &UserGrant<'_>, scopes: &Scopes) -> Result<Reply, Refusal> {
    let Ask { state, form, struck, .. } = ask;
    let life = struck.life().unwrap_or_else(|| state.access_life());
    let api = scopes.target.app.and_then(|index| state.directory.apps.get(index));
    let mut claims = state.claims(life).delegated(grant, &scopes.target, api, &scopes.names);
    if let Some(capabilities) = client_capabilities(form) {
        claims.insert("xms_cc".into(), capabilities);
    }
    let token = state.sign(TokenKind::Access, claims, struck).await?;
    let mut written = scopes.written.clone();
    if written.is_empty() {
        written.clone_from(&scopes.names);
    }
    for (asked, name) in [(scopes.openid, "openid"), (scopes.profile, "profile"), (scopes.email, "email")] {
        if asked && !written.iter().any(|own| own == name) {
            written.push(name.to_owned());
        }
    }
    let mut reply = bearer(token.expose(), life);
    reply.insert("scope".into(), written.join(" ").into());
    Ok(reply)
}

pub(super) fn new_refresh_token(state: &State, app: &App, consented: &Consented) -> String {
    let life = state.lifetimes.refresh.map_or(REFRESH_LIFE, |seconds| Duration::from_secs(u64::from(seconds)));
    let token = format!("1.{}", state.random(48).expose());
    let refresh =
        Refresh { client: app.client_id, consented: consented.clone(), expires: state.now() + life, used: false };
    state.grants.lock().refresh.put(&token, refresh);
    token
}

/// What the client declares that it can do, such as `CP1` (claims challenges): the `claims` parameter's
/// `access_token.xms_cc.values` comes back as a claim.
fn client_capabilities(form: &Form) -> Option<Value> {
    let asked: Value = serde_json::from_str(form.get("claims")?).ok()?;
    let values = asked.pointer("/access_token/xms_cc/values")?.as_array()?;
    let known: Vec<Value> = values.iter().filter(|value| *value == "CP1").cloned().collect();
    (!known.is_empty()).then(|| known.into())
}

/// The members that every reply has. `expires_in` is a JSON number: the Rust SDK refuses a string. Long lives
/// come with `refresh_in`, half of them.
pub(super) fn bearer(token: &str, life: Duration) -> Reply {
    let mut reply = Map::new();
    reply.insert("token_type".into(), "Bearer".into());
    reply.insert("expires_in".into(), life.as_secs().into());
    reply.insert("ext_expires_in".into(), life.as_secs().into());
    if life >= Duration::from_secs(7200) {
        reply.insert("refresh_in".into(), (life.as_secs() / 2).into());
    }
    reply.insert("access_token".into(), token.into());
    reply
}
