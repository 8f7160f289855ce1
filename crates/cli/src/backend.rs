//! The Redis behind the gate: one's own, one found on the PATH, or none but the embedded store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use entrant_host::{Child, Folder, SystemClock, find_program};
use entrant_relay::gate::Backend;
use entrant_types::{Clock as _, Code, Fault, Retry, Whose};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

/// Redis starts in some 10 ms; a loaded machine gets this long.
const START_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks whether it listens.
const LOOK: Duration = Duration::from_millis(5);
/// The kernel's limit for the path of a Unix socket is 108 bytes, with its end mark.
const SOCKET_PATH_BYTES: usize = 107;

/// A Redis server of our own, on a private socket, without persistence.
#[derive(Debug)]
pub(crate) struct OwnRedis {
    /// `redis-server` or `valkey-server`.
    pub(crate) name: String,
    pub(crate) socket: PathBuf,
    child: Child,
    /// Removed last, when the server is gone.
    _folder: Folder,
}

impl OwnRedis {
    /// Starts the Redis or Valkey server on the PATH; `None` when there is none.
    pub(crate) async fn start(parent: &Path) -> Result<Option<Self>, Fault> {
        let Some(program) = find_program(&["redis-server", "valkey-server"]) else { return Ok(None) };
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = folder(parent)?;
        let (socket, log) = (folder.path().join("redis.sock"), folder.path().join("redis.log"));
        let (dir, socket_text, log_text) =
            (folder.path().to_string_lossy(), socket.to_string_lossy(), log.to_string_lossy());
        let args = [
            "--port",
            "0",
            "--unixsocket",
            &socket_text,
            "--unixsocketperm",
            "700",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            &dir,
            "--logfile",
            &log_text,
            "--daemonize",
            "no",
        ];
        let failed = |why: String| {
            Fault::new(
                Whose::Configuration,
                format!("{} was found but did not start: {why}.", program.display()),
                "Run it by hand to see why, take it off the PATH, or give --redis-url.",
            )
            .retry(Retry::Never)
            .code(Code::Entrant("redis_not_started"))
        };
        let mut child = Child::leashed(&program, &args).map_err(|error| failed(error.to_string()))?;
        let why = tokio::select! {
            listening = listens(&socket) => if listening { None } else { Some(format!("nothing listens after {} s", START_LIMIT.as_secs())) },
            ended = child.wait() => Some(ended.map_or_else(|error| error.to_string(), |code| format!("it ended with code {code}"))),
        };
        if let Some(why) = why {
            let last = std::fs::read_to_string(&log).unwrap_or_default();
            let last = last.lines().next_back().map(|line| format!(" (its log ends: {line})")).unwrap_or_default();
            return Err(failed(why + &last));
        }
        Ok(Some(Self { name, socket, child, _folder: folder }))
    }

    /// Lets it run until `draining`, then ends it; that it ends by itself before is a failure.
    pub(crate) async fn keep(mut self, draining: CancellationToken) -> Result<(), Fault> {
        let Some(ended) = draining.run_until_cancelled(self.child.wait()).await else {
            self.child.stop(Duration::from_secs(2)).await;
            return Ok(());
        };
        let how = ended.map_or_else(|error| error.to_string(), |code| format!("exit code {code}"));
        Err(Fault::new(
            Whose::Provider,
            format!("The {} behind the gate ended ({how}).", self.name),
            "Start again; if it stays, give a Redis of your own with --redis-url.",
        ))
    }
}

/// Beside the other state if the path is short enough for a socket, else in the temporary directory.
fn folder(parent: &Path) -> Result<Folder, Fault> {
    let name = format!("redis-{}", std::process::id());
    let length = parent.as_os_str().len() + name.len() + "//redis.sock".len();
    if length <= SOCKET_PATH_BYTES {
        return Folder::temporary(parent, &name);
    }
    Folder::temporary(&std::env::temp_dir(), &format!("entrant-{name}"))
}

async fn listens(socket: &Path) -> bool {
    let deadline = SystemClock.now() + START_LIMIT;
    while UnixStream::connect(socket).await.is_err() {
        if SystemClock.now() >= deadline {
            return false;
        }
        SystemClock.sleep_until(SystemClock.now() + LOOK).await;
    }
    true
}

/// A backend that was asked for must be there before anything starts.
pub(crate) async fn check(backend: &Backend) -> Result<(), Fault> {
    let limit = Duration::from_millis(2500);
    let reached = tokio::time::timeout(limit, async {
        match backend {
            Backend::Embedded(_) => Ok(()),
            Backend::Unix(path) => UnixStream::connect(path).await.map(drop),
            Backend::Tcp { host, port, .. } => TcpStream::connect((host.as_str(), *port)).await.map(drop),
        }
    });
    let why = match reached.await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} ms", limit.as_millis()),
    };
    let fault = Fault::new(
        Whose::Network,
        format!("The Redis at {backend} cannot be reached: {why}."),
        "Start it, or correct the address.",
    );
    Err(fault.code(Code::Entrant("redis_unreachable")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unreachable_backend_is_said_at_once() {
        let fault =
            check(&Backend::Tcp { host: "127.0.0.1".to_owned(), port: 1, admin: None, tls: None }).await.unwrap_err();
        assert!(fault.is("redis_unreachable") && fault.what.contains("redis://127.0.0.1:1"), "{fault}");
    }
}
