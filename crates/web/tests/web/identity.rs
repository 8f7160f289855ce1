//! An Entra ID and an API in the test's hand, and the app wired to them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use entrant_confidential::{ConfidentialClient, ConfidentialConfig};
use entrant_credential::ClientAuth;
use entrant_proto::jose::SigningKey;
use entrant_proto::oauth::Authority;
use entrant_testkit::{Stage, json_reply};
use entrant_types::emulation::World;
use entrant_types::outside::{HttpError, HttpReply, HttpRequest};
use entrant_types::{Scope, Secret};
use entrant_web::app::{WebApp, WebConfig, WebParts};
use entrant_web::session::memory::MemoryStore;
use entrant_web::session::store::SessionStore;
use serde_json::{Value, json};

pub(crate) const TENANT: &str = "11111111-aaaa-4bbb-8ccc-111111111111";
pub(crate) const API: &str = "33333333-aaaa-4bbb-8ccc-333333333333";
pub(crate) const CLIENT: &str = "44444444-aaaa-4bbb-8ccc-444444444444";
pub(crate) const ALICE: &str = "55555555-aaaa-4bbb-8ccc-555555555555";
pub(crate) const BASE: &str = "https://localhost:8443";
pub(crate) const PUBLIC: &str = "http://localhost:5000";
pub(crate) const API_URL: &str = "http://localhost:5001/api/claims";
pub(crate) const SID: &str = "sid-of-alice";

/// One key for the whole test binary: making one takes up to half a second.
pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate("").unwrap().0);

type Answer = Result<HttpReply, HttpError>;

/// What the identity provider and the API will say, and what they were asked.
#[derive(Default)]
pub(crate) struct Script {
    /// The nonce of the sign-in at hand, which the ID token repeats.
    pub(crate) nonce: String,
    /// Changes of the ID token's claims.
    pub(crate) id_claims: Value,
    /// What the token endpoint says instead of tokens.
    pub(crate) token: Option<Answer>,
    /// What the API says, oldest first; then its usual answer.
    pub(crate) api: Vec<Answer>,
    /// Whether the metadata cannot be had.
    pub(crate) down: bool,
    /// Life of access tokens in seconds.
    pub(crate) life: i64,
    /// Tokens handed out so far: every one is a secret that may be nowhere.
    pub(crate) secrets: Vec<Secret>,
    /// Forms that the token endpoint got.
    pub(crate) forms: Vec<HashMap<String, String>>,
    /// Bearer tokens that the API got.
    pub(crate) bearers: Vec<String>,
}

/// The app on a stage.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) script: Arc<Mutex<Script>>,
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) router: Router,
}

impl Scene {
    /// With sessions in memory.
    pub(crate) fn new() -> Self {
        Self::built(|_, _, _| {})
    }

    /// With another configuration.
    pub(crate) fn configured(change: impl FnOnce(&mut WebConfig)) -> Self {
        Self::built(|_, config, _| change(config))
    }

    /// With another store.
    pub(crate) fn stored(store: impl FnOnce(&Stage) -> Arc<dyn SessionStore>) -> Self {
        Self::built(|stage, _, parts| parts.store = store(stage))
    }

    /// With other parts and configuration.
    pub(crate) fn built(change: impl FnOnce(&Stage, &mut WebConfig, &mut WebParts)) -> Self {
        let stage = Stage::new();
        let script = Arc::new(Mutex::new(Script { life: 3600, ..Script::default() }));
        let (clock, told) = (Arc::clone(&stage.clock), Arc::clone(&script));
        stage.http.handle(move |request| {
            let mut script = told.lock().unwrap();
            answer(&mut script, request, entrant_types::Clock::now(clock.as_ref()).secs())
        });
        let (mut config, mut parts) = app(&stage);
        change(&stage, &mut config, &mut parts);
        let store = Arc::clone(&parts.store);
        let router = WebApp::build(config, parts).unwrap().router();
        Self { stage, script, store, router }
    }

    /// Another replica: its own client, the same store and world.
    pub(crate) fn replica(&self) -> Router {
        let (config, mut parts) = app(&self.stage);
        parts.store = Arc::clone(&self.store);
        WebApp::build(config, parts).unwrap().router()
    }

    pub(crate) fn script<T>(&self, act: impl FnOnce(&mut Script) -> T) -> T {
        act(&mut self.script.lock().unwrap())
    }

    /// Every token that was handed out, and what is as good as one.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        self.script(|script| script.secrets.clone())
    }
}

