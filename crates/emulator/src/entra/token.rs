//! The token endpoint: authorization code, refresh token, client credentials.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use entrant_proto::jose::to_base64url;
use entrant_types::TenantId;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::client::{Form, authenticate};
use super::grants::{Client, Code, Consented, REFRESH_LIFE, Refresh};
use super::scopes::{self, Scopes};
use crate::directory::{App, Person, TenantChoice};
use crate::journal::{Entry, TokenView};
use crate::refusal::{Refusal, Trace};
use crate::seed::RefreshReuse;
use crate::state::State;
use crate::token::{UserGrant, client_info};

/// A granted request: the reply's members.
pub(super) type Reply = Map<String, Value>;

/// `POST /{tenant}/oauth2/v2.0/token`
pub(super) async fn token(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut form = Form::parse(&body);
    basic_credentials(&headers, &mut form);
    // msal-node sends the id in the URL, others in a header.
    let correlation = headers.get("client-request-id").and_then(|value| value.to_str().ok());
    let trace = state.trace(correlation.or_else(|| query.get("client-request-id").map(String::as_str)));
    let outcome = grant(&state, &tenant, &form).await;
    record(&state, &form, &trace, &outcome);
    match outcome {
        Ok(reply) => Json(reply).into_response(),
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.shape.status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, Json(refusal.document(&trace))).into_response()
        }
    }
}

async fn grant(state: &State, tenant: &str, form: &Form) -> Result<Reply, Refusal> {
    let choice = state.directory.tenant(tenant).ok_or_else(|| {
        Refusal::new(
            90002,
            format!("Tenant '{tenant}' not found."),
            "Set TENANT_ID to the tenant id or domain that the console shows.",
        )
    })?;
    let kind = form.need("grant_type")?;
    let client = authenticate(state, form).await?;
    if let TenantChoice::One(tenant) = choice
        && tenant.id != client.app.tenant
        && !client.app.multi_tenant
    {
        return Err(Refusal::new(
            700_016,
            format!(
                "Application with identifier '{}' was not found in the directory '{}'.",
                client.app.client_id, tenant.domain
            ),
            "Use the app's own tenant, or mark the app multi_tenant.",
        ));
    }
    match kind {
        "authorization_code" => authorization_code(state, form, client).await,
        "refresh_token" => refresh_token(state, form, client).await,
        "client_credentials" => client_credentials(state, form, client, choice).await,
        other => Err(Refusal::new(
            70003,
            format!("The app requested an unsupported grant type '{other}'."),
            "Use authorization_code, refresh_token, client_credentials, the on-behalf-of or the device code grant.",
        )),
    }
}

/// `client_secret_basic` (RFC 6749 §2.3.1): the two halves are form-encoded.
fn basic_credentials(headers: &HeaderMap, form: &mut Form) {
    use base64::Engine as _;
    let Some(text) = headers.get("authorization").and_then(|value| value.to_str().ok()) else { return };
    let Some(encoded) = text.strip_prefix("Basic ") else { return };
    let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(encoded) else { return };
    let Ok(pair) = String::from_utf8(bytes) else { return };
    let Some((id, secret)) = pair.split_once(':') else { return };
    let decode =
        |text: &str| form_urlencoded::parse(format!("v={text}").as_bytes()).next().map(|(_, v)| v.into_owned());
    if let (Some(id), Some(secret)) = (decode(id), decode(secret)) {
        form.set("client_id", &id);
        form.set("client_secret", &secret);
    }
}

async fn authorization_code(state: &State, form: &Form, client: Client<'_>) -> Result<Reply, Refusal> {
    let presented = form.need("code")?;
    let redirect_uri = form.need("redirect_uri")?;
    let code = redeem(state, presented, redirect_uri, form.get("code_verifier"), client.app)?;
    issue(state, form, client, &code.consented, code.nonce.as_deref()).await
}

