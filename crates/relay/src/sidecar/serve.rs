//! Accepting clients and seeing each to its end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use entrant_proto::reauth::CloseReason;
use entrant_types::{Code, Fault, metric};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Shared;
use super::door;
use super::listen::{Detached, Listener};
use super::session::{End, Session, Token};
use super::thread;
use super::upstream::Stream;

/// How long the listener rests after a failure to accept (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a client that cannot be served may take to ask its first question, in real time.
const FIRST_QUESTION: Duration = Duration::from_secs(5);

/// How the clients of one run end.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) tasks: TaskTracker,
    /// Clients finish what is under way.
    pub(super) draining: CancellationToken,
    /// Clients are closed.
    pub(super) aborting: CancellationToken,
    /// Clients are closed with the thread that serves them.
    pub(super) own_thread: bool,
}

/// Serves the listeners on threads of their own until `stop`, then lets clients finish. Returns at once; the threads
/// are counted in `serving`.
///
/// # Errors
/// A thread could not be started.
pub(super) fn start(
    shared: &Arc<Shared>,
    listeners: Vec<Listener>,
    serving: &Serving,
    stop: &CancellationToken,
) -> Result<(), Fault> {
    let listeners: Vec<Detached> = thread::detach(listeners)?;
    for _ in 0..thread::count() {
        let own = listeners.iter().map(Detached::again).collect::<io::Result<Vec<_>>>().map_err(thread::failed)?;
        let (shared, stop) = (Arc::clone(shared), stop.clone());
        // Counted here, so that the thread lives until its clients have ended.
        let clients = Serving { tasks: TaskTracker::new(), own_thread: true, ..serving.clone() };
        thread::start("entrant-relay", serving, move || async move {
            let mut accepting = tokio::task::JoinSet::new();
            for listener in own {
                match listener.adopt() {
                    Ok(listener) => {
                        accepting.spawn(accept(Arc::clone(&shared), listener, clients.clone(), stop.clone()));
                    }
                    Err(error) => tracing::error!(%error, "a listener cannot be moved to its thread"),
                }
            }
            while accepting.join_next().await.is_some() {}
            clients.tasks.close();
            tokio::select! {
                () = clients.tasks.wait() => {}
                () = clients.aborting.cancelled() => {}
            }
        })?;
    }
    Ok(())
}

/// Accepts until told to stop.
pub(super) async fn accept(shared: Arc<Shared>, listener: Listener, serving: Serving, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = one(&shared, &listener, &serving) => accepted,
        };
        if let Err(error) = accepted {
            tracing::warn!(%error, "a client could not be accepted");
            shared.clock.sleep_until(shared.clock.now() + ACCEPT_PAUSE).await;
        }
    }
}

async fn one(shared: &Arc<Shared>, listener: &Listener, serving: &Serving) -> io::Result<()> {
    match listener {
        Listener::Tcp(listener) => {
            let (client, _) = listener.accept().await?;
            let _ = client.set_nodelay(true);
            spawn(shared, client, serving);
        }
        Listener::Unix(listener, _) => spawn(shared, listener.accept().await?.0, serving),
    }
    Ok(())
}

fn spawn<C: AsyncRead + AsyncWrite + Unpin + Send + 'static>(shared: &Arc<Shared>, mut client: C, serving: &Serving) {
    let full = shared.is_full();
    let place = Place::take(shared);
    let serving = serving.clone();
    serving.tasks.clone().spawn(async move {
        if full {
            // Redis's own words for it.
            let _ = client.write_all(b"-ERR max number of clients reached\r\n").await;
            let _ = client.shutdown().await;
            return;
        }
        let serve = serve(Arc::clone(&place.0), client, &serving.draining);
        if serving.own_thread {
            return serve.await;
        }
        tokio::select! {
            () = serving.aborting.cancelled() => {}
            () = serve => {}
        }
    });
}

