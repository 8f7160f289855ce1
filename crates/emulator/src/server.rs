//! The two listeners: accept, TLS, HTTP/1.1, orderly end.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use entrant_types::{Code, Fault, Retry, Whose};
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::faults::Abort;

/// An answer that must not be sent.
#[derive(Debug, thiserror::Error)]
#[error("the connection ends without an answer, as a fault demands")]
struct Aborted;

/// Connections at a time on one listener; more wait in the kernel's queue.
const CONNECTIONS: usize = 1024;
/// For a TLS handshake, and for a request's headers.
const PATIENCE: Duration = Duration::from_secs(10);
/// For requests in progress when the emulator stops.
const DRAIN: Duration = Duration::from_secs(2);

/// Both listeners, bound to 127.0.0.1. There is no way to bind anything else: what is unauthenticated by
/// purpose must not leave the machine.
#[derive(Debug)]
pub struct Listeners {
    entra: TcpListener,
    imds: TcpListener,
}

impl Listeners {
    /// Binds both ports; 0 takes any free one.
    ///
    /// # Errors
    /// A sentence that names the port, when it is taken.
    pub async fn bind(entra_port: u16, imds_port: u16) -> Result<Self, Fault> {
        Ok(Self {
            entra: listen(entra_port, "Entra", "--entra-port").await?,
            imds: listen(imds_port, "identity endpoint and console", "--imds-port").await?,
        })
    }

    /// The port of the HTTPS listener.
    #[must_use]
    pub fn entra_port(&self) -> u16 {
        self.entra.local_addr().map_or(0, |address| address.port())
    }

    /// The port of the HTTP listener.
    #[must_use]
    pub fn imds_port(&self) -> u16 {
        self.imds.local_addr().map_or(0, |address| address.port())
    }

    pub(crate) fn into_parts(self) -> (TcpListener, TcpListener) {
        (self.entra, self.imds)
    }
}

async fn listen(port: u16, what: &str, flag: &str) -> Result<TcpListener, Fault> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.map_err(|error| {
        Fault::new(
            Whose::Configuration,
            format!("The emulator cannot listen on 127.0.0.1:{port} ({what}): {error}."),
            format!("Stop what uses the port, or choose another with {flag} PORT or --ports auto."),
        )
        .retry(Retry::Never)
        .code(Code::Entrant("port_in_use"))
    })
}

/// Serves `routes` on `listener` until `stop`, then waits a moment for what is in progress.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    routes: Router,
    stop: CancellationToken,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let tasks = TaskTracker::new();
    loop {
        let slot = tokio::select! {
            () = stop.cancelled() => break,
            slot = slots.clone().acquire_owned() => slot,
        };
        let Ok(slot) = slot else { break };
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, or the peer is gone already: neither ends the listener.
                    tracing::warn!(%error, "connection not accepted");
                    tokio::task::yield_now().await;
                    continue;
                }
            },
        };
        let (acceptor, routes, stop) = (acceptor.clone(), routes.clone(), stop.clone());
        tasks.spawn(async move {
            let _slot = slot;
            connection(stream, acceptor, routes, stop).await;
        });
    }
    drop(listener);
    tasks.close();
    let _ = tokio::time::timeout(DRAIN, tasks.wait()).await;
}

async fn connection(stream: TcpStream, acceptor: Option<TlsAcceptor>, routes: Router, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => exchange(stream, routes, stop).await,
        Some(acceptor) => match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => exchange(stream, routes, stop).await,
            Ok(Err(error)) => {
                tracing::info!(%error, "TLS handshake failed; if the client does not trust the emulator's CA, give it ca.pem");
            }
            Err(_) => tracing::debug!("TLS handshake not finished in time"),
        },
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Router,
    stop: CancellationToken,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let routes = routes.clone();
        async move {
            let response = routes.oneshot(request).await.unwrap_or_else(|never| match never {});
            // A fault may demand that nothing be sent: an error of the service closes the connection.
            if response.extensions().get::<Abort>().is_some() { Err(Aborted) } else { Ok(response) }
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
