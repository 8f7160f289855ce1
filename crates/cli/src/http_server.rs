//! Serving HTTP/1.1 with limits on connections and patience, to an orderly end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use entrant_types::Fault;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at a time on one listener: far below the usual limit of open files, far above what one replica serves.
/// More wait in the kernel's queue.
const CONNECTIONS: usize = 4096;

/// For a request's headers to arrive, and with it for an idle connection: longer than any load balancer's own.
const PATIENCE: Duration = Duration::from_secs(75);

/// Serves `router` until `shutdown`, then lets requests in progress finish.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> Result<(), Fault> {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    while let Some(slot) = shutdown.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await {
        let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await else { break };
        match accepted {
            Ok((stream, _)) => {
                let (router, shutdown) = (router.clone(), shutdown.clone());
                connections.spawn(async move {
                    connection(stream, router, shutdown).await;
                    drop(slot);
                });
            }
            Err(error) => {
                // Out of files, or the peer is gone already: neither ends the listener.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::task::yield_now().await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn connection(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