/// One client from connecting to its end.
async fn serve<C>(shared: Arc<Shared>, mut client: C, draining: &CancellationToken)
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let Some(said) = door::enter(&mut client, &shared, draining).await else {
        let _ = client.shutdown().await;
        return;
    };
    let (upstream, token) = match connect(&shared).await {
        Ok(connected) => connected,
        Err(fault) => {
            tracing::error!(server = %shared.upstream.address(), %fault, "a client cannot be served");
            return explain(client, said.is_empty(), &fault).await;
        }
    };
    metrics::gauge!(metric::REDIS_CONNECTIONS).increment(1.0);
    let mut session = Session::new(Arc::clone(&shared), client, upstream, token);
    session.requests.buffer = said;
    let end = session.run(draining).await;
    metrics::gauge!(metric::REDIS_CONNECTIONS).decrement(1.0);
    report(&shared, &session, end);
    let _ = tokio::time::timeout(Duration::from_secs(1), async {
        let _ = session.client.shutdown().await;
        let _ = session.upstream.shutdown().await;
    })
    .await;
}

pub(super) async fn connect(shared: &Shared) -> Result<(Stream, Token), Fault> {
    let token = shared.token().await?;
    let server = shared.upstream.address();
    tracing::debug!(%server, "connecting to Redis");
    let opened = shared.upstream.open(&token.token, token.credential.object_id).await;
    let result = if opened.is_ok() { "ok" } else { "error" };
    metrics::counter!(metric::REDIS_AUTHS, "kind" => "connect", "result" => result).increment(1);
    match opened {
        Ok(stream) => {
            tracing::debug!(%server, token_expires = %token.credential.expires, "Redis connection established");
            Ok((stream, token))
        }
        Err(fault) => {
            if fault.codes.iter().any(|code| matches!(code, Code::Redis(_))) {
                metrics::counter!(metric::REDIS_AUTH_FAILURES, "kind" => "connect").increment(1);
                // Perhaps only this token is bad. The keeper's floor bounds how often that is tried.
                shared.keeper.refresh_now();
            }
            Err(fault)
        }
    }
}

/// Answers the client's first command, if it is still to come, with the reason, so that nobody looks for a fault in
/// the client.
pub(super) async fn explain<C: AsyncRead + AsyncWrite + Unpin>(mut client: C, to_come: bool, fault: &Fault) {
    let mut first = [0_u8; 512];
    if to_come && !matches!(tokio::time::timeout(FIRST_QUESTION, client.read(&mut first)).await, Ok(Ok(1..))) {
        return;
    }
    let text: String = fault.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = client.write_all(format!("-ERR entrant: {text}\r\n").as_bytes()).await;
    let _ = client.shutdown().await;
}

pub(super) fn report<C: AsyncRead + AsyncWrite + Unpin>(shared: &Shared, session: &Session<C>, end: End) {
    let server = shared.upstream.address();
    let reason = match end {
        End::Client | End::Shutdown | End::Protocol => return,
        End::Policy(CloseReason::IdentityChanged) => {
            tracing::info!(%server, "a client is closed because the identity has changed; it reconnects as the new one");
            return;
        }
        End::Policy(reason) => reason.as_str(),
        End::Upstream => session.drop_reason().as_str(),
    };
    metrics::counter!(metric::REDIS_CONNECTION_DROPS, "reason" => reason).increment(1);
    let opaque = session.machine.opaque().map_or("", |opaque| opaque.as_str());
    tracing::warn!(%server, reason, opaque, "Redis connection dropped");
}

/// One of the counted places.
pub(super) struct Place(Arc<Shared>);

impl Place {
    pub(super) fn take(shared: &Arc<Shared>) -> Self {
        if shared.connections.fetch_add(1, Ordering::Relaxed) == 0 {
            shared.used.send_replace(true);
        }
        Self(Arc::clone(shared))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0.connections.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Perhaps somebody has come meanwhile.
            self.0.used.send_modify(|used| *used = self.0.connections.load(Ordering::Relaxed) > 0);
        }
    }
}
