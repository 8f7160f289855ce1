//! What the runs found: one JSON object a line, so that a page can be made of parts that were run at different times.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::load::number;
use crate::tokens::{Failure, faults::root};

/// The file of results.
pub struct Runs(PathBuf);

impl Runs {
    pub fn open() -> Result<Self, Failure> {
        let folder = root().join("target/bench/redis");
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder.join("runs.jsonl")))
    }

    pub fn forget(&self) -> Result<(), Failure> {
        Ok(std::fs::write(&self.0, "")?)
    }

    /// Notes what was found, and shows it.
    pub fn keep(&self, part: &str, what: &str, who: &str, round: usize, found: &Value) -> Result<(), Failure> {
        let mut file = std::fs::File::options().append(true).create(true).open(&self.0)?;
        writeln!(file, "{}", json!({"part": part, "what": what, "who": who, "round": round, "found": found}))?;
        print_line(what, who, found);
        Ok(())
    }

    pub fn all(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub fn next_round(&self, part: &str) -> usize {
        let rounds = self.all().into_iter().filter(|run| run["part"] == part).filter_map(|run| run["round"].as_u64());
        rounds.max().map_or(0, |last| last as usize + 1)
    }

    /// The rate that somebody had last time.
    pub fn rate(&self, what: &str, who: &str) -> Option<f64> {
        self.all().iter().rev().find(|run| run["what"] == what && run["who"] == who)?["found"]["rate"].as_f64()
    }

    /// The results of one part, its last run of each contender.
    pub fn last(&self, part: &str, who: &str) -> Option<Value> {
        self.all()
            .into_iter()
            .rev()
            .find(|run| run["part"] == part && run["who"] == who)
            .map(|run| run["found"].clone())
    }
}

/// One line for whoever watches.
pub fn print_line(what: &str, who: &str, found: &Value) {
    let of = |key| number(found, key);
    if found["rate"].is_null() {
        return println!("{what:8} {who:20} {found}");
    }
    println!(
        "{what:8} {who:20} {:9.0}/s p50 {:.3} p99 {:.3} ms; CPU µs: client {:.1} proxy {:.1} redis {:.1}",
        of("rate"),
        of("p50"),
        of("p99"),
        of("client"),
        of("proxy"),
        of("redis")
    );
}

/// Microseconds for one RS256 verification, by OpenSSL.
pub fn openssl_verify() -> Result<f64, Failure> {
    let output = Command::new("openssl").args(["speed", "-seconds", "2", "-mr", "rsa2048"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // +F2:2:2048:signatures a second:verifications a second
    let line = text.lines().find(|line| line.starts_with("+F2:")).ok_or("openssl speed said nothing")?;
    let rate = line.rsplit(':').next().and_then(|rate| rate.trim().parse::<f64>().ok()).ok_or("no number")?;
    Ok(1e6 / rate)
}
