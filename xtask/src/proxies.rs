//! `cargo xtask bench redis`: the proxies that stand beside the sidecar, and the release build that stands there.

use crate::{install, packages, run};

/// Program and Debian package. Their services are not started: the run starts each with a configuration of its own.
const DEBIAN: [(&str, &str); 6] = [
    ("redis-server", "redis-server"),
    ("redis-benchmark", "redis-tools"),
    ("haproxy", "haproxy"),
    ("nginx", "libnginx-mod-stream"),
    ("stunnel", "stunnel4"),
    ("nutcracker", "nutcracker"),
];

/// Installs what is missing, builds, and starts the run; it writes its part of docs/reference/performance.md.
pub(crate) fn bench(words: &[&str]) -> Result<(), String> {
    let missing: Vec<&str> =
        DEBIAN.iter().filter(|(program, _)| !run::on_path(program)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        install::apt_get(&["update", "-qq"])?;
        let install = ["install", "-y", "-qq", "--no-install-recommends"];
        install::apt_get(&[&install[..], &missing[..]].concat())?;
    }
    packages::python("target/bench/py", "bench/clients/proxies.txt")?;
    run::run("cargo", &["build", "--quiet", "--release", "--package", "entrant"])?;
    let bench = ["run", "--quiet", "--release", "--manifest-path", "bench/Cargo.toml", "--", "bench", "redis"];
    run::run("cargo", &[&bench[..], words].concat())
}
