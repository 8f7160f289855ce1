//! Side-by-side runs of published clients and Entrant. `cargo xtask peers|bench AREA` calls this.

mod emulator;
mod redis;
mod tokens;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["peers", "tokens"] => tokens::faults::run().await,
        ["peers", "redis", rows @ ..] => redis::peers::run(rows).await,
        ["redis-client", client, row, seconds] => redis::client::run(client, row, seconds).await,
        ["bench", "tokens"] => tokens::speed::run().await,
        ["bench", "redis", words @ ..] => redis::speed::run(words),
        ["bench", "emulator"] => emulator::run().await,
        ["part", "emulator"] => emulator::section().await.map(drop),
        ["part", "accounts"] => tokens::accounts::section().await.map(|text| println!("{text}")),
        ["part", "verification"] => tokens::verification::section().await.map(|text| println!("{text}")),
        ["speed", client, base] => tokens::speed::measure(client, base).await,
        ["client", client, row, base] => tokens::client::run(client, row, base).await,
        _ => Err("usage: entrant-bench peers tokens|redis, or bench tokens|redis|emulator".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("entrant-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
