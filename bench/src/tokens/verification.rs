//! A bearer token seen for the first time, and again, beside what the cryptographic library itself can do.

use std::sync::Arc;
use std::time::Instant;

use axum::routing::get;
use axum::{Json, Router};
use entrant_host::{DialPolicy, HostConfig};
use entrant_proto::jose::{PublicKey, SigningKey, UnverifiedJwt};
use entrant_types::emulation::World;
use entrant_validate::{IssuerRule, KeySet, Policy, Tenants, Validator};
use serde_json::{Map, json};

use super::Failure;
use super::speed::median;

const ISSUER: &str = "https://login.microsoftonline.com/00001111-aaaa-2222-bbbb-3333cccc4444/v2.0";
const AUDIENCE: &str = "11112222-bbbb-3333-cccc-4444dddd5555";

/// Measures and describes.
pub async fn section() -> Result<String, Failure> {
    let outside = entrant_host::outside(HostConfig { dial: DialPolicy::LoopbackOnly, ..HostConfig::default() })?;
    let (key, _) = SigningKey::generate("bench-")?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let keys_url = format!("http://{}/keys", listener.local_addr()?);
    let set = json!({"keys": [key.jwk()]});
    let app = Router::new().route("/keys", get(move || async move { Json(set) }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let issuers = vec![IssuerRule::new(ISSUER)];
    let policy = Policy::new(World::Azure, issuers, vec![AUDIENCE.to_owned()], Tenants::Any);
    let keys = KeySet::new(keys_url, &outside);
    let now = outside.clock.now().secs();
    let token = |nth: usize| {
        let claims = json!({
            "aud": AUDIENCE, "iss": ISSUER, "iat": now - 300, "nbf": now - 300, "exp": now + 3600, "aio": "a".repeat(900),
            "azp": "22223333-cccc-4444-dddd-5555eeee6666", "azpacr": "2", "name": "Alice", "oid": "33334444-dddd-5555-eeee-6666ffff7777",
            "preferred_username": "alice@contoso.example", "scp": "access_as_user", "sub": nth.to_string(),
            "tid": "00001111-aaaa-2222-bbbb-3333cccc4444", "uti": nth.to_string(), "ver": "2.0",
        });
        key.sign(&Map::new(), &claims)
    };
    let tokens: Vec<_> = (0..3000).map(token).collect::<Result<_, _>>()?;
    let openssl = openssl_verify_us().await?;
    let (mut alone, mut first, mut again) = (Vec::new(), Vec::new(), Vec::new());
    let public = PublicKey::from_jwk(&key.jwk())?;
    for _ in 0..5 {
        let validator = Arc::new(Validator::new(policy.clone(), keys.clone(), outside.clock.clone()));
        validator.keys().warm().await?;
        let parsed: Vec<_> =
            tokens.iter().map(|token| UnverifiedJwt::parse(token.expose())).collect::<Result<_, _>>()?;
        let started = Instant::now();
        for jwt in &parsed {
            std::hint::black_box(jwt.verify(&public)?);
        }
        alone.push(started.elapsed().as_secs_f64() / tokens.len() as f64 * 1e6);
        let started = Instant::now();
        for token in &tokens {
            std::hint::black_box(validator.validate(token.expose()).await?);
        }
        first.push(started.elapsed().as_secs_f64() / tokens.len() as f64 * 1e6);
        let started = Instant::now();
        for _ in 0..100_000 {
            std::hint::black_box(validator.validate(tokens[0].expose()).await?);
        }
        again.push(started.elapsed().as_secs_f64() / 100_000.0 * 1e6);
    }
    let openssl = (openssl + openssl_verify_us().await?) / 2.0;
    let (alone, first, again, bytes) = (median(alone), median(first), median(again), tokens[0].len());
    Ok(format!(
        "\nA bearer token of {bytes} bytes, RS256 with 2048 bits, claims checked, one thread:\n\n\
         | what | µs | × `openssl speed` verify |\n|---|---|---|\n\
         | `openssl speed rsa2048`, verify | {openssl:.1} | 1.00 |\n\
         | the signature alone, by our library (AWS-LC), hash included | {alone:.1} | {:.2} |\n\
         | first sight | {first:.1} | {:.2} |\n| the same token again | {again:.2} | {:.3} |\n",
        alone / openssl,
        first / openssl,
        again / openssl,
    ))
}

/// Microseconds of one RSA-2048 verification by `openssl speed`.
async fn openssl_verify_us() -> Result<f64, Failure> {
    let output =
        tokio::process::Command::new("openssl").args(["speed", "-mr", "-seconds", "2", "rsa2048"]).output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `+F2:0:2048:SIGN:VERIFY`, operations a second.
    let line = text.lines().find(|line| line.starts_with("+F2:")).ok_or("openssl speed printed no result")?;
    let rate: f64 = line.split(':').nth(4).ok_or("openssl speed printed no verify time")?.parse()?;
    Ok(1e6 / rate)
}
