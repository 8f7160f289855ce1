//! Where clients connect: loopback TCP or a Unix socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use entrant_types::{Code, Fault, Retry, Whose};
use tokio::net::{TcpListener, UnixListener};

/// Permissions of a Unix socket for its owner alone.
const OWNER_ONLY: u32 = 0o600;

/// A listener's address as configured: `127.0.0.1:6380` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// TCP, on a loopback address: what is spoken here is plain text without a password.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// Reads `ADDRESS:PORT` or `unix:PATH`.
    ///
    /// # Errors
    /// It is neither, or the address is not loopback.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        let text = text.strip_prefix("localhost").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1{port}"));
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Self::Tcp(address)),
            Ok(address) => Err(bad(
                format!(
                    "the sidecar cannot listen on {address}: anybody who reaches it would have this program's identity"
                ),
                "Listen on 127.0.0.1, ::1 or a Unix socket.",
            )),
            Err(_) => {
                Err(bad(format!("{text:?} is not an address to listen on"), "Write 127.0.0.1:6380 or unix:PATH."))
            }
        }
    }

    /// The same with a Unix socket that only its owner may connect to.
    ///
    /// # Errors
    /// The address is in use or not allowed.
    pub async fn bind(&self) -> Result<Listener, Fault> {
        self.bind_for(OWNER_ONLY).await
    }

    /// Starts listening. A Unix socket gets these permissions; one that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// The address is in use or not allowed.
    pub async fn bind_for(&self, mode: u32) -> Result<Listener, Fault> {
        let bound = match self {
            Self::Tcp(address) => TcpListener::bind(address).await.map(Listener::Tcp),
            Self::Unix(path) => {
                bind_unix(path, mode).await.map(|listener| Listener::Unix(listener, Arc::new(SocketFile(path.clone()))))
            }
        };
        bound.map_err(|error| {
            let fix = if error.kind() == io::ErrorKind::AddrInUse {
                "Another program uses it: stop that one or choose another address with --listen."
            } else {
                "Choose another address with --listen."
            };
            bad(format!("the sidecar cannot listen on {self}: {error}"), fix).code(Code::Entrant("listen_failed"))
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

async fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let listener = bind_file(path).await?;
    // To connect is to write.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

async fn bind_file(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if tokio::net::UnixStream::connect(path).await.is_ok() {
                return Err(error);
            }
            // Left behind by a process that was killed.
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        other => other,
    }
}

fn bad(what: String, fix: &str) -> Fault {
    Fault::new(Whose::Configuration, what, fix).retry(Retry::Never).code(Code::Entrant("bad_listen"))
}

/// An open listener.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket and its file, removed when the listener is dropped.
    Unix(UnixListener, Arc<SocketFile>),
}

impl Listener {
    /// Its port, if it is TCP.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Self::Unix(..) => None,
        }
    }

    /// The listener without a runtime, for threads with runtimes of their own.
    pub(super) fn detach(self) -> io::Result<Detached> {
        Ok(match self {
            Self::Tcp(listener) => Detached::Tcp(listener.into_std()?),
            Self::Unix(listener, file) => Detached::Unix(listener.into_std()?, file),
        })
    }

    /// Where clients connect, the port chosen by the system included.
    ///
    /// # Errors
    /// The system does not know it.
    pub fn address(&self) -> io::Result<Listen> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Listen::Tcp),
            Self::Unix(_, file) => Ok(Listen::Unix(file.0.clone())),
        }
    }
}

/// A listener that no runtime watches.
#[derive(Debug)]
pub(super) enum Detached {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener, Arc<SocketFile>),
}

impl Detached {
    /// The same once more: whoever accepts first has the client.
    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(listener) => Self::Tcp(listener.try_clone()?),
            Self::Unix(listener, file) => Self::Unix(listener.try_clone()?, Arc::clone(file)),
        })
    }

    /// The listener on the runtime of the calling task.
    pub(super) fn adopt(self) -> io::Result<Listener> {
        Ok(match self {
            Self::Tcp(listener) => Listener::Tcp(TcpListener::from_std(listener)?),
            Self::Unix(listener, file) => Listener::Unix(UnixListener::from_std(listener)?, file),
        })
    }
}

/// The file of a Unix socket, removed at the end.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_unix_sockets_can_be_listened_on() {
        assert!(matches!(Listen::parse("127.0.0.1:6380"), Ok(Listen::Tcp(_))));
        assert!(matches!(Listen::parse("localhost:6380"), Ok(Listen::Tcp(_))));
        assert!(matches!(Listen::parse("[::1]:6380"), Ok(Listen::Tcp(_))));
        assert!(matches!(Listen::parse("unix:/run/redis.sock"), Ok(Listen::Unix(_))));
        for text in ["0.0.0.0:6380", "10.0.0.1:6380", "6380", "unix:", "", "localhost", "localhost.evil:1"] {
            assert!(Listen::parse(text).is_err(), "{text}");
        }
    }
}
