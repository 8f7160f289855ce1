//! Every row with every client, each pair with a stage of its own; the table is `docs/reference/redis-peers.md`.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};

use super::rows::{At, Event, MESSAGES, Place, ROWS, Reading, Row, Seen};
use super::stage::Stage;
use super::table::{self, CLIENTS, Cell};
use crate::tokens::{Failure, faults::root};

/// A client that is not done so long after its span is stopped and reported so.
const GRACE: Duration = Duration::from_secs(40);
/// A client that is not ready by then is stopped; a thousand connections take their time.
const READY: Duration = Duration::from_secs(120);
/// Attempts at a stage that does not start, or at a client that does not connect: a busy machine is nobody's fault.
const ATTEMPTS: usize = 3;
const PAUSE: Duration = Duration::from_secs(5);
/// Plays of ours in each row; of each other client one.
const REPEATS: usize = 3;
/// The `redis` crate's provider renews so long before a token's end, whatever its life. Where a row is not about
/// that, the crate's tokens live so much longer.
const OWN_WINDOW: u64 = 240;

/// Stages that start at once, and clients of busy rows that play at once.
static STARTING: Semaphore = Semaphore::const_new(2);
static PLAYING: Semaphore = Semaphore::const_new(2);

/// Runs the rows and clients, or only those named, and writes the page when every place of the table is known.
pub async fn run(only: &[&str]) -> Result<(), Failure> {
    let rows: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
    let clients: Vec<&str> = CLIENTS.iter().map(|(client, _)| *client).collect();
    if let Some(unknown) = only.iter().find(|one| !rows.contains(one) && !clients.contains(one)) {
        return Err(format!("{unknown} is neither a row nor a client: {rows:?} {clients:?}").into());
    }
    let wanted = |name: &str, all: &[&str]| !only.iter().any(|one| all.contains(one)) || only.contains(&name);
    let mut found = Vec::new();
    // The rows that mostly wait play side by side, then the busy ones.
    for busy in [false, true] {
        let rows = ROWS.iter().filter(|row| row.busy == busy && wanted(row.name, &rows));
        let pairs = rows.flat_map(|row| clients.iter().map(move |client| (row, *client)));
        let plays = pairs.filter(|(_, client)| wanted(client, &clients)).map(|(row, client)| async move {
            let cell = cell(client, row).await;
            table::keep(row, client, &cell).await.map(|()| (row, client, cell))
        });
        found.extend(futures_util::future::try_join_all(plays).await?);
    }
    table::write().await?;
    let wrong = found.iter().filter(|(_, client, cell)| *client == "entrant" && !cell.is_right());
    let wrong: Vec<&str> = wrong.map(|(row, ..)| row.name).collect();
    if wrong.is_empty() { Ok(()) } else { Err(format!("Entrant is not right in: {}", wrong.join(", ")).into()) }
}

/// One place of the table.
async fn cell(client: &str, row: &Row) -> Cell {
    if client == "redis-rs" && row.name == "resp2" {
        return Cell::NotOffered("its RESP2 subscriber takes no credentials provider");
    }
    let times = if client == "entrant" { REPEATS } else { 1 };
    let plays = (0..times).map(|turn| async move {
        let mut failure = String::new();
        for attempt in 0..ATTEMPTS {
            let _place = if row.busy { PLAYING.acquire().await.ok() } else { None };
            match play(client, row, turn).await {
                Ok(Play::Done(reading)) => return Ok(reading),
                Ok(Play::Unconnected(text)) if attempt + 1 == ATTEMPTS => return Ok(Reading { right: false, text }),
                Ok(Play::Unconnected(text)) => failure = text,
                Err(error) => failure = error.to_string(),
            }
            println!("{:9} {client:11} attempt {}: {failure}", row.name, attempt + 1);
            sleep(PAUSE).await;
        }
        Err(failure)
    });
    let played: Result<Vec<Reading>, String> = futures_util::future::join_all(plays).await.into_iter().collect();
    match played {
        Err(why) => Cell::NotRun(why),
        Ok(played) => {
            let right = played.iter().filter(|reading| reading.right).count();
            let shown = played.iter().find(|reading| !reading.right).or(played.last());
            Cell::Played { times, right, text: shown.map(|reading| reading.text.clone()).unwrap_or_default() }
        }
    }
}

