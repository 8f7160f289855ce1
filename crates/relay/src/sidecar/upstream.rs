//! The way to Redis: TCP, TLS with the right server name, `AUTH object-id token` before anything else.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use entrant_proto::reauth;
use entrant_types::emulation::is_loopback_host;
use entrant_types::{AccessToken, Code, Fault, ObjectId, Retry, Whose};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longest reply to an `AUTH` that is read. Real ones have fewer than 100 bytes.
const MAX_REPLY: usize = 1024;

/// Where Redis is.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Host name or address to dial.
    pub host: String,
    /// Port; Azure Managed Redis listens on 10000.
    pub port: u16,
    /// The name that the server's certificate must have, and that is sent as SNI, when it is not `host`.
    pub server_name: Option<String>,
    /// TLS, as `entrant-host` builds it. Azure's TLS 1.2 suites are CBC only, which rustls does not have, so TLS 1.3
    /// is what will be spoken. `None`: plain text, refused unless `host` is loopback.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Limit for connecting, TLS and `AUTH` together. Azure advises 5 s at least.
    pub connect_timeout: Duration,
}

impl Upstream {
    /// `HOST:PORT` with the usual limit of 10 s.
    ///
    /// # Errors
    /// It is not `HOST:PORT`.
    pub fn parse(address: &str, tls: Option<Arc<rustls::ClientConfig>>) -> Result<Self, Fault> {
        let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let Some((host, port)) = parts.filter(|(host, port)| !host.is_empty() && *port != 0) else {
            let what = format!("{address:?} is not the address of a Redis server");
            return Err(Fault::new(
                Whose::Configuration,
                what,
                "Write HOST:PORT, such as cache.region.redis.azure.net:10000.",
            )
            .retry(Retry::Never)
            .code(Code::Entrant("bad_upstream")));
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port, server_name: None, tls, connect_timeout: Duration::from_secs(10) })
    }

    /// `host:port`, as messages name the server.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// An authenticated connection.
    pub(super) async fn open(&self, token: &AccessToken, object_id: ObjectId) -> Result<Stream, Fault> {
        let attempt = async {
            let mut stream = self.dial().await?;
            self.authenticate(&mut stream, token, object_id).await?;
            Ok(stream)
        };
        tokio::time::timeout(self.connect_timeout, attempt).await.unwrap_or_else(|_| {
            Err(self.network(
                "redis_connect_timeout",
                format!("did not answer within {} s", self.connect_timeout.as_secs()),
                "Check that the server runs and that a firewall or network rule lets this host reach its port.",
            ))
        })
    }

    async fn dial(&self) -> Result<Stream, Fault> {
        if self.tls.is_none() && !is_loopback_host(&self.host) {
            let what =
                format!("Redis at {} is not on this host and TLS is off: the token would be readable", self.address());
            return Err(Fault::new(Whose::Configuration, what, "Switch TLS on.")
                .retry(Retry::Never)
                .code(Code::Entrant("redis_plaintext_refused")));
        }
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| {
            let fix = "Check the host name and port, that the server runs, and that this host may reach it.";
            self.network("redis_connect", format!("cannot be reached ({error})"), fix)
        })?;
        // Without it every small command waits for the last one's acknowledgement.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else { return Ok(Stream::Plain(stream)) };
        let name = self.server_name.as_deref().unwrap_or(&self.host);
        let server = ServerName::try_from(name.to_owned()).map_err(|_| {
            let what = format!("{name:?} is not a host name that a certificate can have");
            Fault::new(Whose::Configuration, what, "Correct the server name.")
                .retry(Retry::Never)
                .code(Code::Entrant("redis_server_name"))
        })?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(server, stream).await;
        stream.map(|stream| Stream::Tls(Box::new(stream))).map_err(|error| self.tls_fault(name, &error))
    }

    fn tls_fault(&self, name: &str, error: &std::io::Error) -> Fault {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(why)) => self.network(
                "tls_untrusted",
                format!("shows a certificate that is not accepted for {name} ({why})"),
                "Trust the CA that issued it (SSL_CERT_FILE or --ca), or correct the server name.",
            ),
            _ => self.network(
                "redis_tls",
                format!("does not speak TLS with us ({error})"),
                "Check that this is the TLS port, and that nothing between closes the connection. TLS 1.3 is needed.",
            ),
        }
    }

    async fn authenticate(&self, stream: &mut Stream, token: &AccessToken, object_id: ObjectId) -> Result<(), Fault> {
        let lost = |error: std::io::Error| {
            let fix = "Check that it accepts Entra authentication on this port, and its connection limit.";
            self.network("redis_auth_dropped", format!("closed the connection during AUTH ({error})"), fix)
        };
        stream.write_all(&reauth::encode::auth(object_id, token)).await.map_err(lost)?;
        stream.flush().await.map_err(lost)?;
        let mut reply = Vec::with_capacity(64);
        // The server speaks only when spoken to: nothing follows the one line.
        while !reply.ends_with(b"\r\n") && reply.len() <= MAX_REPLY {
            let mut chunk = [0_u8; 256];
            let read = stream.read(&mut chunk).await.map_err(lost)?;
            if read == 0 {
                return Err(lost(std::io::ErrorKind::UnexpectedEof.into()));
            }
            reply.extend_from_slice(chunk.get(..read).unwrap_or_default());
        }
        match (reply.as_slice(), reauth::error_code(&reply)) {
            (b"+OK\r\n", _) => Ok(()),
            (_, Some(code)) => Err(reauth::refusal(&self.address(), object_id, code)),
            _ => Err(self.network(
                "redis_protocol",
                "does not answer like Redis".to_owned(),
                "Correct the host and port.",
            )),
        }
    }

    fn network(&self, code: &'static str, did: String, fix: &str) -> Fault {
        Fault::new(Whose::Network, format!("Redis at {} {did}", self.address()), fix).code(Code::Entrant(code))
    }
}

/// A connection to Redis.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
