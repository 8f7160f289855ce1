//! Programs of a run: started, watched through `/proc`, and ended with it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::tokens::Failure;

/// The clock of `/proc/PID/stat`: USER_HZ, which is 100 wherever Linux runs.
const TICKS: f64 = 100.0;
/// A program that does not listen by then has failed.
const READY: Duration = Duration::from_secs(20);

/// A program that ends with this value.
#[derive(Debug)]
pub struct Program(Child);

impl Program {
    /// Starts it; what it prints goes to a file.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self, Failure> {
        let file = std::fs::File::create(log)?;
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        Ok(Self(command.spawn().map_err(|error| format!("{program}: {error}"))?))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Only what was started here: nginx stops its workers when asked to.
        let _ = Command::new("kill").arg(self.pid().to_string()).status();
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(3) && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody uses.
pub fn free_port() -> Result<u16, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits until somebody listens.
pub fn wait_for(port: u16, name: &str) -> Result<(), Failure> {
    let started = Instant::now();
    while started.elapsed() < READY {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    Err(format!("{name} does not listen; see its log below target/bench/redis").into())
}

/// A process and its children.
pub fn tree(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
        all.extend(tree(child));
    }
    all
}

/// Seconds of CPU, user and system, that a process and its children have used, in steps of 10 ms. Threads that ended
/// are counted.
pub fn cpu(pid: u32) -> f64 {
    tree(pid).into_iter().map(|pid| fields(&format!("/proc/{pid}/stat"), [13, 14])).sum()
}

/// The same of all programs that this one started and waited for.
pub fn cpu_of_ended() -> f64 {
    fields("/proc/self/stat", [15, 16])
}

fn fields(path: &str, which: [usize; 2]) -> f64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The second field is a name in parentheses, which may have spaces.
    let rest: Vec<&str> = text.rsplit_once(')').map_or(Vec::new(), |(_, rest)| rest.split_whitespace().collect());
    which.into_iter().filter_map(|at| rest.get(at - 2)?.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// The same to the nanosecond, of the threads that live.
pub fn cpu_exact(pid: u32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let one = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    threads.filter_map(|thread| one(thread.path())).sum::<f64>() / 1e9
}

/// Resident memory of a process and its children in MiB: all of it, and what is not mapped from files.
pub fn memory(pid: u32) -> (f64, f64) {
    let one = |pid: u32, name: &str| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    };
    let sum = |name: &str| tree(pid).into_iter().filter_map(|pid| one(pid, name)).sum::<f64>() / 1024.0;
    (sum("VmRSS:"), sum("RssAnon:"))
}