fn app(stage: &Stage) -> (WebConfig, WebParts) {
    let authority = Authority::parse(BASE, TENANT).unwrap();
    let auth = ClientAuth::Secret(Secret::from("client-secret-of-the-test"));
    let client_id = CLIENT.parse().unwrap();
    let config = ConfidentialConfig::new(authority, client_id, auth, World::Emulator);
    let client = Arc::new(ConfidentialClient::new(config, stage.outside()).unwrap());
    let scope = Scope::new(format!("api://{API}/access_as_user"));
    let config = WebConfig::new(PUBLIC.parse().unwrap(), client_id, API_URL.parse().unwrap(), scope, World::Emulator);
    let store = Arc::new(MemoryStore::new(Arc::clone(&stage.clock) as _));
    (config, WebParts { client, store, assertion: None, redis: None, outside: stage.outside() })
}

fn answer(script: &mut Script, request: &HttpRequest, now: i64) -> Answer {
    let path = request.url.strip_prefix(BASE).unwrap_or(&request.url);
    if script.down && path.starts_with('/') {
        return Err(HttpError::Connect("localhost: connection refused".to_owned()));
    }
    match path.rsplit('/').next().unwrap_or_default() {
        "openid-configuration" => Ok(json_reply(200, metadata())),
        "keys" => Ok(json_reply(200, json!({ "keys": [KEY.jwk()] }))),
        "token" => token(script, request, now),
        "claims" => api(script, request),
        _ => panic!("nobody answers {}", request.url),
    }
}

fn metadata() -> Value {
    json!({
        "issuer": format!("{BASE}/{TENANT}/v2.0"),
        "authorization_endpoint": format!("http://localhost:8480/{TENANT}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{BASE}/{TENANT}/oauth2/v2.0/token"),
        "jwks_uri": format!("{BASE}/{TENANT}/discovery/v2.0/keys"),
        "end_session_endpoint": format!("http://localhost:8480/{TENANT}/oauth2/v2.0/logout"),
    })
}

fn token(script: &mut Script, request: &HttpRequest, now: i64) -> Answer {
    let form: HashMap<String, String> = form_urlencoded::parse(request.body.expose().as_bytes()).into_owned().collect();
    script.forms.push(form);
    if let Some(answer) = &script.token {
        return answer.clone();
    }
    let count = script.forms.len();
    let access = sign(&json!({
        "aud": API, "iss": format!("{BASE}/{TENANT}/v2.0"), "iat": now, "nbf": now, "exp": now + script.life,
        "azp": CLIENT, "oid": ALICE, "sub": "at-the-api", "tid": TENANT, "scp": "access_as_user", "ver": "2.0",
        "xms_emulator": true, "name": "Alice", "uti": count.to_string(),
    }));
    let mut id_claims = json!({
        "aud": CLIENT, "iss": format!("{BASE}/{TENANT}/v2.0"), "iat": now, "nbf": now, "exp": now + 3600,
        "oid": ALICE, "sub": "at-the-app", "tid": TENANT, "nonce": script.nonce, "ver": "2.0", "xms_emulator": true,
        "name": "Alice <b>Example</b>", "preferred_username": "alice@contoso.example", "sid": SID, "roles": ["Admin"],
    });
    if let (Value::Object(claims), Value::Object(changes)) = (&mut id_claims, script.id_claims.clone()) {
        claims.extend(changes);
    }
    let id_token = sign(&id_claims);
    let refresh = format!("refresh-token-number-{count}-of-the-test");
    script.secrets.extend([&access, &id_token, &refresh].map(|text| Secret::new(text.clone())));
    Ok(json_reply(
        200,
        json!({
            "token_type": "Bearer", "scope": format!("api://{API}/access_as_user"), "expires_in": script.life,
            "access_token": access, "id_token": id_token, "refresh_token": refresh,
        }),
    ))
}

fn api(script: &mut Script, request: &HttpRequest) -> Answer {
    let bearer = request.headers.iter().find(|(name, _)| name == "authorization").map(|(_, value)| value.clone());
    script.bearers.push(bearer.unwrap_or_default());
    if script.api.is_empty() {
        let claims = json!({"scp": "access_as_user", "name": "Alice <i>API</i>", "exp": 1_767_229_200});
        return Ok(json_reply(200, json!({"message": "The API accepted the token.", "claims": claims})));
    }
    script.api.remove(0)
}

pub(crate) fn sign(claims: &Value) -> String {
    KEY.sign(&serde_json::Map::new(), claims).unwrap().expose().to_owned()
}
