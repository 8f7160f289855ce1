//! Warm look-ups, renewals and verification beside the published clients: interleaved rounds, medians, ratios.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use entrant_credential::{Keeper, KeeperOptions, Policy};
use serde_json::{Value, json};
use tokio::process::Command;

use super::client::{Published, app_service};
use super::{Failure, accounts, endpoint, faults, verification};

const ROUNDS: usize = 3;

/// Runs the clients in turn, `ROUNDS` times over, and writes the section of the performance page.
pub async fn run() -> Result<(), Failure> {
    let base = endpoint::serve().await?;
    let clients = ["azure_identity", "entrant", "azure-identity-py", "msal-py", "azure-identity-js", "msal-node"];
    let mut found: Vec<Vec<Value>> = vec![Vec::new(); clients.len()];
    for round in 1..=ROUNDS {
        for (index, client) in clients.into_iter().enumerate() {
            println!("round {round} of {ROUNDS}: {client}");
            found[index].push(play(client, &base).await?);
        }
    }
    let median = |index: usize, key: &str| -> Option<f64> {
        let mut values: Vec<f64> = found[index].iter().filter_map(|result| result[key].as_f64()).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let show = |value: Option<f64>, digits: usize| value.map_or("–".to_owned(), |value| format!("{value:.digits$}"));
    let mut page = String::from(include_str!("speed.md"));
    page.push_str("| client | µs a look-up | × azure_identity | calls/s, two threads | slowest read across renewals, ms |\n|---|---|---|---|---|\n");
    let reference = median(0, "us").unwrap_or(f64::NAN);
    for (index, client) in clients.into_iter().enumerate() {
        let us = median(index, "us");
        page.push_str(&format!(
            "| {client} | {} | {} | {} | {} |\n",
            show(us, 3),
            show(us.map(|us| us / reference), 3),
            show(median(index, "two_threads"), 0),
            show(median(index, "worst_ms"), 2),
        ));
    }
    page.push_str(&accounts::section().await?);
    page.push_str(&verification::section().await?);
    let path = faults::root().join("docs/reference/performance.md");
    super::page::replace(&path, "tokens", &page)?;
    println!("{page}\nwritten: docs/reference/performance.md");
    Ok(())
}

async fn play(client: &str, base: &str) -> Result<Value, Failure> {
    let peers = faults::root().join("target/peers");
    let clients = faults::root().join("bench/clients");
    let mut command = if client.ends_with("-py") {
        let mut command = Command::new(peers.join("py/bin/python"));
        command.arg(clients.join("token_speed.py")).args([client, base]);
        command
    } else if client.ends_with("-js") || client == "msal-node" {
        let mut command = Command::new("node");
        command.arg(peers.join("node/token_speed.mjs")).args([client, base]);
        command
    } else {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["speed", client, base]);
        command
    };
    command.env("IDENTITY_ENDPOINT", format!("{base}/msi")).env("IDENTITY_HEADER", "header");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true).spawn()?;
    let output = tokio::time::timeout(Duration::from_secs(90), child.wait_with_output()).await??;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// One Rust client in this process: prints one JSON object.
pub async fn measure(client: &str, base: &str) -> Result<(), Failure> {
    let result = match client {
        "azure_identity" => published(base).await?,
        "entrant" => ours(client).await?,
        _ => return Err("no such client".into()),
    };
    println!("{result}");
    Ok(())
}

async fn published(base: &str) -> Result<Value, Failure> {
    let client = Arc::new(Published::new(base)?);
    let warm = "https://warm.azure_identity.test/.default";
    let renewed = "https://renew.azure_identity.test/.default";
    client.token(warm).await?;
    const CALLS: u32 = 200_000;
    let mut chunks = Vec::new();
    for _ in 0..7 {
        let started = Instant::now();
        for _ in 0..CALLS {
            std::hint::black_box(client.token(warm).await?);
        }
        chunks.push(started.elapsed().as_secs_f64() / f64::from(CALLS) * 1e6);
    }
    let spin = |client: Arc<Published>| async move {
        let (until, mut calls) = (Instant::now() + Duration::from_secs(1), 0_u64);
        while Instant::now() < until {
            for _ in 0..1000 {
                if client.token(warm).await.is_err() {
                    return 0;
                }
            }
            calls += 1000;
        }
        calls
    };
    let (one, two) = (tokio::spawn(spin(client.clone())), tokio::spawn(spin(client.clone())));
    let two_threads = one.await? + two.await?;
    client.token(renewed).await?;
    let (mut worst, until) = (Duration::ZERO, Instant::now() + Duration::from_secs(7));
    while Instant::now() < until {
        let started = Instant::now();
        client.token(renewed).await?;
        worst = worst.max(started.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(json!({"us": median(chunks), "two_threads": two_threads, "worst_ms": worst.as_secs_f64() * 1000.0}))
}

async fn ours(client: &str) -> Result<Value, Failure> {
    let keeper = start(&format!("https://warm.{client}.test"), KeeperOptions::default())?;
    keeper.token().await?;
    const CALLS: u32 = 2_000_000;
    let mut chunks = Vec::new();
    for _ in 0..7 {
        let mut reader = keeper.reader();
        let started = Instant::now();
        for _ in 0..CALLS {
            std::hint::black_box(reader.current().ok_or("the token is gone")?);
        }
        chunks.push(started.elapsed().as_secs_f64() / f64::from(CALLS) * 1e6);
    }
    let calls = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (mut reader, calls) = (keeper.reader(), calls.clone());
            std::thread::spawn(move || {
                let until = Instant::now() + Duration::from_secs(1);
                let mut own = 0;
                while Instant::now() < until {
                    for _ in 0..1000 {
                        std::hint::black_box(reader.current());
                    }
                    own += 1000;
                }
                calls.fetch_add(own, Ordering::Relaxed);
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread ended")?;
    }
    // The token lives 305 s; renewed after 0.5 % of its life, so that four renewals fall into the seven seconds.
    let policy = Policy { ratio: 0.005, spread: 0.0, ..Policy::default() };
    let renewed = start(&format!("https://renew.{client}.test"), KeeperOptions { policy, ..KeeperOptions::default() })?;
    renewed.token().await?;
    let (mut worst, until) = (Duration::ZERO, Instant::now() + Duration::from_secs(7));
    while Instant::now() < until {
        let started = Instant::now();
        renewed.token().await?;
        worst = worst.max(started.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let renewals = renewed.snapshot().generation;
    if renewals < 3 {
        return Err(format!("only {renewals} renewals were seen").into());
    }
    let two_threads = calls.load(Ordering::Relaxed);
    Ok(json!({"us": median(chunks), "two_threads": two_threads, "worst_ms": worst.as_secs_f64() * 1000.0}))
}

fn start(resource: &str, options: KeeperOptions) -> Result<Keeper, Failure> {
    let (source, outside) = app_service()?;
    let scope = entrant_types::Resource::new(resource).default_scope();
    let (keeper, driver) = Keeper::new(source, scope, options, &outside);
    tokio::spawn(driver.run());
    Ok(keeper)
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