/// Takes the code if everything that it is bound to fits. A second redemption ends the whole family.
fn redeem(
    state: &State,
    presented: &str,
    redirect_uri: &str,
    verifier: Option<&str>,
    app: &App,
) -> Result<Code, Refusal> {
    let now = state.now();
    let mut grants = state.grants.lock();
    let unknown = || {
        Refusal::new(
            70000,
            "The provided value for the 'code' parameter is not valid.",
            "Start the sign-in again; the emulator forgets codes when it stops.",
        )
    };
    let code = grants.codes.get_mut(presented).ok_or_else(unknown)?;
    if code.redeemed {
        let family = code.consented.family;
        grants.revoke(family, 50173);
        return Err(Refusal::new(
            54005,
            "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.",
            "Redeem a code once only; do not reload the callback page. The tokens made from it were revoked.",
        ));
    }
    if code.expires <= now {
        return Err(Refusal::new(
            70008,
            format!("The authorization code expired at {}.", code.expires),
            "Redeem the code within ten minutes; start the sign-in again.",
        ));
    }
    if code.client != app.client_id {
        return Err(Refusal::new(
            70000,
            format!("The authorization code was issued to another client than '{}'.", app.client_id),
            "Redeem the code with the client id that asked for it.",
        ));
    }
    if code.redirect_uri != redirect_uri {
        return Err(Refusal::new(
            50011,
            format!(
                "The redirect URI '{redirect_uri}' differs from '{}' of the authorization request.",
                code.redirect_uri
            ),
            "Send the same redirect_uri to the authorization and the token endpoint.",
        ));
    }
    check_verifier(code, verifier)?;
    code.redeemed = true;
    Ok(code.clone())
}

fn check_verifier(code: &Code, verifier: Option<&str>) -> Result<(), Refusal> {
    let refuse = |why: &str| {
        Refusal::new(
            501_481,
            format!(
                "The Code_Verifier does not match the code_challenge supplied in the authorization request: {why}."
            ),
            "Keep the verifier of the same sign-in; two tabs must not share one.",
        )
    };
    match (&code.challenge, verifier) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(refuse("there was no challenge")),
        (Some(_), None) => Err(refuse("there is no verifier")),
        (Some((challenge, hashed)), Some(verifier)) => {
            let computed =
                if *hashed { to_base64url(digest(&SHA256, verifier.as_bytes()).as_ref()) } else { verifier.to_owned() };
            let same: bool = computed.as_bytes().ct_eq(challenge.as_bytes()).into();
            if same { Ok(()) } else { Err(refuse("it is another one")) }
        }
    }
}

async fn refresh_token(state: &State, form: &Form, client: Client<'_>) -> Result<Reply, Refusal> {
    let consented = use_refresh_token(state, form.need("refresh_token")?, client.app)?;
    issue(state, form, client, &consented, None).await
}

fn use_refresh_token(state: &State, presented: &str, app: &App) -> Result<Consented, Refusal> {
    let now = state.now();
    let mut grants = state.grants.lock();
    let refuse = |number: u32, text: &str, fix: &str| Err(Refusal::new(number, text, fix));
    let Some(refresh) = grants.refresh.get(presented).cloned() else {
        return refuse(
            70000,
            "The refresh token is not known.",
            "Sign in again; the emulator forgets tokens when it stops.",
        );
    };
    if let Some(number) = grants.revoked(refresh.consented.family) {
        return refuse(number, "The grant was revoked: a fresh sign-in is needed.", "Sign in again.");
    }
    if refresh.client != app.client_id {
        return refuse(
            70000,
            "The refresh token was issued to another client.",
            "Use the client id that signed the user in.",
        );
    }
    if refresh.expires <= now {
        return refuse(700_082, "The refresh token has expired due to inactivity.", "Sign in again.");
    }
    if refresh.used && state.sign_in.refresh_reuse == RefreshReuse::RevokeFamily {
        grants.revoke(refresh.consented.family, 50173);
        return refuse(
            70000,
            "The refresh token was already used; its whole family is revoked.",
            "Replace the stored refresh token by the new one of every reply.",
        );
    }
    if let Some(kept) = grants.refresh.get_mut(presented) {
        kept.used = true;
    }
    Ok(refresh.consented)
}

/// Tokens for a person: access, ID and refresh token.
async fn issue(
    state: &State,
    form: &Form,
    client: Client<'_>,
    consented: &Consented,
    nonce: Option<&str>,
) -> Result<Reply, Refusal> {
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
    let mut reply = access_token(state, &grant, &scopes).await?;
    if scopes.offline {
        let refresh = new_refresh_token(state, client.app, consented);
        reply.insert("refresh_token".into(), refresh.into());
    }
    if scopes.openid {
        let life = Duration::from_secs(u64::from(state.lifetimes.id.unwrap_or(3600)));
        let claims = state.claims(life).id_token(&grant, nonce, scopes.profile, scopes.email);
        reply.insert("id_token".into(), state.sign(&claims).await?.expose().into());
    }
    reply.insert("client_info".into(), client_info(person).into());
    Ok(reply)
}

