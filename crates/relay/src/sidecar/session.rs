//! One client and its connection to Redis, to their end.
//!
//! One task moves both directions, so that no reply can overtake what the machine knows. Bytes are forwarded from
//! the buffers they were read into; a side that does not take its bytes stops the other side's reading.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use entrant_proto::reauth::{self, CloseReason, Credential, Delivery, Machine, Step};
use entrant_types::{AccessToken, BoxFuture, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::alarm::Alarm;
use super::asked::{Renewal, Stopping};
use super::replies::Replies;
use super::requests::{MOST_WAITING, Requests, Stop};
use super::succession::Succession;
use super::upstream::Stream;

/// Room for one read: two TLS records' worth.
const ROOM: usize = 32 << 10;
/// Room that a quiet connection keeps in each direction.
const MOST_KEPT: usize = 1 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; ROOM]);
}

/// How long Redis may take to answer what a client sent before it closed its side.
const GRACE: Duration = Duration::from_secs(30);
/// Turns before other tasks get theirs.
const TURNS: u32 = 32;

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client closed.
    Client,
    /// Redis, or the network to it.
    Upstream,
    /// We did, to keep identities and replies right.
    Policy(CloseReason),
    /// The sidecar is stopping.
    Shutdown,
    /// The client sent something that is not RESP.
    Protocol,
}

/// A token with what the machine knows of it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) credential: Credential,
    pub(super) token: AccessToken,
}

