//! `cargo xtask test`: everything that must hold before a change lands, quickest answers first.

use crate::{install, packages, run, sdk, tidy};

/// Formatting, the rules of the house, lints, then plain `cargo test`. Its closing lines are the run's closing lines.
pub(crate) fn everything() -> Result<(), String> {
    run::run("cargo", &["fmt", "--all", "--check"])?;
    tidy::check()?;
    install::all()?;
    run::run("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    alert_rules()?;
    attack_tool()?;
    from_npm("axe", "The pages' accessibility will not be checked")?;
    from_npm("oidc-provider", "The journeys at a second identity provider will be skipped")?;
    clients()?;
    run::run("cargo", &["test", "--workspace", "--no-fail-fast", "--features", "entrant-validate/axum"])
}

/// The tool that forges tokens for the validator's test, from PyPI. Without a network the test says that it was
/// skipped; in CI nothing is.
fn attack_tool() -> Result<(), String> {
    match packages::python("target/conformance/tokens", "conformance/tokens/requirements.txt") {
        Err(error) if !run::is_ci() => {
            println!("The attack tool's test will be skipped: {error}");
            Ok(())
        }
        installed => installed.map(|_| ()),
    }
}

/// What the journeys need beside a browser: a folder of `conformance/` with its packages, in `target/conformance/`.
fn from_npm(name: &str, without: &str) -> Result<(), String> {
    match packages::node(&format!("target/conformance/{name}"), &format!("conformance/{name}")) {
        Err(error) if !run::is_ci() => {
            println!("{without}: {error}");
            Ok(())
        }
        installed => installed.map(|_| ()),
    }
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
