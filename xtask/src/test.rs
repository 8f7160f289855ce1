//! `cargo xtask test`: everything that must hold before a change lands, quickest answers first.

use std::process::{Command, Stdio};

use crate::{install, run, sdk, tidy};

/// Formatting, the rules of the house, lints, then plain `cargo test`. Its closing lines are the run's closing lines.
pub(crate) fn everything() -> Result<(), String> {
    run::run("cargo", &["fmt", "--all", "--check"])?;
    tidy::check()?;
    install::all()?;
    run::run("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    alert_rules()?;
    clients()?;
    run::run("cargo", &["test", "--workspace", "--no-fail-fast", "--features", "entrant-validate/axum"])
}

/// `cargo xtask differential COUNT`: the sidecar's random-command comparison at length, in both modes.
pub(crate) fn differential(count: &str) -> Result<(), String> {
    install::all()?;
    let arguments = ["test", "--package", "entrant-relay", "--test", "sidecar_differential", "--", "--nocapture"];
    println!("$ ENTRANT_DIFFERENTIAL={count} cargo {}", arguments.join(" "));
    let status = Command::new("cargo")
        .args(arguments)
        .current_dir(run::root())
        .env("ENTRANT_DIFFERENTIAL", count)
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err("the sidecar's replies are not the server's own".to_owned()) }
}

/// Prometheus itself reads the alert rules, where its tool is installed.
fn alert_rules() -> Result<(), String> {
    if !run::on_path("promtool") || !run::root().join("deploy/prometheus/entrant.rules.yml").exists() {
        return Ok(());
    }
    run::run("promtool", &["check", "rules", "deploy/prometheus/entrant.rules.yml"])?;
    run::run("promtool", &["test", "rules", "deploy/prometheus/entrant.test.yml"])
}

/// Other people's clients, where their languages are installed. In CI they are.
fn clients() -> Result<(), String> {
    let absent: Vec<&str> = ["python3", "node", "npm"].into_iter().filter(|program| !run::on_path(program)).collect();
    if absent.is_empty() {
        return sdk::matrix(true);
    }
    if run::is_ci() {
        return Err(format!("in CI nothing is skipped, and these are missing: {}", absent.join(", ")));
    }
    println!("skipped: other people's clients need {}", absent.join(", "));
    Ok(())
}
