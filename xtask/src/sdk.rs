//! `cargo xtask sdk`: other people's clients, unmodified, against a running `entrant dev`; the result is a page.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{packages, run};

const PAGE: &str = "docs/reference/sdk-matrix.md";
/// No case takes longer than a few seconds; the slowest clients retry for twenty before they give up.
const LIMIT: Duration = Duration::from_secs(60);
/// A debug build on busy cores is ready well within this.
const READY: Duration = Duration::from_secs(60);

/// A language's interpreter with its installed packages, and the scripts it runs.
struct Language {
    interpreter: PathBuf,
    folder: PathBuf,
    scripts: &'static [&'static str],
}

/// One case and how it ended.
#[derive(Clone)]
struct Outcome {
    client: String,
    name: String,
    needs: String,
    failure: Option<String>,
}

/// Installs the packages, starts the system, runs every case, writes the page. With `check`, the page
/// must already say so.
pub(crate) fn matrix(check: bool) -> Result<(), String> {
    let languages = [python()?, node()?];
    run::run("cargo", &["build", "--quiet", "--package", "entrant"])?;
    let folder = run::root().join("target/conformance");
    let ready = folder.join("ready.json");
    let _ = std::fs::remove_file(&ready);
    let mut system = start(&[], &ready, &folder)?;
    let outcomes = wait_for(&ready, &mut system).and_then(|ca| run_all(&languages, &ready, &ca));
    let outcomes = outcomes.and_then(|outcomes| Ok([outcomes, examples(&languages)?].concat()));
    let _ = system.kill();
    let _ = system.wait();
    let outcomes = outcomes?;

    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.failure.is_some()).collect();
    for outcome in &failed {
        eprintln!("\n{}: {}\n{}", outcome.client, outcome.name, outcome.failure.as_deref().unwrap_or_default());
    }
    if check && failed.is_empty() && std::fs::read_to_string(run::root().join(PAGE)).ok() != Some(page(&outcomes)) {
        return Err(format!("{PAGE} is not what this run found: run `cargo xtask sdk`"));
    }
    if !check {
        std::fs::write(run::root().join(PAGE), page(&outcomes)).map_err(|error| format!("{PAGE}: {error}"))?;
    }
    println!("{} passed, {} failed", outcomes.len() - failed.len(), failed.len());
    if failed.is_empty() { Ok(()) } else { Err("some clients do not work as they should".to_owned()) }
}

fn python() -> Result<Language, String> {
    let interpreter = packages::python("target/conformance/python", "conformance/sdk/python/requirements.txt")?;
    let scripts = &["msal_client.py", "azure_identity_client.py", "redis_entraid_client.py", "flask_client.py"];
    Ok(Language { interpreter, folder: run::root().join("conformance/sdk/python"), scripts })
}

fn node() -> Result<Language, String> {
    let folder = packages::node("target/conformance/node", "conformance/sdk/node")?;
    let scripts = &["msal_client.mjs", "azure_identity_client.mjs", "redis_entraid_client.mjs"];
    Ok(Language { interpreter: "node".into(), folder, scripts })
}

