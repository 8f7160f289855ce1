//! redis-benchmark against one contender: throughput, latency, and the CPU of everybody involved.

use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use super::contenders::Contender;
use super::ground::Ground;
use super::process::{cpu, cpu_of_ended};
use crate::tokens::Failure;

/// A test runs about so long for SET and again for GET. Shorter ones measure TLS handshakes.
const SECONDS: f64 = 2.2;

/// A shape of load: clients, pipeline, requests for the first guess of the speed.
#[derive(Debug)]
pub struct Shape {
    pub name: &'static str,
    pub title: &'static str,
    clients: u32,
    pipeline: u32,
    guess: f64,
}

pub const SHAPES: [Shape; 5] = [
    Shape { name: "c1", title: "One connection", clients: 1, pipeline: 1, guess: 12_000.0 },
    Shape { name: "c50", title: "50 connections", clients: 50, pipeline: 1, guess: 40_000.0 },
    Shape { name: "c200", title: "200 connections", clients: 200, pipeline: 1, guess: 60_000.0 },
    Shape {
        name: "c1 P16",
        title: "One connection, 16 commands at a time",
        clients: 1,
        pipeline: 16,
        guess: 100_000.0,
    },
    Shape {
        name: "c50 P16",
        title: "50 connections, 16 commands at a time",
        clients: 50,
        pipeline: 16,
        guess: 200_000.0,
    },
];

/// One run of SET and GET with 64 bytes. `known`: requests a second of an earlier run.
pub fn run(contender: &Contender, shape: &Shape, ground: &Ground, known: Option<f64>) -> Result<Value, Failure> {
    let rate = match known {
        Some(rate) => rate,
        None => number(&benchmark(contender, shape, ground, shape.guess)?, "rate"),
    };
    benchmark(contender, shape, ground, (rate * SECONDS).max(shape.guess))
}

fn benchmark(contender: &Contender, shape: &Shape, ground: &Ground, requests: f64) -> Result<Value, Failure> {
    let mut command = Command::new("redis-benchmark");
    command.args(["-p", &contender.port.to_string(), "-t", "set,get", "-d", "64", "--csv"]);
    command.args([
        "-c",
        &shape.clients.to_string(),
        "-P",
        &shape.pipeline.to_string(),
        "-n",
        &format!("{requests:.0}"),
    ]);
    if contender.tls {
        command.args(["-h", "localhost", "--tls", "--sni", "localhost", "--cacert"]).arg(ground.folder.join("ca.pem"));
    }
    measure(command, contender, ground, 2.0 * requests)
}

/// Runs a redis-benchmark and reads what it found; `operations` is what CPU is divided by.
pub fn measure(
    mut command: Command,
    contender: &Contender,
    ground: &Ground,
    operations: f64,
) -> Result<Value, Failure> {
    let proxy = |pid: Option<u32>| pid.map_or(0.0, cpu);
    let before = (cpu_of_ended(), proxy(contender.pid()), cpu(ground.redis));
    let started = Instant::now();
    let output = command.output()?;
    let seconds = started.elapsed().as_secs_f64();
    let after = (cpu_of_ended(), proxy(contender.pid()), cpu(ground.redis));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
    let lines: Vec<Vec<f64>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').skip(1).filter_map(|field| field.trim_matches('"').parse().ok()).collect())
        .filter(|fields: &Vec<f64>| fields.len() == 7)
        .collect();
    if lines.is_empty() || !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: redis-benchmark failed: {text} {complaint}", contender.name).into());
    }
    let mean = |at: usize| lines.iter().map(|fields| fields[at]).sum::<f64>() / lines.len() as f64;
    // Time for equal numbers of each test, so that the slower one weighs more.
    let rate = lines.len() as f64 / lines.iter().map(|fields| 1.0 / fields[0]).sum::<f64>();
    let each = |before: f64, after: f64| (after - before) / operations * 1e6;
    Ok(json!({
        "rate": rate, "p50": mean(3), "p99": mean(5), "seconds": seconds,
        "client": each(before.0, after.0), "proxy": each(before.1, after.1), "redis": each(before.2, after.2),
    }))
}

pub fn number(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or(f64::NAN)
}
