//! The one tool of the workshop: `cargo xtask test` is what a person and CI run; `cargo xtask tidy` checks the
//! rules of the house that no compiler knows.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool of the workshop: it starts cargo and package managers, and speaks to a terminal"
)]

mod beside;
mod docs;
mod install;
mod kill;
mod packages;
mod proxies;
mod run;
mod sdk;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  test     install what the tests need, then formatting, tidy, lints and every test (what CI runs)
  tidy     layer edges, banned crates, licences, sizes of files and functions, module documentation
  docs     write the reference pages that come from code
  sdk      other people's clients against `entrant dev`; writes docs/reference/sdk-matrix.md
  install  only the install step of `test`
  peers AREA  the same faults against other people's clients and ours (AREA: tokens, redis)
  kill N   every part is killed, frozen, silenced and slowed N times under load; prints the rows of the page
  differential COUNT  so many random commands to Redis, directly and through the sidecar: the same replies to the byte
  soak MINUTES  the whole system under load, its clock sixty times faster
  bench AREA  other people's clients and ours, measured side by side (AREA: tokens, redis, emulator)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.first().copied() {
        Some("bench") if words.get(1) == Some(&"redis") => proxies::bench(&words[2..]),
        Some(kind @ ("peers" | "bench")) if words.len() == 2 => beside::run(kind, words[1]),
        Some("test") => test::everything(),
        Some("tidy") => tidy::check(),
        Some("sdk") => sdk::matrix(false),
        Some("kill") if words.len() == 2 => kill::run(words[1]),
        Some("soak") if words.len() == 2 => sdk::soak(words[1]),
        Some("differential") if words.len() == 2 => test::differential(words[1]),
        Some("docs") => docs::write(),
        Some("install") => install::all(),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nxtask: {message}");
            ExitCode::FAILURE
        }
    }
}
