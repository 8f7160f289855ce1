//! Sharing: clients that send nothing but stateless commands use a few connections together.
//!
//! One thread serves all of them, so that a burst of requests leaves in one TLS record and comes back in one, and no
//! lock or wake-up of another thread stands between. The first command that is not in the [list](STATELESS) gives its
//! client a connection of its own, for good, before it is sent. A slow client holds up nobody: its replies wait in a
//! bounded buffer, and a request or reply too large for that does not share.

mod carrier;
mod client;
mod list;
mod mailbox;
mod replay;
mod socket;
mod trunk;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use entrant_proto::reauth::Request;
use entrant_proto::resp::{Args, ReplyFramer, ReplyLimits, encode_command};
use entrant_types::{Fault, metric};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

pub use list::STATELESS;

use super::Shared;
use super::door;
use super::listen::{Detached, Listener};
use super::serve::{Place, Serving, connect, explain, report};
use super::session::Session;
use super::thread;
use client::{Client, Fate};
use mailbox::Mailbox;
use replay::Replay;
use socket::{Owned, Socket};
use trunk::Trunk;

/// Bytes read from one client at once.
const SCRATCH: usize = 64 << 10;
/// How long the listener rests after a failure to accept (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the clients of the thread share.
struct Hub {
    shared: Arc<Shared>,
    /// By RESP version, 2 and 3.
    trunks: [Vec<Rc<Trunk>>; 2],
    next: Cell<usize>,
    scratch: RefCell<Vec<u8>>,
}

impl Hub {
    /// The next shared connection of a version, in turn.
    fn trunk(&self, version: u8) -> Rc<Trunk> {
        let trunks = &self.trunks[usize::from(version == 3)];
        let at = self.next.get();
        self.next.set(at.wrapping_add(1));
        Rc::clone(&trunks[at % trunks.len()])
    }
}

/// Serves the listeners on a thread of their own until `stop`, then lets clients finish. Returns at once; the tasks
/// are counted in `serving`.
///
/// # Errors
/// The thread could not be started.
pub(super) fn start(
    shared: &Arc<Shared>,
    listeners: Vec<Listener>,
    serving: &Serving,
    stop: &CancellationToken,
) -> Result<(), Fault> {
    let listeners = thread::detach(listeners)?;
    let (shared, serving_there, stop) = (Arc::clone(shared), serving.clone(), stop.clone());
    thread::start("entrant-sharing", serving, move || async move {
        LocalSet::new().run_until(serve(shared, listeners, serving_there, stop)).await;
    })
}

async fn serve(shared: Arc<Shared>, listeners: Vec<Detached>, serving: Serving, stop: CancellationToken) {
    let count = shared.config.shared_connections.max(1);
    let make = |version| (0..count).map(|_| Rc::new(Trunk::new(version))).collect::<Vec<_>>();
    let hub = Rc::new(Hub {
        shared: Arc::clone(&shared),
        trunks: [make(2), make(3)],
        next: Cell::new(0),
        scratch: RefCell::new(vec![0; SCRATCH]),
    });
    let mut carriers = tokio::task::JoinSet::new();
    for trunk in hub.trunks.iter().flatten() {
        carriers.spawn_local(carrier::carry(Arc::clone(&shared), Rc::clone(trunk)));
    }
    let mut accepting = tokio::task::JoinSet::new();
    let clients = tokio_util::task::TaskTracker::new();
    for listener in listeners {
        accepting.spawn_local(accept(Rc::clone(&hub), listener, serving.clone(), clients.clone(), stop.clone()));
    }
    while accepting.join_next().await.is_some() {}
    clients.close();
    tokio::select! {
        () = clients.wait() => {}
        () = serving.aborting.cancelled() => {}
    }
}