fn usable_person<'a>(state: &'a State, consented: &Consented, app: &App) -> Result<&'a Person, Refusal> {
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

async fn access_token(state: &State, grant: &UserGrant<'_>, scopes: &Scopes) -> Result<Reply, Refusal> {
    let life = state.access_life();
    let api = scopes.target.app.and_then(|index| state.directory.apps.get(index));
    let claims = state.claims(life).delegated(grant, &scopes.target, api, &scopes.names);
    let token = state.sign(&claims).await?;
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

fn new_refresh_token(state: &State, app: &App, consented: &Consented) -> String {
    let life = state.lifetimes.refresh.map_or(REFRESH_LIFE, |seconds| Duration::from_secs(u64::from(seconds)));
    let token = format!("1.{}", state.random(48).expose());
    let refresh =
        Refresh { client: app.client_id, consented: consented.clone(), expires: state.now() + life, used: false };
    state.grants.lock().refresh.put(&token, refresh);
    token
}

async fn client_credentials(
    state: &State,
    form: &Form,
    client: Client<'_>,
    choice: TenantChoice<'_>,
) -> Result<Reply, Refusal> {
    let target = scopes::app_only(&state.directory, form.need("scope")?)?;
    let tenant: TenantId = match choice {
        TenantChoice::One(tenant) => tenant.id,
        TenantChoice::Any => client.app.tenant,
    };
    let api = target.app.and_then(|index| state.directory.apps.get(index));
    let roles: Vec<String> = api.map_or_else(Vec::new, |api| {
        client.app.permissions.iter().filter(|(name, _)| *name == api.name).map(|(_, role)| role.clone()).collect()
    });
    if let Some(api) = api
        && api.assignment_required
        && roles.is_empty()
        && api.client_id != client.app.client_id
    {
        return Err(Refusal::new(
            501_051,
            format!(
                "Application '{}' ({}) is not assigned to a role for the application '{}' ({}).",
                client.app.client_id, client.app.name, api.client_id, api.name
            ),
            format!("Grant '{}' an application permission of '{}'.", client.app.name, api.name),
        ));
    }
    let life = state.access_life();
    let claims = state.claims(life).app_only(client.app, tenant, &target, client.auth, &roles);
    let token = state.sign(&claims).await?;
    Ok(bearer(token.expose(), life))
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

fn record(state: &State, form: &Form, trace: &Trace, outcome: &Result<Reply, Refusal>) {
    let client = form.get("client_id").unwrap_or("?");
    let from =
        state.directory.app_by_client_id(client).map_or_else(|| crate::refusal::plain(client), |app| app.name.clone());
    let grant = form.get("grant_type").unwrap_or("?");
    let mut tokens: Vec<TokenView> =
        form.get("client_assertion").map(|token| TokenView::of("client assertion", token)).into_iter().collect();
    let mut entry = Entry {
        number: 0,
        at: trace.at,
        from,
        to: "Entra".into(),
        what: format!("token: {}", crate::refusal::plain(grant)),
        status: 200,
        code: None,
        explanation: None,
        trace_id: Some(trace.trace_id.to_string()),
        millis: None,
        tokens: Vec::new(),
    };
    match outcome {
        Ok(reply) => {
            for (member, name) in
                [("access_token", "access token"), ("id_token", "ID token"), ("refresh_token", "refresh token")]
            {
                tokens.extend(reply.get(member).and_then(Value::as_str).map(|token| TokenView::of(name, token)));
            }
            tracing::info!(client = %entry.from, grant, trace_id = %trace.trace_id, "token issued");
        }
        Err(refusal) => {
            entry.status = refusal.shape.status;
            entry.code = Some(format!("AADSTS{}", refusal.number()));
            entry.explanation = Some(format!("{} {}", refusal.text, refusal.fix));
            let code = refusal.number();
            tracing::warn!(client = %entry.from, grant, code, trace_id = %trace.trace_id, "refused with AADSTS{code}: {} Fix: {}", refusal.text, refusal.fix);
        }
    }
    entry.tokens = tokens;
    state.journal.add(entry);
}

/// The members of an error for a redirect.
pub(super) fn error_parameters(refusal: &Refusal, trace: &Trace) -> Vec<(String, String)> {
    vec![("error".into(), refusal.shape.error.into()), ("error_description".into(), refusal.description(trace))]
}
