//! An Entra ID in the test's hand: metadata, keys, sign-in page, token endpoint and identity endpoint.
#![expect(dead_code, reason = "every test file uses its own part of this")]

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use entrant_confidential::{Callback, ConfidentialClient, ConfidentialConfig, SignInFlow, SignInRequest, SignedIn};
use entrant_credential::ClientAuth;
use entrant_proto::jose::{SigningKey, to_base64url};
use entrant_proto::oauth::{Authority, pkce};
use entrant_testkit::{SeededEntropy, Stage, json_reply};
use entrant_types::emulation::World;
use entrant_types::outside::{HttpReply, HttpRequest};
use entrant_types::{Fault, Outside, Scope, Secret};
use serde_json::{Value, json};
use tokio::sync::watch;
use url::Url;

pub(crate) const BASE: &str = "https://localhost:8443";
pub(crate) const TENANT: &str = "11111111-aaaa-4bbb-8ccc-111111111111";
pub(crate) const OTHER_TENANT: &str = "22222222-aaaa-4bbb-8ccc-222222222222";
pub(crate) const CLIENT: &str = "44444444-aaaa-4bbb-8ccc-444444444444";
pub(crate) const ALICE: &str = "55555555-aaaa-4bbb-8ccc-555555555555";
pub(crate) const REDIRECT: &str = "http://localhost:5000/getAToken";
pub(crate) const API: &str = "api://protected/access_as_user";

/// Two keys for the whole test binary: making one takes up to half a second.
pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate("").unwrap().0);
pub(crate) static OTHER_KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate("").unwrap().0);

pub(crate) type Fields = HashMap<String, String>;
type Mint = Box<dyn Fn(Value) -> String + Send>;

/// What it was asked and how it is to behave.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) discoveries: usize,
    pub(crate) key_fetches: usize,
    pub(crate) identity_calls: usize,
    pub(crate) posts: Vec<Fields>,
    pub(crate) urls: Vec<String>,
    codes: HashMap<String, Fields>,
    serial: usize,
    /// Put over the metadata.
    pub(crate) metadata: Option<Value>,
    /// Put over the ID token's claims.
    pub(crate) id_claims: Option<Value>,
    /// Makes the ID token in place of an honest signature.
    pub(crate) mint: Option<Mint>,
    /// Put over the token reply.
    pub(crate) reply: Option<Value>,
    /// Answers token requests in place of tokens.
    pub(crate) refusal: Option<HttpReply>,
    pub(crate) tenant: Option<String>,
}

pub(crate) struct Entra {
    pub(crate) stage: Stage,
    state: Arc<Mutex<State>>,
    open: watch::Sender<bool>,
}

