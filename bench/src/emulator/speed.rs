//! Rounds of both servers in turn, medians, ratios, and the section of the performance page.

use std::time::Duration;

use serde_json::Value;

use super::embedded;
use super::load::{Seen, ask, closed, paced};
use super::server::{Facts, Kind, Server};
use super::start::{prepare, started};
use crate::tokens::speed::median;
use crate::tokens::{Failure, faults::root, page};

const ROUNDS: usize = 3;
/// Of each server in a round.
const STARTS: usize = 4;
const WARM_UP: Duration = Duration::from_millis(300);
const SPAN: Duration = Duration::from_secs(4);
const PACED: (u32, u32) = (200, 600);

/// What one round measured.
#[derive(Debug, Default)]
struct Round {
    start: [f64; 4],
    resident: [f64; 3],
    loaded: [f64; 2],
    tokens: Vec<Seen>,
    identity: Vec<Seen>,
    paced: Vec<f64>,
    openssl: f64,
}

/// Measures and writes the section of the performance page.
pub async fn run() -> Result<(), Failure> {
    let text = section().await?;
    page::replace(&root().join("docs/reference/performance.md"), "emulator", &text)?;
    println!("written: docs/reference/performance.md");
    Ok(())
}

/// Measures and prints.
pub async fn section() -> Result<String, Failure> {
    let facts = prepare().await?;
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        println!("round {number} of {ROUNDS}");
        let round = round(&facts).await?;
        println!("starts {:.0?} ms, resident {:.1?} MiB, openssl {:.0}", round.start, round.resident, round.openssl);
        round.tokens.iter().chain(&round.identity).for_each(|seen| println!("{seen:?}"));
        rounds.push(round);
    }
    let text = table(&rounds) + &embedded::sentence().await?;
    println!("{text}");
    Ok(text)
}

async fn round(facts: &Facts) -> Result<Round, Failure> {
    let mut round = Round { openssl: openssl().await?, ..Round::default() };
    let kinds = [Kind::Peer, Kind::Emulator, Kind::Dev, Kind::PeerWithoutKey];
    let mut starts = [const { Vec::new() }; 4];
    for _ in 0..STARTS {
        for (index, kind) in kinds.into_iter().enumerate() {
            let (server, took) = started(kind, facts).await?;
            starts[index].push(took);
            if let Some(resident) = round.resident.get_mut(index) {
                *resident = server.resident()?;
            }
            server.stop().await?;
        }
    }
    round.start = starts.map(median);

    let (peer, _) = started(Kind::Peer, facts).await?;
    let tokens = peer.service("fresh token")?;
    closed(tokens, peer.pid(), WARM_UP).await?;
    round.tokens.push(closed(tokens, peer.pid(), SPAN).await?);
    round.loaded[0] = peer.resident()?;
    peer.stop().await?;

    let (ours, _) = started(Kind::Emulator, facts).await?;
    let before = counted(&ours).await?;
    let (tokens, identity) = (ours.service("fresh token")?, ours.service("managed identity")?);
    let warm_tokens = closed(tokens, ours.pid(), WARM_UP).await?;
    round.tokens.push(closed(tokens, ours.pid(), SPAN).await?);
    let warm_identity = closed(identity, ours.pid(), WARM_UP).await?;
    round.identity.push(closed(identity, ours.pid(), SPAN).await?);
    round.paced = paced(identity, PACED.0, PACED.1).await?;
    let after = counted(&ours).await?;
    let sent = [
        ("token", warm_tokens.replies + round.tokens[1].replies),
        ("imds", warm_identity.replies + round.identity[0].replies + u64::from(PACED.1)),
    ];
    for (name, sent) in sent {
        let answered = |counters: &Value| counters[name]["answered"].as_u64().unwrap_or(0);
        let seen = answered(&after) - answered(&before);
        if seen != sent {
            return Err(format!("{sent} requests were sent to {name}, and {seen} were counted").into());
        }
    }
    round.loaded[1] = ours.resident()?;
    ours.stop().await?;
    Ok(round)
}

async fn counted(server: &Server) -> Result<Value, Failure> {
    let service = server.service("counters")?;
    let mut buffer = vec![0; 64 * 1024];
    let filled = ask(&mut service.connect().await?, &service.request, &mut buffer).await?;
    let text = String::from_utf8_lossy(&buffer[..filled]);
    Ok(serde_json::from_str(text.split_once("\r\n\r\n").ok_or("no body")?.1)?)
}

