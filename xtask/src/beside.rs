//! `cargo xtask peers|bench AREA`: published clients and ours in one run, in the workspace of `bench/`.

use crate::run;

/// Published packages by name; installed below `target/peers`, never into the system.
const PYPI: &[&str] = &["azure-identity", "msal", "requests"];
const NPM: &[&str] = &["@azure/identity", "@azure/msal-node"];

/// Installs the peers and starts the run; it writes its own page below `docs/reference`.
pub(crate) fn run(kind: &str, area: &str) -> Result<(), String> {
    install()?;
    run::run("cargo", &["run", "--quiet", "--release", "--manifest-path", "bench/Cargo.toml", "--", kind, area])
}

fn install() -> Result<(), String> {
    let peers = run::root().join("target/peers");
    std::fs::create_dir_all(peers.join("node")).map_err(|error| format!("{}: {error}", peers.display()))?;
    if !peers.join("py/bin/pip").exists() {
        run::run("python3", &["-m", "venv", "target/peers/py"])?;
    }
    let mut pip = vec!["install", "--quiet", "--disable-pip-version-check"];
    pip.extend(PYPI);
    run::run("target/peers/py/bin/pip", &pip)?;
    let mut npm = vec!["install", "--silent", "--no-audit", "--no-fund", "--prefix", "target/peers/node"];
    npm.extend(NPM);
    run::run("npm", &npm)
}
