//! `cargo xtask peers|bench AREA`: published clients and ours in one run, in the workspace of `bench/`.

use crate::{packages, run};

/// Installs the peers by pinned version below `target/peers`, never into the system, and starts the run; it writes
/// its own page below `docs/reference`.
pub(crate) fn run(kind: &str, area: &str) -> Result<(), String> {
    if area != "emulator" {
        packages::python("target/peers/py", "bench/clients/requirements.txt")?;
    }
    packages::node("target/peers/node", "bench/clients")?;
    if area == "redis" {
        // The clients of Redis meet the product's own emulator and gate.
        run::run("cargo", &["build", "--quiet", "--package", "entrant"])?;
    }
    if area == "emulator" {
        run::run("cargo", &["build", "--quiet", "--release", "--package", "entrant"])?;
    }
    run::run("cargo", &["run", "--quiet", "--release", "--manifest-path", "bench/Cargo.toml", "--", kind, area])
}
