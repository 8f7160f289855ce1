//! The gate beside a bare redis-server, both by TLS: what passes, and what letting somebody in costs.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::contenders::Contender;
use super::ground::{Ground, STRANGERS, claim, entrant, ready_file, stranger};
use super::load::{measure, number};
use super::process::{Program, cpu_exact};
use crate::tokens::{Failure, speed::median};

/// The gate in front of the run's Redis.
pub struct Gate {
    program: Program,
    port: u16,
    ca: String,
}

impl Gate {
    pub fn start(ground: &Ground) -> Result<Self, Failure> {
        let (ready, emulator) = (ground.folder.join("gate.json"), ground.folder.join("emulator.json"));
        let _ = std::fs::remove_file(&ready);
        let mut command = entrant();
        command.args(["redis-gate", "--ports", "auto", "--log", "warn", "--attach"]).arg(emulator);
        command.args(["--backend", &format!("redis://127.0.0.1:{}", ground.plain), "--ready-file"]).arg(&ready);
        let program = Program::start(&mut command, &ground.folder.join("gate.log"))?;
        let facts = ready_file(&ready)?;
        let port = facts["gate_port"].as_u64().and_then(|port| u16::try_from(port).ok()).ok_or("no gate_port")?;
        let ca = ground.facts["ca_path"].as_str().ok_or("no ca_path")?.to_owned();
        Ok(Self { program, port, ca })
    }
}

/// GET by sixteen connections through the gate and without it, in turn.
pub fn get(gate: &Gate, ground: &Ground, rounds: usize) -> Result<Value, Failure> {
    let token = ground.token(None)?;
    let user = claim(&token, "oid").ok_or("the token has no object id")?;
    let bare = Contender::start(super::contenders::DIRECT_TLS, ground)?;
    let run = |through: bool, requests: f64| {
        let mut command = Command::new("redis-benchmark");
        let port = if through { gate.port } else { ground.tls };
        command.args(["-h", "localhost", "-p", &port.to_string(), "--tls", "--sni", "localhost", "--cacert"]);
        if through {
            command.args([&gate.ca, "--user", &user, "-a", &token]);
        } else {
            command.arg(ground.folder.join("ca.pem"));
        }
        command.args(["-t", "get", "-c", "16", "-d", "64", "--csv", "-n", &format!("{requests:.0}")]);
        let before = super::process::cpu(gate.program.pid());
        let mut found = measure(command, &bare, ground, requests)?;
        found["gate"] = json!((super::process::cpu(gate.program.pid()) - before) / requests * 1e6);
        Ok::<Value, Failure>(found)
    };
    let rates = [number(&run(false, 20_000.0)?, "rate"), number(&run(true, 20_000.0)?, "rate")];
    let mut all = Vec::new();
    for _ in 0..rounds {
        all.push([run(false, rates[0] * 2.5)?, run(true, rates[1] * 2.5)?]);
    }
    let of = |at: usize, key: &str| median(all.iter().map(|pair| number(&pair[at], key)).collect());
    let ratio = median(all.iter().map(|[bare, gate]| number(gate, "rate") / number(bare, "rate")).collect());
    let row = |at: usize| {
        let keys = ["rate", "p50", "p99", "client", "gate", "redis"];
        keys.into_iter().map(|key| (key.to_owned(), json!(of(at, key)))).collect::<serde_json::Map<_, _>>()
    };
    Ok(json!({"ratio": ratio, "bare": row(0), "gate": row(1)}))
}

/// The gate's own CPU for an AUTH with a token that it has not seen, and with one that it has, in µs.
pub fn auth(gate: &Gate, ground: &Ground) -> Result<Value, Failure> {
    let mut lines = String::new();
    for number in 0..STRANGERS {
        let token = ground.token(Some(&stranger(number)))?;
        let user = claim(&token, "oid").ok_or("the token has no object id")?;
        lines.push_str(&format!("AUTH {user} {token}\n"));
    }
    // The machine's own first, so that the gate has keys and is warm.
    let own = ground.token(None)?;
    let own = format!("AUTH {} {own}\n", claim(&own, "oid").unwrap_or_default());
    say(gate, &own)?;
    let empty = spent(gate, "")?;
    let first = spent(gate, &lines)? - empty;
    let again = spent(gate, &lines)? - empty;
    let pings = spent(gate, &"PING\n".repeat(STRANGERS))? - empty;
    let each = |seconds: f64| seconds / STRANGERS as f64 * 1e6;
    Ok(json!({"first": each(first), "again": each(again), "ping": each(pings), "connection": empty * 1e6}))
}

/// The gate's CPU while a redis-cli connects and says this; the median of some for what can be repeated.
fn spent(gate: &Gate, lines: &str) -> Result<f64, Failure> {
    let before = cpu_exact(gate.program.pid());
    say(gate, lines)?;
    std::thread::sleep(Duration::from_millis(50));
    Ok(cpu_exact(gate.program.pid()) - before)
}

fn say(gate: &Gate, lines: &str) -> Result<(), Failure> {
    let mut command = Command::new("redis-cli");
    command.args([
        "-h",
        "localhost",
        "-p",
        &gate.port.to_string(),
        "--tls",
        "--sni",
        "localhost",
        "--cacert",
        &gate.ca,
    ]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    child.stdin.take().ok_or("no stdin")?.write_all(lines.as_bytes())?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let wanted = lines.lines().filter(|line| line.starts_with("AUTH")).count();
    let admitted = text.lines().filter(|line| *line == "OK").count();
    if admitted == wanted { Ok(()) } else { Err(format!("{admitted} of {wanted} AUTHs were accepted: {text}").into()) }
}
