//! The real `entrant` binary as a child process: started, ready, stopped, everything it wrote kept.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::folder::Folder;

/// A debug build on two busy cores is ready well within this; a release build in 0.3 s.
const READY: Duration = Duration::from_secs(60);
/// Draining has ended by then, or hangs.
const STOPPED: Duration = Duration::from_secs(20);

/// The path of an installed program. `None` skips a test on a laptop and says so; in CI it fails.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "{program} is missing: run `cargo xtask install`"
        );
        eprintln!("skipped: {program} is not installed (`cargo xtask install` installs it)");
    }
    found
}

/// A running `entrant`.
pub(crate) struct Entrant {
    child: Child,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    facts: Value,
    folder: Folder,
}

impl Entrant {
    /// Starts `entrant ARGUMENTS --ready-file …` and waits until it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// The same with variables in its environment, which is otherwise empty but for `PATH`.
    pub(crate) fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let ready = folder.path().join("ready.json");
        let mut command = command(arguments, environment);
        if matches!(arguments.first(), Some(&("dev" | "emulator"))) {
            // Tests run at the same time: each system has a folder of its own.
            command.arg("--data-dir").arg(folder.path().join("data"));
        }
        let mut child = command
            .arg("--ready-file")
            .arg(&ready)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("entrant starts");
        let log = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            keep(child.stdout.take().expect("its output is ours"), &log),
            keep(child.stderr.take().expect("its log is ours"), &log),
        ];
        let mut entrant = Self { child, log, readers, facts: Value::Null, folder };
        entrant.facts = entrant.wait_for_ready(&ready, arguments);
        entrant
    }

    fn wait_for_ready(&mut self, ready: &Path, arguments: &[&str]) -> Value {
        let started = Instant::now();
        loop {
            if let Some(facts) = std::fs::read(ready).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
                return facts;
            }
            let ended = self.child.try_wait().expect("its state is known");
            assert!(
                ended.is_none() && started.elapsed() < READY,
                "entrant {arguments:?} is not ready ({ended:?}):\n{}",
                self.log()
            );
            pause(20);
        }
    }

    /// A value of the ready file.
    pub(crate) fn fact(&self, key: &str) -> &str {
        self.facts[key].as_str().unwrap_or_else(|| panic!("the ready file has no `{key}`: {}", self.facts))
    }

    /// A number of the ready file.
    pub(crate) fn port(&self, key: &str) -> u16 {
        self.facts[key]
            .as_u64()
            .and_then(|port| port.try_into().ok())
            .unwrap_or_else(|| panic!("no `{key}`: {}", self.facts))
    }

    /// Everything it has written so far, log and terminal output.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no reader has panicked").clone()
    }

    /// The path of its ready file, for others to attach to.
    pub(crate) fn ready_file(&self) -> String {
        self.folder.path().join("ready.json").to_string_lossy().into_owned()
    }

    /// The sum of a metric's samples that have all these labels, from its own `/metrics`.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = crate::http::get(&format!("{}/metrics", self.fact("admin_url"))).body;
        let wanted: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        let of_it = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']))
                && wanted.iter().all(|label| line.contains(label))
        };
        text.lines().filter(of_it).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Everything it has written once it has ended, which something else brings about.
    pub(crate) fn log_at_end(mut self) -> String {
        let status = self.end();
        assert_eq!(status.code(), Some(1), "{}", self.log());
        self.log()
    }

    /// The exit code once it has ended, which a signal sent before brings about.
    pub(crate) fn stop_status(mut self) -> Option<i32> {
        self.end().code()
    }

    /// Stops it as Ctrl-C does and returns how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("INT");
        self.end()
    }

    fn end(&mut self) -> ExitStatus {
        let started = Instant::now();
        while started.elapsed() < STOPPED {
            if let Some(status) = self.child.try_wait().expect("its state is known") {
                self.readers.drain(..).for_each(|reader| reader.join().expect("its output was read"));
                return status;
            }
            pause(20);
        }
        panic!("entrant did not stop:\n{}", self.log());
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} was not sent");
    }
}

impl Drop for Entrant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a short command ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

/// Runs `entrant ARGUMENTS` to its end; one that does not end is stopped and fails the test.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    run_with(arguments, &[])
}

/// The same with variables in its environment.
pub(crate) fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let started = Instant::now();
    let mut command = command(arguments, environment);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("entrant starts");
    let kept: [Arc<Mutex<String>>; 2] = Default::default();
    let readers = [
        keep(child.stdout.take().expect("its output is ours"), &kept[0]),
        keep(child.stderr.take().expect("its log is ours"), &kept[1]),
    ];
    let ended = eventually(STOPPED, || child.try_wait().expect("its state is known").is_some());
    let took = started.elapsed();
    let _ = child.kill();
    let status = child.wait().expect("its state is known");
    readers.into_iter().for_each(|reader| reader.join().expect("its output was read"));
    let [stdout, stderr] = kept.map(|text| text.lock().expect("no reader has panicked").clone());
    assert!(ended, "entrant {arguments:?} did not end:\n{stderr}");
    Ended { code: status.code(), stdout, stderr, took }
}

/// `entrant ARGUMENTS` in an environment that holds nothing but what is given and `PATH`.
pub(crate) fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_entrant"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.envs(environment.iter().copied());
    command
}

fn keep(output: impl Read + Send + 'static, log: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let mut log = log.lock().expect("no reader has panicked");
            log.push_str(&line);
            log.push('\n');
        }
    })
}

/// Whether `condition` becomes true within `limit`.
pub(crate) fn eventually(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if started.elapsed() > limit {
            return false;
        }
        pause(50);
    }
}

/// Lets other processes work, between two looks at what they have done.
pub(crate) fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}
