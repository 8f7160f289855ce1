//! The Redis behind the gate: the embedded store, a Unix socket, or TCP.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use entrant_proto::resp::{Value, encode_command};
use entrant_types::{Code, Fault, Outside, Retry, Secret, Whose};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::store::Store;

/// How long connecting to the backend and one exchange with it may take; it is on this machine or beside it.
pub(super) const BACKEND_LIMIT: Duration = Duration::from_secs(5);
/// Room between the gate and the embedded store: one large read's worth.
const PIPE_BYTES: usize = 64 << 10;
/// Longest reply to one of the gate's own commands.
const MAX_OWN_REPLY: usize = 1 << 20;

/// A connection to a Redis.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where commands go once their sender is known.
#[derive(Clone, Debug)]
pub enum Backend {
    /// The store in this process: for development, never a database.
    Embedded(Store),
    /// A Redis or Valkey on a Unix socket.
    Unix(PathBuf),
    /// A Redis or Valkey on TCP: by TLS, or plain on this machine or on a trusted network.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
        /// The administrator that the gate logs in as to keep its ACL users, if `default` may not.
        admin: Option<(String, Secret)>,
        /// TLS and the name that the certificate must have; the same name for every node of a cluster.
        tls: Option<(Arc<rustls::ClientConfig>, String)>,
    },
}

/// As the command line names it, without credentials.
impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(_) => f.write_str("embedded"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port, tls: None, .. } => write!(f, "redis://{host}:{port}"),
            Self::Tcp { host, port, tls: Some(_), .. } => write!(f, "rediss://{host}:{port}"),
        }
    }
}

impl Backend {
    /// Reads `embedded`, `unix:PATH`, `redis://[USER:PASSWORD@]HOST[:PORT]`, or the same with `rediss` for TLS, which
    /// `tls` says how to speak.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn parse(text: &str, outside: &Outside, tls: &Arc<rustls::ClientConfig>) -> Result<Self, Fault> {
        let bad = || {
            Fault::new(
                Whose::Configuration,
                "The Redis behind the gate is not given in a form that can be used.",
                "Write embedded, unix:PATH, redis://[USER:PASSWORD@]HOST[:PORT] or rediss:// for TLS.",
            )
            .retry(Retry::Never)
            .code(Code::Entrant("bad_backend"))
        };
        if text == "embedded" {
            return Ok(Self::Embedded(Store::new(crate::store::StoreConfig::default(), outside)));
        }
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
        let by_tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(bad()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (admin, address) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((credentials, address)) => {
                let (user, password) = credentials.split_once(':').ok_or_else(bad)?;
                let user = if user.is_empty() { "default" } else { user };
                (Some((user.to_owned(), Secret::from(password))), address)
            }
        };
        let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(6379), str::parse).map_err(|_| bad())?;
        if host.is_empty() || host.contains(['/', '@', ':']) && !host.contains("::") {
            return Err(bad());
        }
        let tls = by_tls.then(|| (Arc::clone(tls), host.to_owned()));
        Ok(Self::Tcp { host: host.to_owned(), port, admin, tls })
    }

    /// The same for one node of its cluster; `None`: what is no server of a network has no nodes.
    pub(super) fn node(&self, host: &str, port: u16) -> Option<Self> {
        match self {
            Self::Embedded(_) | Self::Unix(_) => None,
            Self::Tcp { admin, tls, .. } => {
                Some(Self::Tcp { host: host.to_owned(), port, admin: admin.clone(), tls: tls.clone() })
            }
        }
    }

    /// Opens a connection; nobody is logged in on it.
    pub(super) async fn connect(&self) -> Result<Box<dyn Stream>, Fault> {
        let connecting = async {
            Ok::<Box<dyn Stream>, std::io::Error>(match self {
                Self::Embedded(store) => {
                    let (near, far) = tokio::io::duplex(PIPE_BYTES);
                    tokio::spawn(store.clone().serve(far));
                    Box::new(near)
                }
                Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
                Self::Tcp { host, port, tls, .. } => {
                    let stream = TcpStream::connect((host.as_str(), *port)).await?;
                    stream.set_nodelay(true)?;
                    match tls {
                        None => Box::new(stream),
                        Some((config, name)) => {
                            let name = ServerName::try_from(name.clone()).map_err(std::io::Error::other)?;
                            Box::new(TlsConnector::from(Arc::clone(config)).connect(name, stream).await?)
                        }
                    }
                }
            })
        };
        match tokio::time::timeout(BACKEND_LIMIT, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.unreachable(&error.to_string())),
            Err(_) => Err(self.unreachable("no answer in time")),
        }
    }

    /// Opens a connection of the administrator.
    pub(super) async fn connect_admin(&self) -> Result<Box<dyn Stream>, Fault> {
        let mut stream = self.connect().await?;
        if let Self::Tcp { admin: Some((user, password)), .. } = self {
            let mut command = BytesMut::new();
            encode_command(&mut command, &["AUTH", user, password.expose()]);
            let replies = exchange(&mut stream, &command, 1).await.map_err(|why| self.unreachable(&why))?;
            if let Some(Value::Error(text)) = replies.first() {
                return Err(self.refused("the administrator's password", text));
            }
        }
        Ok(stream)
    }

    pub(super) fn unreachable(&self, why: &str) -> Fault {
        Fault::new(
            Whose::Network,
            format!("The Redis behind the gate ({self}) cannot be reached: {why}."),
            "Start it, or name another one.",
        )
        .code(Code::Entrant("backend_unreachable"))
    }

    pub(super) fn refused(&self, what: &str, reply: &[u8]) -> Fault {
        let reply = String::from_utf8_lossy(reply).into_owned();
        let code = reply.split(' ').next().unwrap_or_default().to_owned();
        Fault::new(
            Whose::Configuration,
            format!("The Redis behind the gate ({self}) refused {what}: {reply}"),
            "The gate needs a user there that may run ACL SETUSER, and Redis 7 or Valkey.",
        )
        .code(Code::Redis(code))
        .code(Code::Entrant("backend_refused"))
    }
}

