//! The relay between a client that is let in and its own connection to the backend.
//!
//! Bytes pass untouched except for the commands that say who the client is. Good credentials are replaced by the
//! backend's own; in place of refused ones goes a command that fails for certain, whose error is replaced on its way
//! back. So the backend answers in order and by its own rules, in MULTI, in subscriber mode and with replies
//! outstanding. (A wrong AUTH would not do: Redis 7.2 to 8.x drops its reply while others are pending,
//! redis/redis#15640.)

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf, BytesMut};
use entrant_proto::resp::{
    Args, ProtocolError, ReplyFramer, ReplyLimits, RequestFramer, RequestLimits, RequestPiece, encode_command,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Shared;
use super::backend::Stream;
use super::cluster;
use super::connection::Client;
use super::credentials::{self, Command, Hello, Offered, backend_auth};
use super::login::Login;
use super::registry::{CloseReason, Live};
use super::stand_in::{REFUSED, Signals, redirects};

/// Room for one read: small while a connection is quiet, one or two TLS records' worth once a read filled it.
const SMALL_READ: usize = 4 << 10;
const LARGE_READ: usize = 32 << 10;

/// How a relay ended.
pub(super) enum End {
    Closed(CloseReason),
    /// The client sent RESET and has its reply: it is nobody again.
    Reset,
}

/// Relays until one side ends. `first` is sent to the backend before anything else.
pub(super) async fn relay(
    shared: &Arc<Shared>,
    live: &Live,
    client: &mut Client,
    upstream: Box<dyn Stream>,
    first: &[u8],
) -> End {
    let (client_read, client_write) = tokio::io::split(&mut client.stream);
    let (upstream_read, upstream_write) = tokio::io::split(upstream);
    let signals = Signals::default();
    signals.resp3.store(Args::of(first).nth(1).is_some_and(|version| *version == *b"3"), Ordering::Release);
    let mut requests = Requests {
        shared,
        live,
        signals: &signals,
        from: client_read,
        to: upstream_write,
        framer: RequestFramer::new(RequestLimits::AUTHENTICATED),
        buffer: &mut client.buffer,
    };
    let mut replies = Replies {
        shared,
        live,
        signals: &signals,
        from: upstream_read,
        to: client_write,
        framer: Some(ReplyFramer::new(ReplyLimits::RELAY)),
        buffer: BytesMut::new(),
    };
    tokio::select! {
        biased;
        () = live.cancel.cancelled() => End::Closed(live.close_reason().unwrap_or(CloseReason::Shutdown)),
        end = replies.run() => end,
        reason = requests.run(first) => End::Closed(reason),
    }
}

/// Client to backend.
struct Requests<'a, R, W> {
    shared: &'a Arc<Shared>,
    live: &'a Live,
    signals: &'a Signals,
    from: R,
    to: W,
    framer: RequestFramer,
    buffer: &'a mut BytesMut,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Requests<'_, R, W> {
    async fn run(&mut self, first: &[u8]) -> CloseReason {
        if !first.is_empty() && self.send(first).await.is_err() {
            return CloseReason::Upstream;
        }
        let mut room = SMALL_READ;
        loop {
            if let Err(reason) = self.forward().await {
                return reason;
            }
            self.buffer.reserve(room);
            match self.from.read_buf(self.buffer).await {
                Err(_) => return CloseReason::Client,
                Ok(0) => return self.wait_for_the_rest(CloseReason::Client).await,
                Ok(read) => room = if read >= SMALL_READ { LARGE_READ } else { SMALL_READ },
            }
            self.live.touch(self.shared.clock.now());
        }
    }

    /// Sends every finished command on, in one write unless credentials are among them.
    async fn forward(&mut self) -> Result<(), CloseReason> {
        let mut ready = 0;
        loop {
            let rest = self.buffer.get(ready..).unwrap_or_default();
            match self.framer.next(rest) {
                Ok(None) => return self.send_ready(ready).await,
                Ok(Some(piece)) if self.is_question(rest, &piece) || credentials::is_credentials(rest, &piece) => {
                    self.send_ready(ready).await?;
                    ready = 0;
                    let bytes = self.buffer.split_to(piece.len);
                    if !piece.last {
                        // Credentials of more than a piece: no token is that long.
                        return Err(CloseReason::Protocol);
                    }
                    self.replace(&bytes).await?;
                }
                Ok(Some(piece)) => ready += piece.len,
                Err(error) => {
                    self.send_ready(ready).await?;
                    self.provoke(error).await?;
                    return Err(self.wait_for_the_rest(CloseReason::Protocol).await);
                }
            }
        }
    }

    /// Whether a stand-in goes in place of this question about where the nodes of a cluster are.
    fn is_question(&self, bytes: &[u8], piece: &RequestPiece) -> bool {
        self.shared.cluster.is_some()
            && piece.first
            && piece.last
            && cluster::question(bytes.get(..piece.len).unwrap_or_default()).is_some()
    }

    async fn send_ready(&mut self, ready: usize) -> Result<(), CloseReason> {
        if ready > 0 {
            let sent = self.to.write_all(self.buffer.get(..ready).unwrap_or_default()).await;
            sent.map_err(|_| CloseReason::Upstream)?;
            self.buffer.advance(ready);
            // TLS keeps what the socket does not take.
            self.to.flush().await.map_err(|_| CloseReason::Upstream)?;
        }
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), CloseReason> {
        self.to.write_all(bytes).await.map_err(|_| CloseReason::Upstream)?;
        self.to.flush().await.map_err(|_| CloseReason::Upstream)
    }

    /// Nothing more comes from the client; replies on their way still reach it. The end of the reply side ends
    /// the relay; this only waits.
    async fn wait_for_the_rest(&mut self, reason: CloseReason) -> CloseReason {
        self.end_with(reason);
        if self.to.shutdown().await.is_err() {
            return reason;
        }
        std::future::pending().await
    }

    /// The backend will hang up, for this reason.
    fn end_with(&self, reason: CloseReason) {
        // The first reason counts.
        let _ = self.signals.ending.set(reason);
    }

    /// Sends a command in place of one that says who the client is, or asks where nodes are.
    async fn replace(&mut self, bytes: &[u8]) -> Result<(), CloseReason> {
        if self.shared.cluster.is_some()
            && let Some(question) = cluster::question(bytes)
        {
            return self.send_stand_in(&format!("{}{question}", cluster::STAND_IN)).await;
        }
        match credentials::read(bytes) {
            Command::Auth(offered) => self.auth(&offered, None).await,
            Command::AuthPasswordOnly => {
                self.shared.refuse_password_only(self.live);
                self.send_refused(self.shared.faults.get().silent_refusal).await
            }
            Command::AuthMalformed(count) => {
                let mut out = BytesMut::new();
                let args: &[&str] = if count == 0 { &["AUTH"] } else { &["AUTH", "a", "b", "c"] };
                encode_command(&mut out, args);
                self.send(&out).await
            }
            Command::Hello(hello) => match &hello.offered {
                Some(offered) => self.auth(offered, Some(&hello)).await,
                None => {
                    self.note_version(&hello);
                    self.send(&hello.rewritten(None)).await
                }
            },
            Command::Reset => {
                self.signals.resetting.store(true, Ordering::Release);
                self.send(bytes).await?;
                // The reply side ends the relay when it has passed on the reply; what the client sends behind
                // RESET waits for that.
                std::future::pending().await
            }
            Command::Quit => {
                self.end_with(CloseReason::Client);
                self.send(bytes).await
            }
            Command::Other => self.send(bytes).await,
        }
    }

    async fn auth(&mut self, offered: &Offered, hello: Option<&Hello>) -> Result<(), CloseReason> {
        match self.shared.login(self.live, offered).await {
            Login::Accepted(identity) => {
                self.shared.registry.identify(self.live, Some(identity));
                let password = self.shared.users.password(identity.object_id);
                let command = match hello {
                    Some(hello) => {
                        self.note_version(hello);
                        hello.rewritten(Some((identity.object_id, &password)))
                    }
                    None => backend_auth(identity.object_id, &password),
                };
                self.send(&command).await
            }
            Login::Refused { silent } => self.send_refused(silent).await,
            Login::Drop => Err(CloseReason::Injected),
        }
    }

    async fn send_refused(&mut self, silent: bool) -> Result<(), CloseReason> {
        if silent {
            return Ok(());
        }
        self.send_stand_in(REFUSED).await
    }

    /// A command that fails for certain, with this word in its error.
    async fn send_stand_in(&mut self, word: &str) -> Result<(), CloseReason> {
        self.signals.expect();
        let mut out = BytesMut::new();
        encode_command(&mut out, &["HELLO", "2", word]);
        self.send(&out).await
    }

    /// Which RESP the client speaks once the backend has answered this.
    fn note_version(&self, hello: &Hello) {
        match hello.version.as_deref() {
            Some(b"2") if hello.valid => self.signals.resp3.store(false, Ordering::Release),
            Some(b"3") if hello.valid => self.signals.resp3.store(true, Ordering::Release),
            _ => {}
        }
    }

    /// Makes the backend report the protocol error behind the replies that are still to come, and hang up. The
    /// client's own bytes are not shown to it: two readers of one malformed stream may disagree.
    async fn provoke(&mut self, error: ProtocolError) -> Result<(), CloseReason> {
        if !self.framer.at_command_start() {
            return Err(CloseReason::Protocol);
        }
        let bytes = match error {
            ProtocolError::ExpectedDollar(byte) => vec![b'*', b'1', b'\r', b'\n', byte, b'\r', b'\n'],
            ProtocolError::InvalidBulkLength | ProtocolError::MissingCrlf => b"*1\r\n$x\r\n".to_vec(),
            ProtocolError::UnbalancedQuotes => b"\"\r\n".to_vec(),
            _ => b"*x\r\n".to_vec(),
        };
        self.send(&bytes).await
    }
}

/// Backend to client.
struct Replies<'a, R, W> {
    shared: &'a Arc<Shared>,
    live: &'a Live,
    signals: &'a Signals,
    from: R,
    to: W,
    /// `None` once the backend sent something that is not RESP: bytes still pass, but none are replaced.
    framer: Option<ReplyFramer>,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Replies<'_, R, W> {
    async fn run(&mut self) -> End {
        let mut room = SMALL_READ;
        loop {
            self.buffer.reserve(room);
            match self.from.read_buf(&mut self.buffer).await {
                Err(_) | Ok(0) => {
                    return End::Closed(self.signals.ending.get().copied().unwrap_or(CloseReason::Upstream));
                }
                Ok(read) => room = if read >= SMALL_READ { LARGE_READ } else { SMALL_READ },
            }
            self.live.touch(self.shared.clock.now());
            match self.forward().await {
                Ok(false) => {}
                Ok(true) => return End::Reset,
                Err(_) => return End::Closed(CloseReason::Client),
            }
        }
    }

    /// Passes every finished reply on, in one write. Whether the reply to RESET was among them.
    async fn forward(&mut self) -> std::io::Result<bool> {
        let (mut ready, mut reset) = (0, false);
        while let Some(framer) = &mut self.framer {
            let rest = self.buffer.get(ready..).unwrap_or_default();
            match framer.next(rest) {
                Ok(None) => break,
                Ok(Some(piece))
                    if piece.first && piece.last && (self.signals.are_up() || redirects(self.shared, rest)) =>
                {
                    let frame = rest.get(..piece.len).unwrap_or_default();
                    reset = frame == b"+RESET\r\n" && self.signals.resetting.load(Ordering::Acquire);
                    if let Some(other) = self.signals.replaced(self.shared, self.live, frame).await {
                        self.send(ready).await?;
                        self.buffer.advance(piece.len);
                        self.to.write_all(&other).await?;
                        ready = 0;
                        continue;
                    }
                    ready += piece.len;
                    if reset {
                        break;
                    }
                }
                Ok(Some(piece)) => ready += piece.len,
                Err(error) => {
                    tracing::warn!(connection = self.live.id, %error, "the backend's replies are not RESP; passed on unread");
                    self.framer = None;
                }
            }
        }
        if self.framer.is_none() {
            ready = self.buffer.len();
        }
        self.send(ready).await?;
        self.to.flush().await?;
        Ok(reset)
    }

    async fn send(&mut self, ready: usize) -> std::io::Result<()> {
        if ready > 0 {
            self.to.write_all(self.buffer.get(..ready).unwrap_or_default()).await?;
            self.buffer.advance(ready);
        }
        Ok(())
    }
}