/// Signatures a second on one of two busy cores.
async fn openssl() -> Result<f64, Failure> {
    let arguments = ["speed", "-mr", "-seconds", "2", "-multi", "2", "rsa2048"];
    let output = tokio::process::Command::new("openssl").args(arguments).output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `+F2:0:2048:SECONDS OF A SIGNATURE:…`, both processes together.
    let line = text.lines().rfind(|line| line.starts_with("+F2:")).ok_or("openssl speed printed no result")?;
    let value: f64 = line.split(':').nth(3).ok_or("openssl speed printed no signatures")?.parse()?;
    Ok(if value < 1.0 { 1.0 / value } else { value } / 2.0)
}

fn table(rounds: &[Round]) -> String {
    let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    let mut text = include_str!("emulator.md").replace("{ROUNDS}", &rounds.len().to_string());
    text.push_str("| what | oauth2-mock-server | entrant | ratio | goal |\n|---|---|---|---|---|\n");
    let mut row =
        |what: &str, peer: &dyn Fn(&Round) -> f64, ours: &dyn Fn(&Round) -> f64, digits: usize, goal: &str| {
            let ratio = of(&|round| ours(round) / peer(round));
            let (peer, ours) = (of(peer), of(ours));
            text.push_str(&format!("| {what} | {peer:.digits$} | {ours:.digits$} | {ratio:.2} | {goal} |\n"));
        };
    row("start, ms: `emulator`", &|round| round.start[0], &|round| round.start[1], 1, "≤ 0.15");
    row("start, ms: `dev`", &|round| round.start[0], &|round| round.start[2], 1, "");
    row("resident, MiB: `emulator`", &|round| round.resident[0], &|round| round.resident[1], 1, "≤ 0.30");
    row("resident, MiB: `dev`", &|round| round.resident[0], &|round| round.resident[2], 1, "");
    row("resident after the load, MiB", &|round| round.loaded[0], &|round| round.loaded[1], 1, "≤ 0.30");
    row("fresh tokens/s", &|round| round.tokens[0].rate(), &|round| round.tokens[1].rate(), 0, "≥ 2.4");
    row("CPU of a fresh token, µs", &|round| round.tokens[0].cpu_us(), &|round| round.tokens[1].cpu_us(), 0, "");
    row("managed-identity replies/s", &|round| round.tokens[0].rate(), &|round| round.identity[0].rate(), 0, "≥ 25");
    row("CPU of one, µs", &|round| round.tokens[0].cpu_us(), &|round| round.identity[0].cpu_us(), 1, "");
    let core = of(&|round| 1e6 / round.tokens[1].cpu_us() / round.openssl);
    let (openssl, tokens) = (of(&|round| round.openssl), of(&|round| 1e6 / round.tokens[1].cpu_us()));
    let at = |round: &Round, share: f64| round.paced[((round.paced.len() - 1) as f64 * share) as usize];
    let part = |seen: &Seen| seen.generator / seen.seconds;
    text.push_str(&format!(
        "\nFresh tokens for a core: {tokens:.0} a CPU second, {core:.2} of the {openssl:.0} that `openssl speed` signs (goal ≥ 0.9).\n\
         A managed identity's reply at 200 requests a second: {:.2} ms at the median, {:.2} ms at the 99th percentile (goal < 5 ms).\n\
         Without a kept key the peer starts in {:.0} ms. The load generator took {:.2}, {:.2} and {:.2} of a core (peer's tokens, ours, managed\n\
         identity), the servers {:.2}, {:.2} and {:.2}.\n",
        of(&|round| at(round, 0.5)),
        of(&|round| at(round, 0.99)),
        of(&|round| round.start[3]),
        of(&|round| part(&round.tokens[0])),
        of(&|round| part(&round.tokens[1])),
        of(&|round| part(&round.identity[0])),
        of(&|round| round.tokens[0].server / round.tokens[0].seconds),
        of(&|round| round.tokens[1].server / round.tokens[1].seconds),
        of(&|round| round.identity[0].server / round.identity[0].seconds),
    ));
    text
}