impl Entra {
    pub(crate) fn new() -> Self {
        let stage = Stage::new();
        let state = Arc::new(Mutex::new(State::default()));
        let (open, gate) = watch::channel(true);
        let (shared, clock) = (Arc::clone(&state), Arc::clone(&stage.clock));
        stage.http.handle_async(move |request| {
            use entrant_types::Clock as _;
            let reply = answer(&mut shared.lock().unwrap(), request, clock.now().secs());
            let mut gate = gate.clone();
            let held = request.url.ends_with("/token");
            Box::pin(async move {
                if held {
                    let _ = gate.wait_for(|open| *open).await;
                }
                Ok(reply)
            })
        });
        Self { stage, state, open }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Token replies wait until [`Self::release`].
    pub(crate) fn hold(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn release(&self) {
        self.open.send_replace(true);
    }

    pub(crate) fn posts(&self) -> usize {
        self.state().posts.len()
    }

    pub(crate) fn last_post(&self) -> Fields {
        self.state().posts.last().cloned().unwrap()
    }

    pub(crate) fn refuse(&self, status: u16, body: Value) {
        self.state().refusal = Some(json_reply(status, body));
    }

    pub(crate) fn accept(&self) {
        self.state().refusal = None;
    }

    /// The same stage with random numbers of its own: another replica.
    pub(crate) fn outside(&self, seed: u64) -> Outside {
        Outside { entropy: Arc::new(SeededEntropy::new(seed)), ..self.stage.outside() }
    }

    pub(crate) fn client(&self) -> ConfidentialClient {
        self.replica(1)
    }

    pub(crate) fn replica(&self, seed: u64) -> ConfidentialClient {
        ConfidentialClient::new(config(), self.outside(seed)).unwrap()
    }

    /// What the sign-in page does: checks the request, and sends the browser back with a code.
    pub(crate) fn authorize(&self, url: &Url) -> String {
        let fields: Fields = url.query_pairs().into_owned().collect();
        assert_eq!(fields["response_type"], "code");
        assert_eq!(fields["code_challenge_method"], "S256");
        assert_eq!(fields["client_id"], CLIENT);
        let mut state = self.state();
        state.serial += 1;
        let code = format!("code-{}", state.serial);
        let callback = format!("code={code}&state={}&session_state=x", fields["state"]);
        state.codes.insert(code, fields);
        callback
    }
}

pub(crate) fn config() -> ConfidentialConfig {
    let authority = Authority::parse(BASE, TENANT).unwrap();
    ConfidentialConfig::new(authority, CLIENT.parse().unwrap(), secret_auth(), World::Emulator)
}

pub(crate) fn secret_auth() -> ClientAuth {
    ClientAuth::Secret(Secret::from("the-client-secret"))
}

pub(crate) fn request() -> SignInRequest {
    SignInRequest { redirect_uri: REDIRECT.to_owned(), scopes: vec![Scope::new(API)], ..SignInRequest::default() }
}

/// A whole sign-in.
pub(crate) async fn sign_in(entra: &Entra, client: &ConfidentialClient) -> Result<SignedIn, Fault> {
    let (url, flow): (Url, SignInFlow) = client.begin_sign_in(request()).await?;
    let callback = entra.authorize(&url);
    client.redeem(flow, Callback::parse(&callback)?).await
}

fn answer(state: &mut State, request: &HttpRequest, now: i64) -> HttpReply {
    let path = request.url.split("//").nth(1).unwrap().split_once('/').unwrap().1.to_owned();
    if path.ends_with("openid-configuration") {
        state.discoveries += 1;
        return json_reply(200, metadata(state, path.split('/').next().unwrap()));
    }
    if path.ends_with("/keys") {
        state.key_fetches += 1;
        return json_reply(200, json!({"keys": [KEY.jwk()]}));
    }
    if path.starts_with("metadata/identity") {
        state.identity_calls += 1;
        let body = json!({"access_token": "mi-token", "expires_in": "86400", "token_type": "Bearer",
            "expires_on": (now + 86400).to_string(), "resource": "api://AzureADTokenExchange"});
        return json_reply(200, body);
    }
    assert!(path.ends_with("/oauth2/v2.0/token"), "{path}");
    token(state, request, now)
}

fn metadata(state: &State, tenant: &str) -> Value {
    let issuer = if tenant == "common" { "{tenantid}" } else { tenant };
    let own = json!({
        "issuer": format!("{BASE}/{issuer}/v2.0"),
        "authorization_endpoint": format!("http://localhost:8480/{tenant}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{BASE}/{tenant}/oauth2/v2.0/token"),
        "jwks_uri": format!("{BASE}/{tenant}/discovery/v2.0/keys"),
        "end_session_endpoint": format!("http://localhost:8480/{tenant}/oauth2/v2.0/logout"),
    });
    with(own, state.metadata.clone())
}

fn token(state: &mut State, request: &HttpRequest, now: i64) -> HttpReply {
    let fields: Fields = url::form_urlencoded::parse(request.body.expose().as_bytes()).into_owned().collect();
    state.urls.push(request.url.clone());
    state.posts.push(fields.clone());
    assert!(fields.contains_key("client_secret") || fields.contains_key("client_assertion"), "no proof of the client");
    if let Some(refusal) = &state.refusal {
        return refusal.clone();
    }
    state.serial += 1;
    let number = state.serial;
    let mut body = json!({"token_type": "Bearer", "expires_in": 3600, "access_token": format!("at-{number}"),
        "scope": format!("{} granted", fields["scope"])});
    let mut nonce = Value::Null;
    match fields["grant_type"].as_str() {
        "authorization_code" => {
            let begun = state.codes.remove(&fields["code"]).expect("a code is good once");
            assert_eq!(pkce::challenge(&fields["code_verifier"]), begun["code_challenge"]);
            assert_eq!(fields["redirect_uri"], begun["redirect_uri"]);
            nonce = begun["nonce"].clone().into();
        }
        "refresh_token" => {}
        _ => return json_reply(200, with(body, state.reply.clone())),
    }
    let tenant = state.tenant.clone().unwrap_or_else(|| TENANT.to_owned());
    let mut claims = json!({
        "aud": CLIENT, "iss": format!("{BASE}/{tenant}/v2.0"), "iat": now, "nbf": now, "exp": now + 3600,
        "sub": "alice-here", "oid": ALICE, "tid": tenant, "preferred_username": "alice@contoso.example",
        "name": "Alice", "ver": "2.0", "xms_emulator": true, "login_hint": "opaque-hint",
    });
    if !nonce.is_null() {
        claims["nonce"] = nonce;
    }
    let claims = with(claims, state.id_claims.clone());
    body["id_token"] = match &state.mint {
        Some(mint) => mint(claims).into(),
        None => sign_with(&KEY, json!({}), &claims).into(),
    };
    body["refresh_token"] = format!("rt-{number}").into();
    body["client_info"] = to_base64url(json!({"uid": ALICE, "utid": TENANT}).to_string().as_bytes()).into();
    json_reply(200, with(body, state.reply.clone()))
}

/// `changes` put over an object; `null` takes a member away.
pub(crate) fn with(mut value: Value, changes: Option<Value>) -> Value {
    if let (Some(own), Some(Value::Object(changes))) = (value.as_object_mut(), changes) {
        for (name, change) in changes {
            if change.is_null() {
                own.remove(&name);
            } else {
                own.insert(name, change);
            }
        }
    }
    value
}

pub(crate) fn sign_with(key: &SigningKey, header: Value, claims: &Value) -> String {
    key.sign(header.as_object().unwrap(), claims).unwrap().expose().to_owned()
}

pub(crate) fn raw(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| to_base64url(value.to_string().as_bytes());
    format!("{}.{}.{}", part(header), part(claims), to_base64url(signature))
}

/// Entra's way to refuse.
pub(crate) fn refusal(error: &str, number: u32, more: Value) -> Value {
    let body = json!({"error": error, "error_description": format!("AADSTS{number}: No. Trace ID: t"),
        "error_codes": [number], "trace_id": "t", "correlation_id": "c"});
    with(body, Some(more))
}
