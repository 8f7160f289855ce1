//! A bearer token seen for the first time, and again, beside what the cryptographic library itself can do.
//!
//! `openssl speed` counts processor time, so ours is the thread's processor time too. Each round runs all four rows
//! one after the other; ratios are taken within a round, then their median.

use axum::routing::get;
use axum::{Json, Router};
use entrant_host::{DialPolicy, HostConfig};
use entrant_proto::jose::{Jws, PublicKey, SigningKey};
use entrant_types::emulation::World;
use entrant_validate::{IssuerRule, KeySet, Policy, Tenants, Validator};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, json};

use super::Failure;
use super::speed::median;

const ROUNDS: usize = 9;
const TOKENS: usize = 2000;
const REMEMBERED: usize = 10_000;
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
    let public = PublicKey::from_jwk(&key.jwk())?;
    let validator = Validator::new(policy, keys, outside.clock.clone());
    validator.keys().warm().await?;
    // More than the validator remembers: what is measured is a service that has been running for a while.
    for nth in 0..REMEMBERED {
        validator.validate(token(nth)?.expose()).await?;
    }
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let from = REMEMBERED + round * TOKENS;
        let tokens: Vec<_> = (from..from + TOKENS).map(token).collect::<Result<_, _>>()?;
        let openssl = openssl_verify_us().await?;
        let mut parsed = Vec::with_capacity(tokens.len());
        for token in &tokens {
            parsed.push(Jws::split(token.expose())?.decode()?);
        }
        let alone = each_us(tokens.len(), async |nth| Ok(parsed[nth].verify(&public)?)).await?;
        let first = each_us(tokens.len(), async |nth| Ok(validator.validate(tokens[nth].expose()).await?)).await?;
        let again = each_us(100_000, async |_| Ok(validator.validate(tokens[0].expose()).await?)).await?;
        rounds.push([openssl, alone, first, again]);
    }
    let row = |what: &str, nth: usize| {
        let us = median(rounds.iter().map(|round| round[nth]).collect());
        let ratio = median(rounds.iter().map(|round| round[nth] / round[0]).collect());
        format!("| {what} | {us:.2} | {ratio:.3} |\n")
    };
    let bytes = token(REMEMBERED)?.len();
    let rows = [
        row("`openssl speed rsa2048`, verify", 0),
        row("the signature alone, by our library (AWS-LC), hash included", 1),
        row("first sight", 2),
        row("the same token again", 3),
    ];
    Ok(format!(
        "\nA bearer token of {bytes} bytes, RS256 with 2048 bits, claims checked, one thread, in a validator whose memory is\n\
         full; {ROUNDS} rounds, medians of processor time and of the ratios within a round:\n\n\
         | what | µs | × `openssl speed` verify |\n|---|---|---|\n{}",
        rows.concat(),
    ))
}

/// Microseconds of this thread's processor time for one of `count` calls. (The calls never wait, so that they stay
/// on the thread that drives the runtime.)
async fn each_us<T>(count: usize, call: impl AsyncFn(usize) -> Result<T, Failure>) -> Result<f64, Failure> {
    let started = processor_us();
    for nth in 0..count {
        std::hint::black_box(call(nth).await?);
    }
    Ok((processor_us() - started) / count as f64)
}

fn processor_us() -> f64 {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    spent.tv_sec as f64 * 1e6 + spent.tv_nsec as f64 / 1e3
}

/// Microseconds of one RSA-2048 verification by `openssl speed`.
async fn openssl_verify_us() -> Result<f64, Failure> {
    let output =
        tokio::process::Command::new("openssl").args(["speed", "-mr", "-seconds", "1", "rsa2048"]).output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `+F2:0:2048:SIGN:VERIFY`, operations a second.
    let line = text.lines().find(|line| line.starts_with("+F2:")).ok_or("openssl speed printed no result")?;
    let rate: f64 = line.split(':').nth(4).ok_or("openssl speed printed no verify time")?.parse()?;
    Ok(1e6 / rate)
}
