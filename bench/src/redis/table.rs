//! The table: what each client did in each row, kept between runs of single rows, and the page made of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::rows::{ROWS, Row};
use crate::tokens::{Failure, faults::root};

pub const CLIENTS: [(&str, &str); 4] = [
    ("redis-py", "redis-py + redis-entraid"),
    ("node-redis", "node-redis + @redis/entraid"),
    ("redis-rs", "`redis` crate, `entra-id`"),
    ("entrant", "`entrant-redis`"),
];

/// What is in one place of the table.
#[derive(Clone)]
pub enum Cell {
    /// It played so often, was right so often, and did this the last time it was wrong, else the last time.
    Played { times: usize, right: usize, text: String },
    /// The client has no such thing, and why.
    NotOffered(&'static str),
    /// The stage did not start, and why.
    NotRun(String),
}

impl Cell {
    pub fn is_right(&self) -> bool {
        matches!(self, Self::Played { times, right, .. } if times == right)
    }

    fn text(&self) -> String {
        match self {
            Self::Played { times: 1, right, text } => format!("{} {text}", if *right == 1 { "✓" } else { "✗" }),
            Self::Played { times, right, text } => {
                let mark = if right == times { "✓" } else { "✗" };
                format!("{mark} right in {right} of {times} runs; {text}")
            }
            Self::NotOffered(why) => format!("not offered: {why}"),
            Self::NotRun(why) => format!("not run: {why}"),
        }
    }

    fn is_known(&self) -> bool {
        !matches!(self, Self::NotRun(_))
    }
}

/// Prints what was found and keeps it beside what else was found, in this run or an earlier one.
pub async fn keep(row: &Row, client: &str, cell: &Cell) -> Result<(), Failure> {
    static ONE: Mutex<()> = Mutex::const_new(());
    let _one = ONE.lock().await;
    println!("{:9} {client:11} {}", row.name, cell.text());
    let mut known = known().await;
    let key = format!("{} {client}", row.name);
    if cell.is_known() || !known.contains_key(&key) {
        known.insert(key, json!({ "text": cell.text(), "title": row.title }));
    }
    Ok(tokio::fs::write(file(), serde_json::to_vec_pretty(&known)?).await?)
}

fn file() -> PathBuf {
    root().join("target/peers/redis/table.json")
}

async fn known() -> BTreeMap<String, Value> {
    tokio::fs::read(file()).await.ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// Writes the page, when nothing is missing.
pub async fn write() -> Result<(), Failure> {
    let known = known().await;
    let mut table = String::from("| moment | right |");
    CLIENTS.iter().for_each(|(_, title)| table.push_str(&format!(" {title} |")));
    table.push_str(&format!("\n|---|---|{}\n", "---|".repeat(CLIENTS.len())));
    for row in &ROWS {
        table.push_str(&format!("| {} | {} |", row.title, row.right));
        for (client, _) in CLIENTS {
            // A row that is another one by now has to be played again.
            let cell = known.get(&format!("{} {client}", row.name)).filter(|cell| cell["title"] == row.title);
            let Some(text) = cell.and_then(|cell| cell["text"].as_str()) else {
                println!("\nnot written: row {} of {client} has never been run", row.name);
                return Ok(());
            };
            table.push_str(&format!(" {text} |"));
        }
        table.push('\n');
    }
    let page = format!("{}{table}{}", include_str!("peers.md"), include_str!("notes.md"));
    tokio::fs::write(root().join("docs/reference/redis-peers.md"), page).await?;
    println!("\nwritten: docs/reference/redis-peers.md");
    Ok(())
}