/// Sends commands and collects `count` replies within the limit. The error is the end of a sentence.
pub(super) async fn exchange(stream: &mut dyn Stream, commands: &[u8], count: usize) -> Result<Vec<Value>, String> {
    let talking = async {
        stream.write_all(commands).await.map_err(|error| error.to_string())?;
        stream.flush().await.map_err(|error| error.to_string())?;
        let (mut bytes, mut replies) = (BytesMut::new(), Vec::with_capacity(count));
        while replies.len() < count {
            match Value::parse(&bytes).map_err(|error| error.to_string())? {
                Some((value, taken)) => {
                    replies.push(value);
                    drop(bytes.split_to(taken));
                }
                None if bytes.len() > MAX_OWN_REPLY => return Err("its reply is too long".to_owned()),
                None => {
                    if stream.read_buf(&mut bytes).await.map_err(|error| error.to_string())? == 0 {
                        return Err("it closed the connection".to_owned());
                    }
                }
            }
        }
        Ok(replies)
    };
    tokio::time::timeout(BACKEND_LIMIT, talking).await.map_err(|_| "no answer in time".to_owned())?
}

#[cfg(test)]
mod tests {
    use entrant_testkit::Stage;

    use super::Backend;

    #[test]
    fn a_backend_is_read_as_the_command_line_gives_it_and_shown_without_its_password() {
        let outside = Stage::new().outside();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = std::sync::Arc::new(tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth());
        for (text, shown) in [
            ("embedded", "embedded"),
            ("unix:/run/redis.sock", "unix:/run/redis.sock"),
            ("redis://localhost", "redis://localhost:6379"),
            ("redis://localhost:7000/", "redis://localhost:7000"),
            ("redis://admin:secret@127.0.0.1:7000", "redis://127.0.0.1:7000"),
            ("redis://:secret@127.0.0.1", "redis://127.0.0.1:6379"),
            ("redis://[::1]:7000", "redis://::1:7000"),
            ("rediss://admin:secret@redis.example", "rediss://redis.example:6379"),
        ] {
            assert_eq!(Backend::parse(text, &outside, &tls).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "redis",
            "unix:",
            "redis://",
            "http://localhost",
            "rediss://",
            "redis://localhost:x",
            "redis://a:1:2",
            "redis://secret@host",
        ] {
            let fault = Backend::parse(text, &outside, &tls).unwrap_err();
            assert!(fault.is("bad_backend") && !fault.to_string().contains("secret"), "{text}");
        }
    }
}
