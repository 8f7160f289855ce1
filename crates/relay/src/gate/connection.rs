//! One client's life at the gate: TLS, log-in, relay; back to log-in after RESET.

use std::sync::Arc;

use bytes::BytesMut;
use entrant_proto::resp::{RequestFramer, RequestLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Shared;
use super::backend::Stream;
use super::credentials::{self, Command, Hello};
use super::login::Login;
use super::registry::{CloseReason, Live};
use super::relay::{End, relay};

/// First room for a client's bytes; most commands are smaller.
const FIRST_READ: usize = 4 << 10;

/// The reply to every command before AUTH.
const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";
const HELLO_NOAUTH: &str = "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time\r\n";

/// A client's stream and the bytes of it that were not yet used.
pub(super) struct Client {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) buffer: BytesMut,
}

/// A client that is let in.
struct Admitted {
    upstream: Box<dyn Stream>,
    /// A HELLO to be answered by the backend.
    first: BytesMut,
}

/// Serves one connection to its end.
pub(super) async fn serve(shared: Arc<Shared>, socket: TcpStream, live: Arc<Live>) -> CloseReason {
    let limit = shared.config.auth_limit;
    let stream = tokio::select! {
        () = live.cancel.cancelled() => return live.close_reason().unwrap_or(CloseReason::Shutdown),
        accepted = tokio::time::timeout(limit, shared.tls.accept(socket)) => match accepted {
            Err(_) => return CloseReason::AuthTimeout,
            Ok(Err(error)) => {
                tracing::debug!(peer = %live.peer, %error, "TLS handshake failed");
                return CloseReason::Tls;
            }
            Ok(Ok(stream)) => stream,
        },
    };
    let mut client = Client { stream, buffer: BytesMut::new() };
    let reason = sessions(&shared, &live, &mut client).await;
    // A clean end of TLS, unless the client does not take it: then it is not waited for.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), client.stream.shutdown()).await;
    reason
}

async fn sessions(shared: &Arc<Shared>, live: &Live, client: &mut Client) -> CloseReason {
    loop {
        let admitted = tokio::select! {
            () = live.cancel.cancelled() => return live.close_reason().unwrap_or(CloseReason::Shutdown),
            admitted = tokio::time::timeout(shared.config.auth_limit, admit(shared, live, client)) => match admitted {
                Err(_) => return CloseReason::AuthTimeout,
                Ok(Err(reason)) => return reason,
                Ok(Ok(admitted)) => admitted,
            },
        };
        match relay(shared, live, client, admitted.upstream, &admitted.first).await {
            End::Closed(reason) => return reason,
            End::Reset => shared.registry.identify(live, None),
        }
    }
}

/// Answers commands until one of them brings good credentials.
async fn admit(shared: &Arc<Shared>, live: &Live, client: &mut Client) -> Result<Admitted, CloseReason> {
    let mut framer = RequestFramer::new(RequestLimits::BEFORE_AUTH);
    loop {
        let piece = match framer.next(&client.buffer) {
            Ok(Some(piece)) => piece,
            Ok(None) => {
                client.buffer.reserve(FIRST_READ);
                match client.stream.read_buf(&mut client.buffer).await {
                    Ok(0) | Err(_) => return Err(CloseReason::Client),
                    Ok(_) => live.touch(shared.clock.now()),
                }
                continue;
            }
            Err(error) => {
                answer(client, &error.reply()).await?;
                return Err(CloseReason::Protocol);
            }
        };
        let bytes = client.buffer.split_to(piece.len);
        if piece.argc == 0 {
            continue;
        }
        let reply = match credentials::read(&bytes) {
            Command::Auth(offered) => match shared.login(live, &offered).await {
                Login::Accepted(identity) => {
                    let upstream = enter(shared, live, client, identity.object_id).await?;
                    shared.registry.identify(live, Some(identity));
                    answer(client, "+OK\r\n").await?;
                    return Ok(Admitted { upstream, first: BytesMut::new() });
                }
                Login::Refused { .. } => {
                    shared.hold_back(live).await;
                    shared.wrongpass()
                }
                Login::Drop => return Err(CloseReason::Injected),
            },
            Command::AuthPasswordOnly => {
                shared.refuse_password_only(live);
                shared.hold_back(live).await;
                shared.wrongpass()
            }
            Command::AuthMalformed(0) => "-ERR wrong number of arguments for 'auth' command\r\n",
            Command::AuthMalformed(_) => "-ERR syntax error\r\n",
            Command::Hello(hello) => match greet(shared, live, client, &hello).await? {
                Greeting::Admitted(admitted) => return Ok(admitted),
                Greeting::Reply(reply) => reply,
            },
            Command::Reset => "+RESET\r\n",
            Command::Quit => {
                answer(client, "+OK\r\n").await?;
                return Err(CloseReason::Client);
            }
            Command::Other => NOAUTH,
        };
        answer(client, reply).await?;
    }
}

enum Greeting {
    Admitted(Admitted),
    Reply(&'static str),
}

async fn greet(shared: &Arc<Shared>, live: &Live, client: &mut Client, hello: &Hello) -> Result<Greeting, CloseReason> {
    match hello.version.as_deref().map(|version| std::str::from_utf8(version).ok().and_then(|v| v.parse::<i64>().ok()))
    {
        None | Some(Some(2 | 3)) => {}
        Some(Some(_)) => return Ok(Greeting::Reply("-NOPROTO unsupported protocol version\r\n")),
        Some(None) => return Ok(Greeting::Reply("-ERR Protocol version is not an integer or out of range\r\n")),
    }
    let Some(offered) = &hello.offered else {
        return Ok(Greeting::Reply(if hello.valid { HELLO_NOAUTH } else { "-ERR Syntax error in HELLO\r\n" }));
    };
    match shared.login(live, offered).await {
        Login::Accepted(identity) => {
            let upstream = enter(shared, live, client, identity.object_id).await?;
            shared.registry.identify(live, Some(identity));
            Ok(Greeting::Admitted(Admitted { upstream, first: hello.rewritten(None) }))
        }
        Login::Refused { .. } => {
            shared.hold_back(live).await;
            Ok(Greeting::Reply(shared.wrongpass()))
        }
        Login::Drop => Err(CloseReason::Injected),
    }
}

/// Logs in at the backend; once more after making the user anew, which a restarted backend has forgotten.
async fn enter(
    shared: &Arc<Shared>,
    live: &Live,
    client: &mut Client,
    object_id: entrant_types::ObjectId,
) -> Result<Box<dyn Stream>, CloseReason> {
    let first = match shared.users.enter(object_id).await {
        Ok(upstream) => return Ok(upstream),
        Err(fault) => fault,
    };
    let again = if first.is("backend_refused") {
        match shared.provision(object_id).await {
            Ok(()) => shared.users.enter(object_id).await,
            Err(fault) => Err(fault),
        }
    } else {
        Err(first)
    };
    match again {
        Ok(upstream) => Ok(upstream),
        Err(fault) => {
            tracing::error!(%object_id, peer = %live.peer, %fault, "the client was let in but cannot be served");
            answer(client, "-ERR the Redis behind the gate cannot be reached or refused the gate\r\n").await?;
            Err(CloseReason::Upstream)
        }
    }
}

async fn answer(client: &mut Client, reply: &str) -> Result<(), CloseReason> {
    client.stream.write_all(reply.as_bytes()).await.map_err(|_| CloseReason::Client)?;
    client.stream.flush().await.map_err(|_| CloseReason::Client)
}
