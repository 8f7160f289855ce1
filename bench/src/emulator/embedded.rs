//! An emulator inside a test's own process: how long `Emulator::start` takes, and many of them at once.

use std::sync::Arc;
use std::time::Instant;

use entrant_emulator::{Emulator, Running, Seed};
use entrant_host::{OsEntropy, SystemClock};
use entrant_types::Clock as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::tokens::{Failure, speed::median};

/// One after another, and then at once.
const STARTS: usize = 50;

/// A sentence with the milliseconds from the call to the first token of a managed identity.
pub async fn sentence() -> Result<String, Failure> {
    let begun = Instant::now();
    let first = answering().await?;
    let made = begun.elapsed().as_secs_f64() * 1000.0;
    drop(first);
    let mut took = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let running = answering().await?;
        took.push(begun.elapsed().as_secs_f64() * 1000.0);
        drop(running);
    }
    let begun = Instant::now();
    let tasks: Vec<_> = (0..STARTS).map(|_| tokio::spawn(answering())).collect();
    let mut running = Vec::new();
    for task in tasks {
        running.push(task.await??);
    }
    let all = begun.elapsed().as_secs_f64() * 1000.0;
    let worst = took.iter().copied().fold(0.0, f64::max);
    Ok(format!(
        "\n`Emulator::start` in a Rust program, from the call to the first managed-identity token: {:.1} ms at the median of {STARTS}, {worst:.1} ms at\n\
         worst (goal < 50 ms); {STARTS} at once in {all:.0} ms. The first one of a process makes the signing key that all of them share: {made:.0} ms.\n",
        median(took)
    ))
}

async fn answering() -> Result<Running, Failure> {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let running = Emulator::start(Seed::default(), clock, entropy, SystemClock.now()).await?;
    let facts = running.facts();
    let address = facts.imds_url.trim_start_matches("http://").replace("localhost", "127.0.0.1");
    let path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://redis.azure.com";
    let mut stream = TcpStream::connect(&address).await?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nmetadata: true\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    if reply.starts_with("HTTP/1.1 200") { Ok(running) } else { Err(reply.into()) }
}
