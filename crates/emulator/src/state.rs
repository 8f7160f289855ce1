//! Everything that the endpoints share.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use entrant_proto::jose::{Jwk, JwkSet};
use entrant_types::{Clock, Entropy, Fault, Guid, Secret, Timestamp};
use serde_json::{Map, Value};

use crate::beside::RedisGate;
use crate::clock::EmulatorClock;
use crate::config::EmulatorConfig;
use crate::counters::Counters;
use crate::directory::Directory;
use crate::entra::Grants;
use crate::faults::{Faults, Point, Signature, Struck, TokenKind};
use crate::journal::Journal;
use crate::keys::{KeyRing, Keys, unpublished};
use crate::managed::{ArcKey, TokenCache};
use crate::refusal::{Refusal, Trace};
use crate::seed::{LifetimeSeed, SignInSeed, resolve};
use crate::store::Store;
use crate::token::{ClaimsMaker, Issuers};

/// Where the two listeners are, as written into documents: from configuration, never from a request's `Host`.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    /// `https://localhost:PORT`.
    pub(crate) entra: String,
    /// `http://localhost:PORT`.
    pub(crate) plain: String,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) directory: Directory,
    pub(crate) issuers: Issuers,
    pub(crate) origins: Origins,
    /// The time that tokens live in.
    pub(crate) clock: EmulatorClock,
    /// The clock below it, which a step or rate of the emulator does not touch.
    base: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) keys: KeyRing,
    pub(crate) lifetimes: LifetimeSeed,
    pub(crate) sign_in: SignInSeed,
    /// Key sets of issuers outside this directory.
    external: BTreeMap<String, JwkSet>,
    pub(crate) counters: Counters,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) grants: Grants,
    pub(crate) identity_tokens: TokenCache,
    /// A Redis gate in the same process.
    pub(crate) gate: OnceLock<Arc<dyn RedisGate>>,
    pub(crate) arc: ArcKey,
    /// The per-run secret of the App Service endpoint.
    pub(crate) identity_header: Secret,
}

impl State {
    pub(crate) fn new(config: &EmulatorConfig, store: &Store) -> Result<Self, Fault> {
        let origins = Origins {
            entra: format!("https://localhost:{}", config.entra_port),
            plain: format!("http://localhost:{}", config.imds_port),
        };
        let issuers = Issuers::new(config.seed.issuer_style, &origins.entra);
        let directory = resolve(&config.seed, &issuers).map_err(|problems| {
            let what = format!("The seed has {} mistake(s): {}", problems.len(), problems.join(" "));
            Fault::new(
                entrant_types::Whose::Configuration,
                what,
                "Correct the seed file; `entrant emulator check FILE` explains.",
            )
            .retry(entrant_types::Retry::Never)
        })?;
        let sets = config.seed.issuer.iter();
        let external =
            sets.filter_map(|own| Some((own.url.clone(), JwkSet::parse(own.jwks.as_bytes()).ok()?))).collect();
        let faults = Faults::default();
        for rule in &config.seed.fault {
            faults.add(rule.clone())?;
        }
        let mut header = [0_u8; 16];
        config.entropy.fill(&mut header);
        Ok(Self {
            directory,
            issuers,
            origins,
            clock: EmulatorClock::new(config.clock.clone()),
            base: config.clock.clone(),
            entropy: config.entropy.clone(),
            keys: KeyRing::open(&config.key, store)?,
            lifetimes: config.seed.lifetimes.clone(),
            sign_in: config.seed.sign_in.clone(),
            external,
            counters: Counters::default(),
            journal: Journal::default(),
            faults,
            grants: Grants::default(),
            identity_tokens: TokenCache::default(),
            gate: OnceLock::new(),
            arc: ArcKey::new(store),
            identity_header: Secret::new(hex(&header)),
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// `bytes` unpredictable bytes as base64url.
    pub(crate) fn random(&self, bytes: usize) -> Secret {
        let mut buffer = vec![0; bytes];
        self.entropy.fill(&mut buffer);
        Secret::new(entrant_proto::jose::to_base64url(&buffer))
    }

    pub(crate) fn random_guid(&self) -> Guid {
        let mut bytes = [0_u8; 16];
        self.entropy.fill(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Guid::from_bytes(bytes)
    }

    /// Ids for one request; the correlation id echoes what the client sent, when it is a GUID.
    pub(crate) fn trace(&self, correlation: Option<&str>) -> Trace {
        Trace {
            trace_id: self.random_guid(),
            correlation_id: correlation.and_then(|text| text.parse().ok()).unwrap_or_else(|| self.random_guid()),
            at: self.now(),
        }
    }

    /// How long a person's or app's access token lives: Entra draws 60 to 90 minutes.
    pub(crate) fn access_life(&self) -> Duration {
        let seconds = self.lifetimes.access.unwrap_or_else(|| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a fraction below 1 times 1800"
            )]
            let extra = (self.entropy.fraction() * 1800.0) as u32;
            3600 + extra
        });
        Duration::from_secs(u64::from(seconds))
    }

    pub(crate) fn claims(&self, life: Duration) -> ClaimsMaker<'_> {
        ClaimsMaker { issuers: &self.issuers, entropy: self.entropy.as_ref(), now: self.now(), life }
    }

