//! `cargo xtask peers AREA`: other people's clients and ours through the same faults, side by side.

use crate::{packages, run};

/// Installs the clients and runs the comparison, which writes its own page.
pub(crate) fn run(area: Option<&str>) -> Result<(), String> {
    match area {
        Some("tokens") => {
            packages::python("target/peers/py", "bench/clients/requirements.txt")?;
            packages::node("target/peers/node", "bench/clients")?;
            run::run("cargo", &["run", "--release", "--manifest-path", "bench/Cargo.toml", "--", "peers", "tokens"])
        }
        _ => Err("usage: cargo xtask peers tokens".to_owned()),
    }
}
