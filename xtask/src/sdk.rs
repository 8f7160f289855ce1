//! `cargo xtask sdk`: other people's clients, unmodified, against a running `entrant dev`; the result is a page.

mod page;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use self::page::Cell;
use crate::{packages, run};

const PAGE: &str = "docs/reference/sdk-matrix.md";
const SEED: &str = "conformance/sdk/seed.toml";
/// For all cases of one script, or one example. Each script limits its cases by itself.
const LIMIT: Duration = Duration::from_secs(600);
/// A debug build on busy cores is ready well within this.
const READY: Duration = Duration::from_secs(60);

/// A language's interpreter with its installed packages, and the scripts it runs. A program that is compiled is its
/// own interpreter.
#[derive(Clone, Debug)]
struct Language {
    interpreter: PathBuf,
    folder: PathBuf,
    scripts: &'static [&'static str],
}

/// Installs the packages, starts the system, runs every case, writes the page. With `check`, the page
/// must already say so.
pub(crate) fn matrix(check: bool) -> Result<(), String> {
    let python = python()?;
    let last = Language { scripts: &["faults_time.py"], ..python.clone() };
    let languages = [python, node()?, rust()?, last];
    run::run("cargo", &["build", "--quiet", "--package", "entrant"])?;
    let folder = run::root().join("target/conformance");
    let ready = folder.join("ready.json");
    let _ = std::fs::remove_file(&ready);
    let mut system = start("target/debug/entrant", &["--seed", SEED], &ready, &folder)?;
    let cells = wait_for(&ready, &mut system).and_then(|ca| run_all(&languages, &ready, &ca));
    let cells = cells.and_then(|cells| Ok([cells, examples(&languages)?].concat()));
    let _ = system.kill();
    let _ = system.wait();
    let cells = cells?;

    for (cell, failure) in cells.iter().filter_map(|cell| Some((cell, cell.failure()?))) {
        eprintln!("\n{}\n{failure}", cell.title());
    }
    let failed = cells.iter().filter(|cell| cell.failure().is_some()).count();
    println!("{} passed, {failed} failed", cells.len() - failed);
    if failed > 0 {
        return Err("some clients do not work as they should".to_owned());
    }
    page::complete(&cells)?;
    let page = page::of(&cells);
    if check && std::fs::read_to_string(run::root().join(PAGE)).ok().as_ref() != Some(&page) {
        return Err(format!("{PAGE} is not what this run found: run `cargo xtask sdk`"));
    }
    if check {
        Ok(())
    } else {
        std::fs::write(run::root().join(PAGE), page).map_err(|error| format!("{PAGE}: {error}"))
    }
}

fn python() -> Result<Language, String> {
    let interpreter = packages::python("target/conformance/python", "conformance/sdk/python/requirements.txt")?;
    let scripts = &[
        "msal_client.py",
        "azure_identity_client.py",
        "redis_entraid_client.py",
        "flask_client.py",
        "faults_msal.py",
        "faults_azure_identity.py",
        "faults_entrant.py",
    ];
    Ok(Language { interpreter, folder: run::root().join("conformance/sdk/python"), scripts })
}

fn node() -> Result<Language, String> {
    let folder = packages::node("target/conformance/node", "conformance/sdk/node")?;
    let scripts = &["msal_client.mjs", "azure_identity_client.mjs", "redis_entraid_client.mjs"];
    Ok(Language { interpreter: "node".into(), folder, scripts })
}

fn rust() -> Result<Language, String> {
    let manifest = "conformance/sdk/rust/Cargo.toml";
    run::run("cargo", &["build", "--quiet", "--manifest-path", manifest, "--target-dir", "target/conformance/rust"])?;
    let interpreter = run::root().join("target/conformance/rust/debug/entrant-sdk-rust");
    Ok(Language { interpreter, folder: PathBuf::new(), scripts: &[""] })
}

/// `cargo xtask soak MINUTES`: the system under load with its clock sixty times faster.
pub(crate) fn soak(minutes: &str) -> Result<(), String> {
    let language = python()?;
    run::run("cargo", &["build", "--quiet", "--release", "--package", "entrant"])?;
    let folder = run::root().join("target/conformance");
    let ready = folder.join("ready.json");
    let _ = std::fs::remove_file(&ready);
    let mut system = start("target/release/entrant", &["--time-lapse", "60"], &ready, &folder)?;
    let soaked = wait_for(&ready, &mut system).and_then(|_| {
        let mut command = Command::new(&language.interpreter);
        command.arg(in_repository("conformance/soak/soak.py")).arg(minutes).env("ENTRANT_READY", &ready);
        command.stdin(Stdio::null()).status().map_err(|error| error.to_string())
    });
    let _ = system.kill();
    let _ = system.wait();
    if soaked?.success() {
        Ok(())
    } else {
        Err("the system did not stand it; see target/conformance/entrant.log".to_owned())
    }
}