async fn accept(
    hub: Rc<Hub>,
    listener: Detached,
    serving: Serving,
    clients: tokio_util::task::TaskTracker,
    stop: CancellationToken,
) {
    // Readiness must be seen by this thread's own runtime.
    let Ok(listener) = listener.adopt() else {
        tracing::error!("a listener cannot be moved to the sharing thread");
        return;
    };
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = one(&listener) => accepted,
        };
        match accepted {
            Ok(socket) => {
                let (hub, draining) = (Rc::clone(&hub), serving.draining.clone());
                clients.spawn_local(async move { client(hub, socket, &draining).await });
            }
            Err(error) => {
                tracing::warn!(%error, "a client could not be accepted");
                hub.shared.clock.sleep_until(hub.shared.clock.now() + ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn one(listener: &Listener) -> io::Result<Socket> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            let _ = stream.set_nodelay(true);
            Ok(Socket::Tcp(RefCell::new(stream)))
        }
        Listener::Unix(listener, _) => Ok(Socket::Unix(RefCell::new(listener.accept().await?.0))),
    }
}

async fn client(hub: Rc<Hub>, socket: Socket, draining: &CancellationToken) {
    let full = hub.shared.is_full();
    let _place = Place::take(&hub.shared);
    let socket = Rc::new(socket);
    if full {
        // Redis's own words for it.
        let _ = socket.try_write(b"-ERR max number of clients reached\r\n");
        return;
    }
    let mut outside = Owned { socket: Rc::clone(&socket), first: Vec::new() };
    let Some(said) = door::enter(&mut outside, &hub.shared, draining).await else { return };
    let mut client = Client::new(Rc::clone(&hub), Rc::new(Mailbox::new(Rc::clone(&socket))));
    client.buffer = said;
    match client.run(draining).await {
        Fate::Closed | Fate::Stopped => {}
        Fate::Garbled(reply) => client.mailbox.deliver(reply.as_bytes(), 0),
        // Boxed, both of them: their room would be every client's, and few go there.
        Fate::Unserved(fault) => {
            Box::pin(explain(Owned { socket, first: client.buffer.to_vec() }, true, &fault)).await;
        }
        Fate::Pin => {
            let Client { buffer, replay, .. } = client;
            Box::pin(pin(&hub, Owned { socket, first: buffer.to_vec() }, replay, draining)).await;
        }
    }
}

/// The client gets a connection of its own, and what it said before is said there.
async fn pin(hub: &Hub, client: Owned, replay: Replay, draining: &CancellationToken) {
    let (mut upstream, token) = match connect(&hub.shared).await {
        Ok(connected) => connected,
        Err(fault) => {
            tracing::error!(server = %hub.shared.upstream.address(), %fault, "a client cannot be served");
            return explain(client, true, &fault).await;
        }
    };
    let mut commands = replay.commands;
    if replay.version == 3 {
        let mut hello = BytesMut::new();
        encode_command(&mut hello, &["HELLO", "3"]);
        commands.insert(0, hello.to_vec());
    }
    let mut replies = Vec::new();
    for command in &commands {
        match say(&mut upstream, command).await {
            Ok(reply) => replies.push(reply),
            Err(_) => return,
        }
    }
    metrics::gauge!(metric::REDIS_CONNECTIONS).increment(1.0);
    let mut session = Session::new(Arc::clone(&hub.shared), client, upstream, token);
    let now = hub.shared.clock.now();
    for (command, reply) in commands.iter().zip(&replies) {
        if let Some(request) = Request::read(Args::of(command), u32::try_from(Args::of(command).count()).unwrap_or(0)) {
            session.machine.admit(&request, now);
            session.machine.request_done();
            session.machine.reply(reply, now);
        }
    }
    let end = session.run(draining).await;
    metrics::gauge!(metric::REDIS_CONNECTIONS).decrement(1.0);
    report(&hub.shared, &session, end);
    let _ = tokio::time::timeout(Duration::from_secs(1), session.upstream.shutdown()).await;
}

/// One command and its reply on a connection that nobody uses yet.
async fn say(upstream: &mut super::upstream::Stream, command: &[u8]) -> io::Result<BytesMut> {
    upstream.write_all(command).await?;
    upstream.flush().await?;
    let (mut framer, mut reply) = (ReplyFramer::new(ReplyLimits::WHOLE), BytesMut::new());
    while !matches!(framer.next(&reply), Ok(Some(_))) {
        if upstream.read_buf(&mut reply).await? == 0 || reply.len() > SCRATCH {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(reply)
}
