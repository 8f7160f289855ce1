//! The same faults against every client: one table row a fault, written to `docs/reference/token-peers.md`.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use super::{Failure, endpoint};

/// A client that takes longer than this for one row is stopped and reported so.
const LIMIT: Duration = Duration::from_secs(25);

const CLIENTS: [(&str, &str); 6] = [
    ("azure_identity", "azure_identity (Rust)"),
    ("azure-identity-py", "azure-identity (Python)"),
    ("msal-py", "MSAL (Python)"),
    ("azure-identity-js", "@azure/identity (Node)"),
    ("msal-node", "MSAL (Node)"),
    ("entrant", "Entrant"),
];

/// One fault: what is done, what is right, and how a result is read.
struct Row {
    name: &'static str,
    title: &'static str,
    right: &'static str,
    read: fn(&Value, u64) -> Reading,
}

/// What a client did in one row.
struct Reading {
    text: String,
    right: bool,
}

fn reading(right: bool, text: String) -> Reading {
    Reading { text, right }
}

fn outcome(result: &Value) -> (&str, f64) {
    (result["outcome"].as_str().unwrap_or("no answer"), result["ms"].as_f64().unwrap_or(f64::INFINITY))
}

const ROWS: [Row; 9] = [
    Row {
        name: "outage",
        title: "The endpoint fails while the token is valid for 290 s more",
        right: "the valid token, at once",
        read: |result, _| {
            let (what, ms) = outcome(result);
            reading(what == "token" && ms < 50.0, format!("{what}, {ms:.0} ms"))
        },
    },
    Row {
        name: "missing",
        title: "IMDS answers 404 to everything; the caller has 3 s",
        right: "an error within 3 s",
        read: |result, requests| {
            let (what, ms) = outcome(result);
            let within = what.starts_with("error") && ms < 3000.0;
            reading(within, format!("{what} after {:.1} s, {requests} requests", ms / 1000.0))
        },
    },
    Row {
        name: "cold",
        title: "64 callers at once, no token yet",
        right: "1 request, 64 tokens",
        read: |result, requests| {
            let tokens = result["tokens"].as_u64().unwrap_or(0);
            reading(requests == 1 && tokens == 64, format!("{requests} requests, {tokens} tokens"))
        },
    },
    Row {
        name: "down",
        title: "64 callers at once, the endpoint fails",
        right: "the failure is shared: at most one try's requests",
        read: |_, requests| reading(requests <= 8, format!("{requests} requests")),
    },
    Row {
        name: "slow",
        title: "A warm token is read while another resource takes 1.5 s",
        right: "at once",
        read: |result, _| {
            let (what, ms) = outcome(result);
            reading(what == "token" && ms < 50.0, format!("{what}, {ms:.0} ms"))
        },
    },
    Row {
        name: "strings",
        title: "`expires_on` and `expires_in` as strings",
        right: "a token",
        read: |result, _| reading(outcome(result).0 == "token", outcome(result).0.to_owned()),
    },
    Row {
        name: "numbers",
        title: "`expires_on` and `expires_in` as numbers",
        right: "a token",
        read: |result, _| reading(outcome(result).0 == "token", outcome(result).0.to_owned()),
    },
    Row {
        name: "seed",
        title: "only `expires_in`, as tutorials print the reply",
        right: "a token",
        read: |result, _| reading(outcome(result).0 == "token", outcome(result).0.to_owned()),
    },
    Row {
        name: "stale",
        title: "The endpoint hands out a token that has expired; asked every 5 ms for 2 s",
        right: "a floor between requests: at most 5",
        read: |_, requests| reading(requests <= 5, format!("{requests} requests")),
    },
];

/// Runs every row with every client and writes the table.
pub async fn run() -> Result<(), Failure> {
    let base = endpoint::serve().await?;
    let mut table = String::from("| fault | right |");
    CLIENTS.iter().for_each(|(_, title)| table.push_str(&format!(" {title} |")));
    table.push_str(&format!("\n|---|---|{}\n", "---|".repeat(CLIENTS.len())));
    let mut ours_wrong = Vec::new();
    for row in &ROWS {
        table.push_str(&format!("| {} | {} |", row.title, row.right));
        for (client, title) in CLIENTS {
            let result = play(client, row.name, &base).await?;
            let requests = counted(&base, client, row.name).await?;
            let found = match result {
                Some(result) => (row.read)(&result, requests),
                None => reading(false, format!("no answer in {} s, {requests} requests", LIMIT.as_secs())),
            };
            println!("{:8} {title:26} {} {}", row.name, if found.right { "right" } else { "WRONG" }, found.text);
            table.push_str(&format!(" {} {} |", if found.right { "✓" } else { "✗" }, found.text));
            if client == "entrant" && !found.right {
                ours_wrong.push(row.name);
            }
        }
        table.push('\n');
    }
    let page = format!("{}{table}", include_str!("faults.md"));
    tokio::fs::write(root().join("docs/reference/token-peers.md"), page).await?;
    println!("\nwritten: docs/reference/token-peers.md");
    if ours_wrong.is_empty() { Ok(()) } else { Err(format!("Entrant is wrong in: {}", ours_wrong.join(", ")).into()) }
}

/// The program that plays one row with one client, in a process of its own; `None` when it took too long.
async fn play(client: &str, row: &str, base: &str) -> Result<Option<Value>, Failure> {
    let peers = root().join("target/peers");
    let clients = root().join("bench/clients");
    let mut command = if client.ends_with("-py") {
        let mut command = Command::new(peers.join("py/bin/python"));
        command.arg(clients.join("token_faults.py")).args([client, row, base]);
        command
    } else if client.ends_with("-js") || client == "msal-node" {
        // Node finds packages from the script's own folder: the workshop copies the scripts beside them.
        let mut command = Command::new("node");
        command.arg(peers.join("node/token_faults.mjs")).args([client, row, base]);
        command
    } else {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["client", client, row, base]);
        command
    };
    if ["azure_identity", "entrant"].contains(&client) && row != "missing" {
        command.env("IDENTITY_ENDPOINT", format!("{base}/msi")).env("IDENTITY_HEADER", "header");
    }
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    let Ok(output) = tokio::time::timeout(LIMIT, child.wait_with_output()).await else { return Ok(None) };
    let output = output?;
    let line = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
    serde_json::from_str(&line)
        .map(Some)
        .map_err(|_| format!("{client}, row {row}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

async fn counted(base: &str, client: &str, row: &str) -> Result<u64, Failure> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = base.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let path = format!("/count?resource=https://{row}.{client}.test");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    Ok(reply.rsplit("\r\n").next().unwrap_or_default().parse()?)
}

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default()
}