    /// Keys of an issuer other than this directory.
    pub(crate) fn external_keys(&self, issuer: &str, keys: &Keys) -> Vec<Jwk> {
        if issuer == self.issuers.workload() {
            return keys.published.clone();
        }
        self.external.get(issuer).map(|set| set.keys.clone()).unwrap_or_default()
    }

    /// Waits on the clock below.
    pub(crate) async fn pause(&self, span: Duration) {
        self.base.sleep_until(self.base.now() + span).await;
    }

    pub(crate) async fn rotate_keys(self: &Arc<Self>) -> Result<(), Fault> {
        let state = self.clone();
        let lost = || Fault::new(entrant_types::Whose::Entrant, "The key maker ended early.", "Try again.");
        tokio::task::spawn_blocking(move || state.keys.rotate()).await.unwrap_or_else(|_| Err(lost()))?;
        // Managed identities' tokens are made anew too, so that they follow the key.
        self.identity_tokens.clear();
        Ok(())
    }

    pub(crate) fn revoke(&self, person: &str) -> bool {
        let Some(person) = self.directory.person(person) else { return false };
        self.grants.lock().revoke_person(person.oid, 50173);
        true
    }

    /// The fault effects on a request.
    pub(crate) fn strike(&self, point: &Point<'_>) -> Struck {
        self.faults.strike(point, self.entropy.as_ref())
    }

    /// Signs `claims` with the active key, waiting for it on a first start, unless a fault says otherwise.
    pub(crate) async fn sign(
        &self,
        kind: TokenKind,
        mut claims: Map<String, Value>,
        struck: &Struck,
    ) -> Result<Secret, Refusal> {
        let unavailable = |text: &str| Refusal::new(90055, text, "Ask again in a second.");
        let keys = self.keys.get().await.ok_or_else(|| unavailable("The signing key could not be made."))?;
        struck.edit_claims(kind, &mut claims);
        let mut header = Map::new();
        // Only v1 tokens name the certificate (`access-tokens.md`).
        if claims.get("ver").and_then(Value::as_str) == Some("1.0") {
            header.insert("x5t".into(), keys.x5t().into());
        }
        match struck.signature(kind) {
            Signature::Good => keys.active.sign(&header, &claims),
            Signature::None => return Ok(unsigned(&claims)),
            Signature::Broken => keys.active.sign(&header, &claims).map(|token| broken(&token)),
            Signature::Unpublished => {
                let key = tokio::task::spawn_blocking(unpublished).await.ok().and_then(Result::ok);
                let key = key.ok_or_else(|| unavailable("The unpublished key could not be made."))?;
                key.sign(&header, &claims)
            }
            Signature::NoKid => {
                header.insert("kid".into(), Value::Null);
                keys.active.sign(&header, &claims)
            }
        }
        .map_err(|_| unavailable("The token could not be signed."))
    }
}

/// `alg: none` (RFC 7519 §6): what no client may accept.
fn unsigned(claims: &Map<String, Value>) -> Secret {
    let part = |text: &str| entrant_proto::jose::to_base64url(text.as_bytes());
    Secret::new(format!(
        "{}.{}.",
        part(r#"{"typ":"JWT","alg":"none"}"#),
        part(&Value::Object(claims.clone()).to_string())
    ))
}

fn broken(token: &Secret) -> Secret {
    // The first character of the signature: the last one has unused bits, and changing those changes nothing.
    let text = token.expose();
    let at = text.rfind('.').map_or(0, |dot| dot + 1);
    let other = if text[at..].starts_with('A') { "B" } else { "A" };
    Secret::new(format!("{}{other}{}", &text[..at], text.get(at + 1..).unwrap_or_default()))
}

/// Upper-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
