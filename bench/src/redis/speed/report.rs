//! The section of the performance page.

use std::fmt::Write as _;

use serde_json::Value;

use super::MANY;
use super::contenders::{ALL, DIRECT, DIRECT_TLS};
use super::load::{SHAPES, number};
use super::runs::Runs;
use crate::tokens::{Failure, faults::root, page, speed::median};

/// Writes it from everything found so far.
pub fn write(runs: &Runs) -> Result<(), Failure> {
    let all = runs.all();
    let mut text = String::from(include_str!("speed.md"));
    for shape in &SHAPES {
        writeln!(text, "\n{}:\n", shape.title)?;
        table(&mut text, &all, "load", shape.name)?;
    }
    writeln!(text, "\nA connection for each command, twenty at a time:\n")?;
    table(&mut text, &all, "connect", "connect")?;
    memory(&mut text, runs)?;
    renewal(&mut text, runs)?;
    gate(&mut text, runs)?;
    page::replace(&root().join("docs/reference/performance.md"), "redis", &text)?;
    println!("{text}\nwritten: docs/reference/performance.md");
    Ok(())
}

/// One shape: medians over rounds, ratios within a round.
fn table(text: &mut String, all: &[Value], part: &str, what: &str) -> Result<(), Failure> {
    let of = |who: &str| -> Vec<&Value> {
        all.iter().filter(|run| run["part"] == part && run["what"] == what && run["who"] == who).collect()
    };
    let ratio = |who: &str, to: &str, key: &str| -> f64 {
        let reference = of(to);
        let pairs = of(who).into_iter().filter_map(|run| {
            let other = reference.iter().find(|other| other["round"] == run["round"])?;
            Some(number(&run["found"], key) / number(&other["found"], key))
        });
        middle(pairs.collect())
    };
    writeln!(
        text,
        "| | a second | × direct TLS | × direct plain text | p50 ms | p99 ms | p99 × direct TLS | CPU µs, all | client | proxy | Redis |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|---|---|---|---|")?;
    for who in ALL {
        let found = of(who);
        let value = |key: &str| middle(found.iter().map(|run| number(&run["found"], key)).collect());
        let sum = value("client") + value("proxy") + value("redis");
        writeln!(
            text,
            "| {who} | {:.0} | {:.2} | {:.2} | {:.3} | {:.3} | {:.2} | {sum:.1} | {:.1} | {:.1} | {:.1} |",
            value("rate"),
            ratio(who, DIRECT_TLS, "rate"),
            ratio(who, DIRECT, "rate"),
            value("p50"),
            value("p99"),
            ratio(who, DIRECT_TLS, "p99"),
            value("client"),
            value("proxy"),
            value("redis"),
        )?;
    }
    Ok(())
}

fn middle(values: Vec<f64>) -> f64 {
    if values.is_empty() { f64::NAN } else { median(values) }
}

fn memory(text: &mut String, runs: &Runs) -> Result<(), Failure> {
    let title = "Memory of the process between, MiB resident (in brackets what is its own and not mapped from the program's file), each\nclient served once and then idle";
    writeln!(text, "\n{title}:\n")?;
    writeln!(text, "| | empty | 50 | 1,000 | KiB a client |\n|---|---|---|---|---|")?;
    for who in ALL.into_iter().filter(|who| !who.starts_with("direct")) {
        let Some(found) = runs.last("memory", who) else { continue };
        let both =
            |value: &Value, all: &str, own: &str| format!("{:.1} ({:.1})", number(value, all), number(value, own));
        let (few, many) = (&found["idle"][0], &found["idle"][1]);
        let each = (number(many, "own") - number(few, "own")) * 1024.0 / 950.0;
        let (few, many) = (both(few, "memory", "own"), both(many, "memory", "own"));
        writeln!(text, "| {who} | {} | {few} | {many} | {each:.1} |", both(&found, "empty", "empty_own"))?;
    }
    writeln!(
        text,
        "\nTen thousand clients (a client with a connection of its own takes two of the sidecar's sockets, and a\nprocess here has 20,000):\n"
    )?;
    writeln!(text, "| | clients | served | seconds to connect all | MiB |\n|---|---|---|---|---|")?;
    for (who, count) in MANY {
        let Some(found) = runs.last("many", who) else { continue };
        let (seconds, memory) = (number(&found["idle"][0], "seconds"), number(&found["idle"][0], "memory"));
        writeln!(text, "| {who} | {count} | {} | {seconds:.1} | {memory:.0} |", found["served"])?;
    }
    Ok(())
}

fn renewal(text: &mut String, runs: &Runs) -> Result<(), Failure> {
    writeln!(
        text,
        "\nGETs of sixteen clients while tokens of 20 s are renewed; a second with a re-AUTH beside those without:\n"
    )?;
    writeln!(
        text,
        "| | re-AUTHs | seconds with, without | p99 with, ms | p99 without, ms | × | clients lost |\n|---|---|---|---|---|---|---|"
    )?;
    for (who, _) in MANY {
        let Some(found) = runs.last("renewal", who) else { continue };
        let of = |key| number(&found, key);
        writeln!(
            text,
            "| {who} | {:.0} | {}, {} | {:.3} | {:.3} | {:.2} | {} |",
            of("renewals"),
            found["seconds"][0],
            found["seconds"][1],
            of("busy"),
            of("calm"),
            of("ratio"),
            found["lost"]
        )?;
    }
    Ok(())
}

fn gate(text: &mut String, runs: &Runs) -> Result<(), Failure> {
    let Some(found) = runs.last("gate", "gate") else { return Ok(()) };
    writeln!(text, "\nThe gate, GET with sixteen connections, TLS in both rows:\n")?;
    writeln!(
        text,
        "| | a second | × | p50 ms | p99 ms | client µs | gate µs | Redis µs |\n|---|---|---|---|---|---|---|---|"
    )?;
    for (title, row, ratio) in [
        ("redis-server", &found["get"]["bare"], 1.0),
        ("the gate before it", &found["get"]["gate"], number(&found["get"], "ratio")),
    ] {
        let of = |key| number(row, key);
        writeln!(
            text,
            "| {title} | {:.0} | {ratio:.2} | {:.3} | {:.3} | {:.1} | {:.1} | {:.1} |",
            of("rate"),
            of("p50"),
            of("p99"),
            of("client"),
            of("gate"),
            of("redis")
        )?;
    }
    let (auth, verify) = (&found["auth"], number(&found, "verify"));
    let (first, again) = (number(auth, "first"), number(auth, "again"));
    writeln!(
        text,
        "\nAn AUTH at the gate costs it {first:.0} µs of CPU with a token not seen before and {again:.0} µs with one that was, all system\n\
         calls and Redis' own AUTH included; a PING costs {:.0} µs, one RS256 verification by `openssl speed` {verify:.0} µs.",
        number(auth, "ping")
    )?;
    Ok(())
}
