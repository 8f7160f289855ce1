//! The HTTP transport against real sockets: limits, pooling, TLS trust, dial policy.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use entrant_host::tls::{self, Trust};
use entrant_host::{DialPolicy, HyperTransport};
use entrant_types::HttpTransport as _;
use entrant_types::outside::{HttpError, HttpRequest};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server that answers every request on every connection with `reply` and counts connections.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX-Name: Value\r\n\r\nhello";

async fn serve(reply: &'static str, tls: Option<Arc<rustls::ServerConfig>>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    None => answer(stream, reply).await,
                    Some(config) => {
                        if let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await {
                            answer(stream, reply).await;
                        }
                    }
                }
            });
        }
    });
    Server { address, connections }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, reply: &str) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        seen.extend_from_slice(&buffer[..read]);
        if seen.ends_with(b"\r\n\r\n") {
            seen.clear();
            if reply.is_empty() || stream.write_all(reply.as_bytes()).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

fn transport(dial: DialPolicy, ca_file: Option<PathBuf>) -> HyperTransport {
    let trust = Trust::load(ca_file.as_deref()).unwrap();
    let tls = tls::client_config(&trust).unwrap();
    HyperTransport::new(trust, tls, dial)
}

struct Certified {
    ca_file: PathBuf,
    server: Arc<rustls::ServerConfig>,
}

fn certified(name: &str) -> Certified {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let ca_file = std::env::temp_dir().join(format!("entrant-host-{name}-{}.pem", std::process::id()));
    std::fs::write(&ca_file, made.cert.pem()).unwrap();
    let key = made.signing_key.serialize_pem();
    Certified {
        ca_file,
        server: tls::server_config(made.cert.pem().as_bytes(), key.as_bytes(), &["http/1.1"]).unwrap(),
    }
}

#[tokio::test]
async fn requests_share_one_connection() {
    let server = serve(OK, None).await;
    let transport = transport(DialPolicy::LoopbackOnly, None);
    for _ in 0..3 {
        let reply = transport.send(HttpRequest::get(format!("http://{}/", server.address))).await.unwrap();
        assert_eq!((reply.status, reply.header("x-name"), reply.body.as_slice()), (200, Some("Value"), &b"hello"[..]));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_redirect_is_returned_and_never_followed() {
    let server = serve("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", None).await;
    let transport = transport(DialPolicy::LoopbackOnly, None);
    let reply = transport.send(HttpRequest::get(format!("http://{}/", server.address))).await.unwrap();
    assert_eq!((reply.status, reply.header("location")), (302, Some("http://127.0.0.1:1/")));
}

#[tokio::test]
async fn an_untrusted_certificate_is_told_apart_at_the_first_handshake_with_the_ca_that_is_trusted() {
    let (shown, trusted) = (certified("shown"), certified("trusted"));
    let server = serve(OK, Some(shown.server)).await;
    let transport = transport(DialPolicy::LoopbackOnly, Some(trusted.ca_file.clone()));
    let url = format!("https://localhost:{}/", server.address.port());
    let error = transport.send(HttpRequest::get(url)).await.unwrap_err();
    let HttpError::TlsUntrusted(text) = error else { unreachable!("{error}") };
    assert!(text.contains("no trusted CA") && text.contains(trusted.ca_file.to_str().unwrap()), "{text}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1, "no second try");
}

#[tokio::test]
async fn the_named_ca_file_is_trusted() {
    let certified = certified("named");
    let server = serve(OK, Some(certified.server)).await;
    let transport = transport(DialPolicy::LoopbackOnly, Some(certified.ca_file));
    let url = format!("https://localhost:{}/", server.address.port());
    assert_eq!(transport.send(HttpRequest::get(url)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_reply_beyond_its_limit_is_refused() {
    let server = serve(OK, None).await;
    let mut request = HttpRequest::get(format!("http://{}/", server.address));
    request.max_reply_bytes = 4;
    let error = transport(DialPolicy::LoopbackOnly, None).send(request).await.unwrap_err();
    assert_eq!(error, HttpError::TooLarge(4));
}

#[tokio::test]
async fn a_silent_server_is_left_at_the_time_limit() {
    let server = serve("", None).await;
    let limit = Duration::from_millis(50);
    let request = HttpRequest::get(format!("http://{}/", server.address)).timeout(limit);
    let error = transport(DialPolicy::LoopbackOnly, None).send(request).await.unwrap_err();
    assert_eq!(error, HttpError::Timeout(limit));
}

#[tokio::test]
async fn nobody_listening_is_a_connection_error_that_names_the_place() {
    let error =
        transport(DialPolicy::LoopbackOnly, None).send(HttpRequest::get("http://127.0.0.1:1/")).await.unwrap_err();
    let HttpError::Connect(text) = error else { unreachable!("{error}") };
    assert!(text.contains("127.0.0.1:1"), "{text}");
}

#[tokio::test]
async fn with_the_emulator_only_loopback_is_dialled() {
    let transport = transport(DialPolicy::LoopbackOnly, None);
    for url in ["http://192.0.2.1/", "https://login.example.test/", "http://[2001:db8::1]/"] {
        let error = transport.send(HttpRequest::get(url)).await.unwrap_err();
        assert!(matches!(error, HttpError::Refused(_)), "{url}: {error}");
    }
}

#[tokio::test]
async fn what_is_not_an_http_url_is_refused() {
    for url in ["", "localhost:80", "ftp://localhost/", "http://"] {
        let error = transport(DialPolicy::Any, None).send(HttpRequest::get(url)).await.unwrap_err();
        assert!(matches!(error, HttpError::Refused(_)), "{url}: {error}");
    }
}
