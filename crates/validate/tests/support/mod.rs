//! An issuer in the test's hand: keys, metadata and tokens, honest or forged.
#![expect(dead_code, reason = "every test file uses its own part of this")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use entrant_proto::jose::{Jwk, SigningKey, to_base64url};
use entrant_testkit::{Stage, json_reply};
use entrant_types::outside::HttpError;
use serde_json::{Value, json};

pub(crate) const TENANT: &str = "11111111-aaaa-4bbb-8ccc-111111111111";
pub(crate) const OTHER_TENANT: &str = "22222222-aaaa-4bbb-8ccc-222222222222";
pub(crate) const API: &str = "33333333-aaaa-4bbb-8ccc-333333333333";
pub(crate) const CLIENT: &str = "44444444-aaaa-4bbb-8ccc-444444444444";
pub(crate) const ALICE: &str = "55555555-aaaa-4bbb-8ccc-555555555555";
pub(crate) const BASE: &str = "https://localhost:8443";
pub(crate) const JWKS: &str = "https://localhost:8443/common/discovery/v2.0/keys";

/// Two keys for the whole test binary: making one takes up to half a second.
pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate("").unwrap().0);
pub(crate) static OTHER_KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate("").unwrap().0);

/// What the issuer publishes, and how often it was asked.
pub(crate) struct Issuer {
    pub(crate) stage: Stage,
    pub(crate) published: Arc<Mutex<Vec<Jwk>>>,
    pub(crate) fetches: Arc<AtomicUsize>,
    pub(crate) down: Arc<Mutex<bool>>,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        let stage = Stage::new();
        let published = Arc::new(Mutex::new(vec![KEY.jwk()]));
        let fetches = Arc::new(AtomicUsize::new(0));
        let down = Arc::new(Mutex::new(false));
        let (keys, count, off) = (Arc::clone(&published), Arc::clone(&fetches), Arc::clone(&down));
        stage.http.handle(move |_request| {
            count.fetch_add(1, Ordering::Relaxed);
            if *off.lock().unwrap() {
                return Err(HttpError::Connect("it is down".to_owned()));
            }
            Ok(json_reply(200, json!({ "keys": *keys.lock().unwrap() })))
        });
        Self { stage, published, fetches, down }
    }

    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }

    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        *self.published.lock().unwrap() = keys.iter().map(|key| key.jwk()).collect();
    }

    pub(crate) fn set_down(&self, down: bool) {
        *self.down.lock().unwrap() = down;
    }
}

pub(crate) fn v2_issuer(tenant: &str) -> String {
    format!("{BASE}/{tenant}/v2.0")
}

/// Seconds since the epoch at which every test's clock starts.
pub(crate) fn now() -> i64 {
    Stage::START.secs()
}

/// A good v2 access token's claims.
pub(crate) fn access_claims() -> Value {
    json!({
        "aud": API, "iss": v2_issuer(TENANT), "iat": now() - 300, "nbf": now() - 300, "exp": now() + 3600,
        "azp": CLIENT, "azpacr": "2", "oid": ALICE, "sub": "pairwise", "tid": TENANT, "scp": "access_as_user other",
        "ver": "2.0", "xms_emulator": true, "name": "Alice",
    })
}

/// A good v2 ID token's claims, with the nonce `n-1`.
pub(crate) fn id_claims() -> Value {
    json!({
        "aud": CLIENT, "iss": v2_issuer(TENANT), "iat": now() - 300, "nbf": now() - 300, "exp": now() + 3600,
        "oid": ALICE, "sub": "pairwise", "tid": TENANT, "nonce": "n-1", "ver": "2.0", "xms_emulator": true,
        "preferred_username": "alice@contoso.example",
    })
}

/// The claims with some changed; `null` takes one away.
pub(crate) fn with(claims: Value, changes: Value) -> Value {
    let (Value::Object(mut claims), Value::Object(changes)) = (claims, changes) else { panic!("objects") };
    for (name, value) in changes {
        if value.is_null() {
            claims.remove(&name);
        } else {
            claims.insert(name, value);
        }
    }
    Value::Object(claims)
}

pub(crate) fn sign(claims: &Value) -> String {
    sign_with(&KEY, json!({}), claims)
}

pub(crate) fn sign_with(key: &SigningKey, header: Value, claims: &Value) -> String {
    let Value::Object(header) = header else { panic!("an object") };
    key.sign(&header, claims).unwrap().expose().to_owned()
}

/// Any header, any claims, any signature.
pub(crate) fn raw(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| to_base64url(value.to_string().as_bytes());
    format!("{}.{}.{}", part(header), part(claims), to_base64url(signature))
}
