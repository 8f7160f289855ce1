//! `cargo xtask kill N`: the kill tests, each fault so many times.

use std::process::Command;

/// Runs them one after another, so that no fault slows down another's recovery.
pub(crate) fn run(times: &str) -> Result<(), String> {
    times.parse::<u32>().map_err(|_| format!("`{times}` is not how often"))?;
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "-p", "entrant", "--test", "kill", "--", "--nocapture", "--test-threads", "1"]);
    let status = cargo.env("ENTRANT_KILL", times).current_dir(crate::run::root()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("a promise was broken".to_owned()),
        Err(error) => Err(format!("cargo cannot be started: {error}")),
    }
}