pub(super) struct Session<C> {
    pub(super) shared: Arc<Shared>,
    pub(super) client: C,
    pub(super) upstream: Stream,
    pub(super) machine: Machine,
    pub(super) requests: Requests,
    pub(super) replies: Replies,
    /// The token that the connection has.
    pub(super) held: Token,
    /// The token of the `AUTH` on its way.
    pub(super) sent: Option<Token>,
    /// The newest token, once it differs.
    pub(super) newest: Option<Token>,
    alarm: Alarm,
    pub(super) renewal: Renewal,
    pub(super) succession: Option<Succession>,
    /// A move has ended and the client has not had its turn since.
    pub(super) moved_just_now: bool,
    client_gone: bool,
    pub(super) upstream_gone: bool,
    /// The client sent no RESP: this is said once everything before is answered.
    parting: Option<String>,
    /// Bytes were written to Redis that TLS may still hold.
    unflushed: bool,
    /// How long Redis may take to see that the client is gone.
    grace: Option<BoxFuture<'static, ()>>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    pub(super) fn new(shared: Arc<Shared>, client: C, upstream: Stream, held: Token) -> Self {
        let now = shared.clock.now();
        let machine = Machine::new(held.credential, shared.entropy.fraction(), now);
        let renewal = Renewal::of(shared.keeper.subscribe());
        Self {
            shared,
            client,
            upstream,
            machine,
            requests: Requests::new(),
            replies: Replies::new(),
            held,
            sent: None,
            newest: None,
            alarm: Alarm::default(),
            renewal,
            succession: None,
            moved_just_now: false,
            client_gone: false,
            upstream_gone: false,
            parting: None,
            unflushed: false,
            grace: None,
        }
    }

    /// Moves bytes until one side ends, or until `stopping` and the client is idle.
    pub(super) async fn run(&mut self, stopping: &CancellationToken) -> End {
        let mut stopping = Stopping::new(stopping);
        std::future::poll_fn(|cx| {
            let stop = stopping.poll(cx);
            self.poll(cx, stop)
        })
        .await
    }

    /// Why Redis may have ended the connection.
    pub(super) fn drop_reason(&self) -> reauth::DropReason {
        self.machine.drop_reason(self.shared.clock.now())
    }

    fn poll(&mut self, cx: &mut Context<'_>, stopping: bool) -> Poll<End> {
        self.poll_renewal(cx);
        let mut now = self.shared.clock.now();
        for _ in 0..TURNS {
            let mut moved = match self.poll_replies(cx, now) {
                Ok(moved) => moved,
                Err(end) => return Poll::Ready(end),
            };
            match self.poll_requests(cx, now) {
                Ok(more) => moved |= more,
                Err(end) => return Poll::Ready(end),
            }
            if stopping && self.is_idle() {
                return Poll::Ready(End::Shutdown);
            }
            if self.alarm.poll(self.machine.wake_at(now), &*self.shared.clock, cx) {
                (now, moved) = (self.shared.clock.now(), true);
            }
            if !moved {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Nothing is under way that the client would miss.
    fn is_idle(&self) -> bool {
        let quiet = self.machine.outstanding() == 0 && !self.machine.in_transaction();
        quiet && self.requests.is_flushed() && self.replies.is_flushed()
    }

    fn poll_replies(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Result<bool, End> {
        let mut moved = self.write_client(cx)?;
        if matches!(self.succession, Some(Succession::Draining(..))) {
            return Ok(moved | self.poll_draining(cx, now)?);
        }
        if !self.upstream_gone && self.replies.buffer.len() < MOST_WAITING {
            match read(&mut self.upstream, &mut self.replies.buffer, cx) {
                Poll::Ready(Ok(0) | Err(_)) => (self.upstream_gone, moved) = (true, true),
                Poll::Ready(Ok(_)) => moved = true,
                Poll::Pending => {}
            }
        }
        while let Some(delivery) = self.advance_replies(now) {
            self.settled(&delivery);
            moved = true;
        }
        moved |= self.write_client(cx)?;
        if self.upstream_gone && self.replies.ready == 0 && self.replies.answers.is_empty() {
            return Err(if self.client_gone { End::Client } else { End::Upstream });
        }
        Ok(moved | self.part()?)
    }

    pub(super) fn advance_replies(&mut self, now: Timestamp) -> Option<Delivery> {
        let nodes = self.shared.cluster.as_ref().map(|cluster| (cluster, &self.shared));
        self.replies.advance(&mut self.machine, nodes, now)
    }

    /// Says the last word to a client that does not speak RESP, once its turn has come.
    fn part(&mut self) -> Result<bool, End> {
        let turn = self.machine.outstanding() == 0 || self.machine.opaque().is_some();
        if self.parting.is_none() || !turn || !self.replies.is_flushed() || !self.requests.is_flushed() {
            return Ok(false);
        }
        match self.parting.take_if(|text| !text.is_empty()) {
            Some(text) => {
                self.replies.answers.extend_from_slice(text.as_bytes());
                self.parting = Some(String::new());
                Ok(true)
            }
            None => Err(End::Protocol),
        }
    }

    fn poll_requests(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Result<bool, End> {
        let mut moved = self.poll_opening(cx, now);
        if self.succession.is_some() {
            return Ok(moved | self.write_upstream(cx)?);
        }
        // Where tokens come faster than a move takes, the client gets its turn between two of them.
        if !std::mem::take(&mut self.moved_just_now) {
            moved |= self.step(now)?;
        }
        // A move that began just now knows nothing of what the client says from here on: that waits for its end.
        if self.parting.is_none() && self.succession.is_none() {
            let open = !self.client_gone && !self.machine.holds_client();
            if open && self.requests.buffer.len() < MOST_WAITING {
                match read(&mut self.client, &mut self.requests.buffer, cx) {
                    Poll::Ready(Ok(0) | Err(_)) => (self.client_gone, moved) = (true, true),
                    Poll::Ready(Ok(_)) => moved = true,
                    Poll::Pending => {}
                }
            }
            match self.requests.advance(&mut self.machine, now) {
                Stop::Input | Stop::Flush | Stop::Wait => {}
                Stop::OwnAuth => {
                    self.requests.inject = own_auth(&self.held);
                }
                Stop::Close => moved = true,
                Stop::Protocol(error) => {
                    self.parting = Some(error.reply().to_string());
                    moved = true;
                }
            }
            self.replies.answer(&mut self.machine);
            moved |= !self.replies.answers.is_empty();
            moved |= self.step(now)?;
        }
        moved |= self.write_upstream(cx)?;
        Ok(moved)
    }

    /// Does what the machine says.
    fn step(&mut self, now: Timestamp) -> Result<bool, End> {
        let mut moved = false;
        loop {
            let entropy = &self.shared.entropy;
            let nonce = || {
                let mut nonce = [0; 16];
                entropy.fill(&mut nonce);
                nonce
            };
            match self.machine.step(nonce, now) {
                Step::Nothing => return Ok(moved),
                Step::Inject { credential, nonce } => {
                    let token =
                        self.newest.as_ref().filter(|token| token.credential.generation == credential.generation);
                    let token = token.unwrap_or(&self.held);
                    self.requests.inject = own_auth(token);
                    self.sent = Some(token.clone());
                    if let Some(nonce) = nonce {
                        self.requests.inject.extend_from_slice(&reauth::encode::sentinel(&nonce));
                    }
                }
                Step::Ping => self.requests.inject.extend_from_slice(reauth::encode::PING),
                Step::ForceToken => self.shared.keeper.refresh_now(),
                Step::Alarm => tracing::error!(
                    server = %self.shared.upstream.address(), valid_until = %self.held.credential.expires,
                    "Redis refused the fresh token as well: check the access policy assignment"
                ),
                Step::Replace => {
                    let token = self.newest.clone().unwrap_or_else(|| self.held.clone());
                    self.succession = Some(Succession::start(&self.shared, &self.machine, token));
                    return Ok(true);
                }
                Step::Close(reason) => return Err(End::Policy(reason)),
            }
            moved = true;
        }
    }

    fn write_client(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let replies = &mut self.replies;
        let written = write(&mut self.client, &mut replies.buffer, &mut replies.ready, &mut replies.answers, cx);
        written.map_err(|_| End::Client)
    }

    fn write_upstream(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let requests = &mut self.requests;
        let moved = write(&mut self.upstream, &mut requests.buffer, &mut requests.ready, &mut requests.inject, cx)
            .map_err(|_| End::Upstream)?;
        self.unflushed |= moved;
        if self.unflushed {
            match Pin::new(&mut self.upstream).poll_flush(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(_)) => return Err(End::Upstream),
            }
        }
        if self.client_gone && self.requests.is_flushed() {
            self.say_goodbye(cx)?;
        }
        Ok(moved)
    }

    /// The client has closed its side: Redis answers what it has, ends a block, and closes.
    fn say_goodbye(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if self.machine.opaque().is_none() && self.is_idle() {
            return Err(End::Client);
        }
        let _ = Pin::new(&mut self.upstream).poll_shutdown(cx);
        let clock = &self.shared.clock;
        let grace = self.grace.get_or_insert_with(|| clock.sleep_until(clock.now() + GRACE));
        if grace.as_mut().poll(cx).is_ready() { Err(End::Client) } else { Ok(()) }
    }
}

pub(super) fn own_auth(token: &Token) -> BytesMut {
    BytesMut::from(&reauth::encode::auth(token.credential.object_id, &token.token)[..])
}

/// One read, into space that all connections of the thread share: a quiet one holds no buffer.
pub(super) fn read<R: AsyncRead + Unpin>(
    from: &mut R,
    buffer: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut room = ReadBuf::new(scratch);
        match Pin::new(from).poll_read(cx, &mut room) {
            Poll::Ready(Ok(())) => {
                buffer.extend_from_slice(room.filled());
                Poll::Ready(Ok(room.filled().len()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                if buffer.is_empty() && buffer.capacity() > MOST_KEPT {
                    *buffer = BytesMut::new();
                }
                Poll::Pending
            }
        }
    })
}

/// Writes what is ready, then what follows it. Whether anything moved.
pub(super) fn write<W: AsyncWrite + Unpin>(
    to: &mut W,
    buffer: &mut BytesMut,
    ready: &mut usize,
    after: &mut BytesMut,
    cx: &mut Context<'_>,
) -> io::Result<bool> {
    let mut moved = false;
    while *ready > 0 || !after.is_empty() {
        let bytes = if *ready > 0 { buffer.get(..*ready).unwrap_or_default() } else { &after[..] };
        match Pin::new(&mut *to).poll_write(cx, bytes) {
            Poll::Pending => break,
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(written)) if *ready > 0 => {
                buffer.advance(written);
                *ready -= written;
            }
            Poll::Ready(Ok(written)) => after.advance(written),
            Poll::Ready(Err(error)) => return Err(error),
        }
        moved = true;
    }
    Ok(moved)
}
