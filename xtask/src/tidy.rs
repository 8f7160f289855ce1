//! `cargo xtask tidy`: the rules of the house that neither compiler nor linter knows.

mod cases;
mod layers;
mod lexer;
pub(crate) mod metrics;
mod sources;
mod supply;
mod text;

use crate::run;

/// The crates that some feature or platform of ours really switches on, with their licences.
const TREE: &[&str] = &[
    "tree",
    "--locked",
    "--workspace",
    "--target",
    "all",
    "--edges",
    "normal,build,dev",
    "--prefix",
    "none",
    "--format",
    "{p};{l}",
];

/// Runs every check and reports all that is wrong, not just the first.
pub(crate) fn check() -> Result<(), String> {
    let metadata = run::output("cargo", &["metadata", "--format-version", "1", "--locked"])?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata printed no JSON: {error}"))?;
    let tracked = run::output("git", &["ls-files", "--cached", "--others", "--exclude-standard"])?;
    let tracked: Vec<&str> = tracked.lines().filter(|path| run::root().join(path).is_file()).collect();

    let mut complaints = layers::check(&metadata);
    complaints.extend(supply::check(&run::output("cargo", TREE)?));
    complaints.extend(sources::check(&tracked)?);
    complaints.extend(text::check(&tracked));
    complaints.extend(metrics::check(&tracked)?);
    complaints.extend(cases::check(&tracked)?);
    if complaints.is_empty() {
        println!("tidy: {} files, all in order", tracked.len());
        return Ok(());
    }
    complaints.sort();
    for complaint in &complaints {
        eprintln!("tidy: {complaint}");
    }
    Err(format!("tidy found {} thing(s) to put right", complaints.len()))
}
