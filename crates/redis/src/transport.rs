//! One connection from nothing to authenticated: TCP, TLS, `AUTH object-id token`.

use std::pin::Pin;
use std::sync::Arc;

use entrant_proto::reauth;
use entrant_types::emulation::is_loopback_host;
use entrant_types::{AccessToken, Code, Fault, ObjectId, Retry, Whose};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::RedisConfig;

pub(crate) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Bytes for S {}
pub(crate) type Stream = Pin<Box<dyn Bytes>>;

/// Longest reply to an `AUTH` that is read. Real ones have fewer than 100 bytes.
const MAX_REPLY: usize = 1024;

/// Opens an authenticated connection within the configured limit.
pub(crate) async fn open(config: &RedisConfig, token: &AccessToken, object_id: ObjectId) -> Result<Stream, Fault> {
    let limit = config.connect_timeout;
    let attempt = async {
        let mut stream = dial(config).await?;
        authenticate(config, &mut stream, token, object_id).await?;
        Ok(stream)
    };
    tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| {
        Err(Fault::new(
            Whose::Network,
            format!("Redis at {} did not answer within {} s", config.address(), limit.as_secs()),
            "Check that the server runs and that a firewall or network rule lets this host reach its port.",
        )
        .code(Code::Entrant("redis_connect_timeout")))
    })
}

async fn dial(config: &RedisConfig) -> Result<Stream, Fault> {
    if config.tls.is_none() && !is_loopback_host(&config.host) {
        return Err(Fault::new(
            Whose::Configuration,
            format!(
                "Redis at {} is not on this host and TLS is off: the token would be readable on the way",
                config.address()
            ),
            "Switch TLS on.",
        )
        .retry(Retry::Never)
        .code(Code::Entrant("redis_plaintext_refused")));
    }
    let stream = TcpStream::connect((config.host.as_str(), config.port)).await.map_err(|error| {
        Fault::new(
            Whose::Network,
            format!("no connection to Redis at {} ({error})", config.address()),
            "Check the host name and port, that the server runs, and that this host may reach it.",
        )
        .code(Code::Entrant("redis_connect"))
    })?;
    // Without it every small command waits for the last one's acknowledgement. The `redis` crate leaves it off.
    let _ = stream.set_nodelay(true);
    match &config.tls {
        None => Ok(Box::pin(stream)),
        Some(tls) => secure(config, Arc::clone(tls), stream).await,
    }
}

async fn secure(config: &RedisConfig, tls: Arc<rustls::ClientConfig>, stream: TcpStream) -> Result<Stream, Fault> {
    let name = config.server_name.as_deref().unwrap_or(&config.host);
    let server = ServerName::try_from(name.to_owned()).map_err(|_| {
        Fault::new(
            Whose::Configuration,
            format!("{name:?} is not a host name that a certificate can have"),
            "Correct the server name.",
        )
        .retry(Retry::Never)
        .code(Code::Entrant("redis_server_name"))
    })?;
    match TlsConnector::from(tls).connect(server, stream).await {
        Ok(stream) => Ok(Box::pin(stream)),
        Err(error) => Err(tls_fault(config, name, &error)),
    }
}

fn tls_fault(config: &RedisConfig, name: &str, error: &std::io::Error) -> Fault {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::InvalidCertificate(why)) = cause {
        return Fault::new(
            Whose::Network,
            format!("the certificate of Redis at {} is not accepted for {name} ({why})", config.address()),
            "Trust the CA that issued it (SSL_CERT_FILE or --ca), or correct the server name.",
        )
        .code(Code::Entrant("tls_untrusted"));
    }
    Fault::new(
        Whose::Network,
        format!("no TLS with Redis at {} ({error})", config.address()),
        "Check that this is the TLS port, and that nothing between closes the connection. TLS 1.3 is needed.",
    )
    .code(Code::Entrant("redis_tls"))
}

/// `AUTH` before anything else, so that its error is ours to read and no client code sees the token.
async fn authenticate(
    config: &RedisConfig,
    stream: &mut Stream,
    token: &AccessToken,
    object_id: ObjectId,
) -> Result<(), Fault> {
    let lost = |error: std::io::Error| {
        Fault::new(
            Whose::Network,
            format!("Redis at {} closed the connection during AUTH ({error})", config.address()),
            "Check that it accepts Entra authentication on this port, and its connection limit.",
        )
        .code(Code::Entrant("redis_auth_dropped"))
    };
    stream.write_all(&reauth::encode::auth(object_id, token)).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    let mut reply = Vec::with_capacity(64);
    // The server speaks only when spoken to: nothing follows the one line.
    while !reply.ends_with(b"\r\n") {
        let mut chunk = [0_u8; 256];
        let read = stream.read(&mut chunk).await.map_err(lost)?;
        if read == 0 {
            return Err(lost(std::io::ErrorKind::UnexpectedEof.into()));
        }
        reply.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if reply.len() > MAX_REPLY {
            break;
        }
    }
    match (reply.as_slice(), reauth::error_code(&reply)) {
        (b"+OK\r\n", _) => Ok(()),
        (_, Some(code)) => Err(reauth::refusal(&config.address(), object_id, code)),
        _ => Err(Fault::new(
            Whose::Provider,
            format!("what answers at {} is not Redis", config.address()),
            "Correct the host and port.",
        )
        .code(Code::Entrant("redis_protocol"))),
    }
}
