//! Child processes that outlive a call: a Redis server of our own, a command that is run for somebody.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{ChildStdin, Command};

/// Runs `"$@"` in a process group of its own, and ends that group when standard input closes. That happens whenever
/// the parent goes away, a `kill -9` included, so that nothing is left behind.
const LEASH: &str = r#"trap : TERM; exec 3<&0
"$@" </dev/null 3<&- & child=$!
{ cat; kill 0; } <&3 >/dev/null 2>&1 3<&- &
exec 3<&-; wait "$child" || wait "$child""#;

/// A running child process. Dropping it ends it.
#[derive(Debug)]
pub struct Child {
    inner: tokio::process::Child,
    leash: Option<ChildStdin>,
}

impl Child {
    /// Starts a program that never outlives this process, without input or output, out of reach of the terminal's
    /// Ctrl-C, which is for us to handle in order.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn leashed(program: &Path, args: &[&str]) -> io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the one legal place where a process starts")]
        let mut command = Command::new("/bin/sh");
        command.args(["-c", LEASH, "leash"]).arg(program).args(args).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let mut inner = command.spawn()?;
        let leash = inner.stdin.take();
        Ok(Self { inner, leash })
    }

    /// Starts a program on this process's own input, output and terminal, with the variables `env` set in its environment
    /// and `without` taken away.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn attached(program: &str, args: &[String], env: &[(String, String)], without: &[&str]) -> io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the one legal place where a process starts")]
        let mut command = Command::new(program);
        for name in without {
            command.env_remove(name);
        }
        let env = env.iter().map(|(name, value)| (name, value));
        let inner = command.args(args).envs(env).kill_on_drop(true).spawn()?;
        Ok(Self { inner, leash: None })
    }

    /// Waits for its end; the exit code, or 128 and the signal that ended it, as shells say it.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub async fn wait(&mut self) -> io::Result<i32> {
        let status = self.inner.wait().await?;
        Ok(status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1))
    }

    /// Ends it: asks, waits at most `limit`, then kills.
    pub async fn stop(mut self, limit: Duration) {
        let leashed = self.leash.take().is_some();
        if !leashed || tokio::time::timeout(limit, self.inner.wait()).await.is_err() {
            // It may have ended by itself in this moment.
            let _ = self.inner.kill().await;
        }
    }
}

/// The first of the programs that is on the PATH.
#[must_use]
pub fn find_program(names: &[&str]) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the one legal reader of the environment")]
    let path = std::env::var_os("PATH")?;
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| is_executable(file)))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn leashed(script: &str) -> Child {
        Child::leashed(Path::new("/bin/sh"), &["-c", script]).unwrap()
    }

    #[tokio::test]
    async fn a_leashed_child_that_ends_by_itself_is_noticed() {
        let ended = tokio::time::timeout(LIMIT, leashed("exit 0").wait()).await.unwrap();
        assert_eq!(ended.unwrap(), 0);
    }

    #[tokio::test]
    async fn letting_go_of_the_leash_ends_the_child() {
        let started = std::env::temp_dir().join(format!("entrant-leash-{}", std::process::id()));
        let mut child = leashed(&format!("echo $$ > {0}.part; mv {0}.part {0}; exec sleep 600", started.display()));
        while !started.exists() {
            tokio::task::yield_now().await;
        }
        let pid = std::fs::read_to_string(&started).unwrap();
        let process = PathBuf::from(format!("/proc/{}", pid.trim()));
        assert!(process.exists());
        // Only the pipe is closed, as the kernel does it for a killed parent.
        drop(child.leash.take());
        tokio::time::timeout(LIMIT, child.wait()).await.unwrap().unwrap();
        assert!(!process.exists());
    }

    #[tokio::test]
    async fn stopping_returns_when_the_child_is_gone() {
        tokio::time::timeout(LIMIT, leashed("exec sleep 600").stop(LIMIT)).await.unwrap();
    }

    #[test]
    fn a_program_is_found_on_the_path_in_order_of_preference() {
        assert!(find_program(&["entrant-no-such", "sh"]).is_some_and(|path| path.ends_with("sh")));
        assert_eq!(find_program(&["entrant-no-such"]), None);
    }
}