/// How a play went.
enum Play {
    Done(Reading),
    /// The client gave up before it began.
    Unconnected(String),
}

/// One play. An error: it could not be played at all.
async fn play(client: &str, row: &Row, turn: usize) -> Result<Play, Failure> {
    // How much longer this client's tokens live than the row says.
    let longer = match row.renew_at {
        Some(renew_at) if client == "redis-rs" => renew_at + OWN_WINDOW - row.life,
        _ => 0,
    };
    let span = row.span + if row.past_end { longer } else { 0 };
    let (stage, ids, mut child, mut lines) = {
        let _turn = STARTING.acquire().await?;
        let stage = Stage::start(&format!("{}-{client}-{turn}", row.name), row.place, row.life + longer).await?;
        let ids = if row.place == Place::Modern { stage.open_door().await? } else { String::new() };
        let mut child = command(client)?
            .args([row.name, &span.to_string()])
            .envs(stage.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stage.log()?)
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        match timeout(READY, is_ready(&mut lines)).await {
            Ok(true) => {}
            Ok(false) => return Ok(Play::Unconnected(format!("did not connect: {}", stage.complaint()))),
            Err(_) => return Err(format!("the client was not ready after {} s", READY.as_secs()).into()),
        }
        (stage, ids, child, lines)
    };
    let before = stage.gates("entrant_gate_closed_total", "expired").await?;
    let started = Instant::now();
    let beside = async {
        for (at, event) in row.events {
            let at = match at {
                At::Start(at) => *at,
                At::End(at) => row.life + longer + at,
            };
            sleep_until(started + Duration::from_secs(at)).await;
            happen(&stage, *event, &ids).await?;
        }
        Ok::<(), Failure>(())
    };
    let fresh = async {
        // An hour's token has long been renewed at the endpoint when 240 s of it are left; so are these.
        let mut beat = interval(Duration::from_millis(500));
        while longer > 0 {
            beat.tick().await;
            stage.fresh_token().await;
        }
        std::future::pending::<()>().await;
    };
    let end = started + Duration::from_secs(span) + GRACE;
    let ended = async {
        tokio::select! {
            result = last_object(&mut lines) => result,
            () = sleep_until(end) => None,
            () = fresh => None,
        }
    };
    let (result, happened) = tokio::join!(ended, beside);
    happened?;
    let seen = Seen {
        token_requests: stage.token_requests().await?,
        auths: stage.gates("entrant_gate_auth_total", "ok").await?,
        expired: stage.gates("entrant_gate_closed_total", "expired").await?.saturating_sub(before),
    };
    stop(&mut child).await;
    Ok(Play::Done(match result {
        Some(result) => (row.read)(&result, &seen),
        None => Reading { right: false, text: format!("no end {} s after its time; stopped", GRACE.as_secs()) },
    }))
}

async fn happen(stage: &Stage, event: Event, ids: &str) -> Result<(), Failure> {
    match event {
        Event::Outage(on) => stage.outage(on).await,
        Event::Push(list) => stage.redis(&format!("RPUSH {list} element")).await.map(drop),
        Event::Publish => stage.publish(MESSAGES, MESSAGES / 16).await,
        Event::Reshard => stage.reshard().await,
        Event::RejectTokens => {
            for id in ids.split(' ') {
                stage.redis(&format!("ACL SETUSER {id} resetpass")).await?;
            }
            Ok(())
        }
    }
}

async fn is_ready(lines: &mut Lines<BufReader<ChildStdout>>) -> bool {
    while let Ok(Some(line)) = lines.next_line().await {
        if line == "ready" {
            return true;
        }
    }
    false
}

/// The JSON object that a client prints last.
async fn last_object(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<Value> {
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