/// `cargo xtask soak MINUTES`: the system under load with its clock sixty times faster.
pub(crate) fn soak(minutes: &str) -> Result<(), String> {
    let language = python()?;
    run::run("cargo", &["build", "--quiet", "--release", "--package", "entrant"])?;
    let folder = run::root().join("target/conformance");
    let ready = folder.join("ready.json");
    let _ = std::fs::remove_file(&ready);
    let mut system = start(&["--time-lapse", "60"], &ready, &folder)?;
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

fn start(more: &[&str], ready: &Path, folder: &Path) -> Result<Child, String> {
    let log = std::fs::File::create(folder.join("entrant.log")).map_err(|error| error.to_string())?;
    let log_again = log.try_clone().map_err(|error| error.to_string())?;
    let built = if more.is_empty() { "target/debug/entrant" } else { "target/release/entrant" };
    Command::new(run::root().join(built))
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

fn run_all(languages: &[Language], ready: &Path, ca: &str) -> Result<Vec<Outcome>, String> {
    let mut outcomes = Vec::new();
    for language in languages {
        for script in language.scripts {
            let path = language.folder.join(script).to_string_lossy().into_owned();
            let list = run::output(&language.interpreter.to_string_lossy(), &[&path, "--list"])?;
            for case in list.lines() {
                let case: Value = serde_json::from_str(case).map_err(|error| format!("{script}: {error}"))?;
                let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
                let failure = run_case(&language.interpreter, &path, &text("case"), ready, ca)?;
                println!("{} {} … {}", text("client"), text("name"), if failure.is_none() { "ok" } else { "FAILED" });
                outcomes.push(Outcome { client: text("client"), name: text("name"), needs: text("needs"), failure });
            }
        }
    }
    Ok(outcomes)
}

/// The examples for test runners of other languages, each with an emulator of its own.
fn examples(languages: &[Language]) -> Result<Vec<Outcome>, String> {
    let [python, node] = languages else { return Ok(Vec::new()) };
    packages::copy(&run::root().join("examples/node"), &node.folder).map_err(|error| error.to_string())?;
    let tests = [
        (
            "pytest",
            python,
            vec!["-m".to_owned(), "pytest".to_owned(), "--quiet".to_owned(), in_repository("examples/pytest")],
        ),
        (
            "node --test",
            node,
            vec!["--test".to_owned(), node.folder.join("identity.test.mjs").to_string_lossy().into_owned()],
        ),
    ];
    let run_one = |(runner, language, arguments): (&str, &Language, Vec<String>)| {
        let mut command = Command::new(&language.interpreter);
        command.args(arguments).env("ENTRANT_BIN", in_repository("target/debug/entrant"));
        let failure = run_limited(&mut command)?;
        println!("examples: {runner} … {}", if failure.is_none() { "ok" } else { "FAILED" });
        let name = format!("an emulator for `{runner}`");
        Ok(Outcome { client: "The repository's examples".to_owned(), name, needs: "nothing".to_owned(), failure })
    };
    tests.into_iter().map(run_one).collect()
}

fn in_repository(path: &str) -> String {
    run::root().join(path).to_string_lossy().into_owned()
}

/// Runs one case in a process of its own; its output is the reason if it fails.
fn run_case(interpreter: &Path, script: &str, case: &str, ready: &Path, ca: &str) -> Result<Option<String>, String> {
    let mut command = Command::new(interpreter);
    run_limited(command.args([script, case]).env("ENTRANT_READY", ready).env("NODE_EXTRA_CA_CERTS", ca))
}

/// Runs a command to its end or to the limit; what it wrote is the reason if it fails.
fn run_limited(command: &mut Command) -> Result<Option<String>, String> {
    let output = run::root().join("target/conformance/case.log");
    let log = std::fs::File::create(&output).map_err(|error| error.to_string())?;
    let log_again = log.try_clone().map_err(|error| error.to_string())?;
    let spawned = command.stdin(Stdio::null()).stdout(log).stderr(log_again).spawn();
    let mut process = spawned.map_err(|error| format!("{command:?}: {error}"))?;
    let started = Instant::now();
    loop {
        if let Some(status) = process.try_wait().map_err(|error| error.to_string())? {
            let said = std::fs::read_to_string(&output).unwrap_or_default();
            return Ok((!status.success()).then_some(said));
        }
        if started.elapsed() > LIMIT {
            let _ = process.kill();
            let _ = process.wait();
            return Ok(Some(format!("no end after {} s", LIMIT.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn page(outcomes: &[Outcome]) -> String {
    let mut page = String::from(
        "# Other people's clients\n\nWritten by `cargo xtask sdk`: unmodified packages from PyPI and npm, each case in a process of \
         its own, against `entrant dev`. The versions are pinned in `conformance/sdk/python/requirements.txt` and \
         `conformance/sdk/node/package.json`. *Told* is what the client had to be given beyond its ordinary configuration: \
         variables alone (`entrant emulator env` prints them), or options in code.\n",
    );
    let mut client = "";
    for outcome in outcomes {
        if outcome.client != client {
            client = &outcome.client;
            let _ = write!(page, "\n## {client}\n\n| case | works | told |\n|---|---|---|\n");
        }
        let works = if outcome.failure.is_none() { "yes" } else { "**no**" };
        let _ = writeln!(page, "| {} | {works} | {} |", outcome.name, outcome.needs);
    }
    page
}