fn start(program: &str, more: &[&str], ready: &Path, folder: &Path) -> Result<Child, String> {
    let log = std::fs::File::create(folder.join("entrant.log")).map_err(|error| error.to_string())?;
    let log_again = log.try_clone().map_err(|error| error.to_string())?;
    Command::new(run::root().join(program))
        .current_dir(run::root())
        .args(["dev", "--ports", "auto"])
        .args(more)
        .arg("--ready-file")
        .arg(ready)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_again)
        .spawn()
        .map_err(|error| format!("entrant cannot be started: {error}"))
}

/// Waits for the ready file and returns the path of the CA.
fn wait_for(ready: &Path, system: &mut Child) -> Result<String, String> {
    let started = Instant::now();
    loop {
        let facts = std::fs::read(ready).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        if let Some(facts) = facts {
            return Ok(facts["ca_path"].as_str().unwrap_or_default().to_owned());
        }
        if started.elapsed() > READY || system.try_wait().is_ok_and(|ended| ended.is_some()) {
            return Err("entrant dev did not become ready; see target/conformance/entrant.log".to_owned());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn run_all(languages: &[Language], ready: &Path, ca: &str) -> Result<Vec<Cell>, String> {
    let mut cells = Vec::new();
    for language in languages {
        for script in language.scripts {
            let mut command = Command::new(&language.interpreter);
            if !script.is_empty() {
                command.arg(language.folder.join(script));
            }
            command.arg("--all").env("ENTRANT_READY", ready).env("NODE_EXTRA_CA_CERTS", ca);
            command.env("ENTRANT_BIN", in_repository("target/debug/entrant"));
            let (ended_well, said) = run_limited(&mut command)?;
            let before = cells.len();
            for line in said.lines() {
                let cell: Cell = serde_json::from_str(line).map_err(|_| format!("{script} {language:?}:\n{said}"))?;
                println!("{} … {}", cell.title(), if cell.failure().is_none() { "ok" } else { "FAILED" });
                cells.push(cell);
            }
            if !ended_well || cells.len() == before {
                return Err(format!("{script} {language:?} did not come to its end:\n{said}"));
            }
        }
    }
    Ok(cells)
}

/// The examples for test runners of other languages, each with an emulator of its own.
fn examples(languages: &[Language]) -> Result<Vec<Cell>, String> {
    let [python, node, ..] = languages else { return Ok(Vec::new()) };
    packages::copy(&run::root().join("examples/node"), &node.folder).map_err(|error| error.to_string())?;
    let pytest = vec!["-m".to_owned(), "pytest".to_owned(), "--quiet".to_owned(), in_repository("examples/pytest")];
    let script = node.folder.join("identity.test.mjs").to_string_lossy().into_owned();
    let tests = [("pytest", python, pytest), ("node --test", node, vec!["--test".to_owned(), script])];
    let run_one = |(runner, language, arguments): (&str, &Language, Vec<String>)| {
        let mut command = Command::new(&language.interpreter);
        command.args(arguments).env("ENTRANT_BIN", in_repository("target/debug/entrant"));
        let (ended_well, said) = run_limited(&mut command)?;
        println!("examples: {runner} … {}", if ended_well { "ok" } else { "FAILED" });
        Ok(Cell::example(runner, (!ended_well).then_some(said)))
    };
    tests.into_iter().map(run_one).collect()
}

fn in_repository(path: &str) -> String {
    run::root().join(path).to_string_lossy().into_owned()
}

/// Runs a command to its end or to the limit: whether it ended well, and what it wrote.
fn run_limited(command: &mut Command) -> Result<(bool, String), String> {
    let output = run::root().join("target/conformance/case.log");
    let log = std::fs::File::create(&output).map_err(|error| error.to_string())?;
    let log_again = log.try_clone().map_err(|error| error.to_string())?;
    let spawned = command.stdin(Stdio::null()).stdout(log).stderr(log_again).spawn();
    let mut process = spawned.map_err(|error| format!("{command:?}: {error}"))?;
    let started = Instant::now();
    let ended_well = loop {
        if let Some(status) = process.try_wait().map_err(|error| error.to_string())? {
            break status.success();
        }
        if started.elapsed() > LIMIT {
            let _ = process.kill();
            let _ = process.wait();
            return Err(format!("{command:?}: no end after {} s", LIMIT.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    Ok((ended_well, std::fs::read_to_string(&output).unwrap_or_default()))
}
