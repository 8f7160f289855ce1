//! One client on a shared connection, until a command of its makes it need one of its own.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use entrant_proto::reauth::{Effect, Request};
use entrant_proto::resp::{Args, RequestFramer, RequestLimits, RequestPiece};
use entrant_types::Fault;
use tokio::io::ReadBuf;
use tokio_util::sync::CancellationToken;

use super::Hub;
use super::list::is_stateless;
use super::mailbox::Mailbox;
use super::replay::Replay;
use super::trunk::{Submitted, Trunk};
use crate::sidecar::asked::Stopping;
use crate::sidecar::requests::MOST_WAITING;

/// Requests under way of one client, beyond which it waits: one client's pipeline must not be everybody's.
const MOST_OUTSTANDING: usize = 1024;
/// Replies held for it, beyond which it gets no more.
const MOST_HELD: usize = 256 << 10;
/// Room that a quiet client keeps.
const MOST_KEPT: usize = 8 << 10;
/// Turns before other clients get theirs.
const TURNS: usize = 16;

/// What becomes of a client.
pub(super) enum Fate {
    /// It is gone, or said goodbye.
    Closed,
    /// It needs a connection of its own; its unsent bytes go with it.
    Pin,
    /// It cannot be served, and is told why.
    Unserved(Box<Fault>),
    /// It does not speak RESP, and is told so.
    Garbled(String),
    /// The sidecar stops.
    Stopped,
}

/// What stands in the way of the next request.
enum Stop {
    Input,
    /// Replies, or the shared connection.
    Turn,
    End(Fate),
}

pub(super) struct Client {
    hub: Rc<Hub>,
    pub(super) mailbox: Rc<Mailbox>,
    trunk: Rc<Trunk>,
    framer: RequestFramer,
    /// Bytes read and not used.
    pub(super) buffer: BytesMut,
    waiting: Option<RequestPiece>,
    pub(super) replay: Replay,
    gone: bool,
}

impl Client {
    pub(super) fn new(hub: Rc<Hub>, mailbox: Rc<Mailbox>) -> Self {
        let trunk = hub.trunk(2);
        Self {
            hub,
            mailbox,
            trunk,
            framer: RequestFramer::new(RequestLimits::AUTHENTICATED),
            buffer: BytesMut::new(),
            waiting: None,
            replay: Replay::default(),
            gone: false,
        }
    }

    /// Serves it while it shares.
    pub(super) async fn run(&mut self, stopping: &CancellationToken) -> Fate {
        let mut stopping = Stopping::new(stopping);
        std::future::poll_fn(|cx| {
            let stop = stopping.poll(cx);
            match self.poll(cx) {
                Poll::Pending if stop && self.is_idle() => Poll::Ready(Fate::Stopped),
                poll => poll,
            }
        })
        .await
    }

    fn is_idle(&self) -> bool {
        self.mailbox.outstanding() == 0 && self.mailbox.held() == 0 && self.buffer.is_empty()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Fate> {
        for _ in 0..TURNS {
            if self.mailbox.has_failed() || self.flush(cx).is_err() {
                return Poll::Ready(Fate::Closed);
            }
            let mut bytes = std::mem::take(&mut self.buffer);
            let stop = self.advance(&mut bytes, cx);
            // A buffer that was grown for a busy moment is let go in a quiet one.
            self.buffer = if bytes.is_empty() && bytes.capacity() > MOST_KEPT { BytesMut::new() } else { bytes };
            match stop {
                Stop::End(fate) => return Poll::Ready(fate),
                Stop::Turn => {
                    self.mailbox.wait(cx.waker(), true);
                    return Poll::Pending;
                }
                Stop::Input if self.gone && self.mailbox.outstanding() == 0 => return Poll::Ready(Fate::Closed),
                Stop::Input if self.gone => {
                    self.mailbox.wait(cx.waker(), true);
                    return Poll::Pending;
                }
                Stop::Input => match self.read(cx) {
                    Poll::Pending => {
                        self.mailbox.wait(cx.waker(), false);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(Fate::Closed),
                },
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what is held, as far as the socket takes it.
    fn flush(&self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.mailbox.held() > 0 && !self.mailbox.flush()? {
            match self.mailbox.socket.poll_write_ready(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(result) => result?,
            }
        }
        Ok(())
    }

    /// Reads into space that all clients share, so that an idle client holds next to nothing.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = self.hub.scratch.borrow_mut();
        let mut room = ReadBuf::new(&mut scratch);
        ready!(self.mailbox.socket.poll_read(cx, &mut room))?;
        self.gone |= room.filled().is_empty();
        self.buffer.extend_from_slice(room.filled());
        Poll::Ready(Ok(()))
    }

    /// Sends every request that may go.
    fn advance(&mut self, bytes: &mut BytesMut, cx: &Context<'_>) -> Stop {
        let now = self.hub.shared.clock.now();
        loop {
            let piece = match self.waiting.take() {
                Some(piece) => piece,
                None => match self.framer.next(bytes) {
                    Ok(Some(piece)) => piece,
                    Ok(None) if bytes.len() > MOST_WAITING => return Stop::End(Fate::Closed),
                    Ok(None) => return Stop::Input,
                    Err(error) => return self.after_all(Fate::Garbled(error.reply().to_string())),
                },
            };
            if piece.argc == 0 {
                bytes.advance(piece.len);
                continue;
            }
            let request = bytes.get(..piece.len).unwrap_or_default();
            // A request too large for one piece would keep the others waiting.
            let stop = if piece.first && piece.last { self.one(request, piece, cx, now) } else { self.own() };
            match stop {
                None => bytes.advance(piece.len),
                Some(stop) => {
                    self.waiting = Some(piece);
                    return stop;
                }
            }
        }
    }

    /// One whole request. `None`: done with it.
    fn one(
        &mut self,
        bytes: &[u8],
        piece: RequestPiece,
        cx: &Context<'_>,
        now: entrant_types::Timestamp,
    ) -> Option<Stop> {
        let request = Request::read(Args::of(bytes), piece.argc)?;
        if is_stateless(&request.name, request.first.as_deref()) {
            if self.mailbox.outstanding() >= MOST_OUTSTANDING || self.mailbox.held() > MOST_HELD {
                return Some(Stop::Turn);
            }
            return match self.trunk.submit(bytes, &self.mailbox, cx, now) {
                Submitted::Sent => None,
                Submitted::Wait => Some(Stop::Turn),
                Submitted::Failed(fault) => Some(Stop::End(Fate::Unserved(fault))),
            };
        }
        // The rest is answered here or needs a connection of its own: after the replies that are on their way.
        if self.mailbox.outstanding() > 0 || self.mailbox.held() > 0 {
            return Some(Stop::Turn);
        }
        let name = request.name.as_ref();
        match request.effect() {
            Effect::Auth => self.answer(b"+OK\r\n"),
            Effect::Hello => self.hello(bytes, cx),
            Effect::Select if request.first.as_deref() == Some(b"0") => self.answer(b"+OK\r\n"),
            Effect::SetName | Effect::Plain if self.replay.note(bytes) => self.answer(b"+OK\r\n"),
            Effect::Plain if name.eq_ignore_ascii_case(b"QUIT") => {
                self.mailbox.deliver(b"+OK\r\n", 0);
                Some(Stop::End(Fate::Closed))
            }
            _ => Some(Stop::End(Fate::Pin)),
        }
    }

    fn answer(&self, reply: &[u8]) -> Option<Stop> {
        self.mailbox.deliver(reply, 0);
        None
    }

    /// `HELLO` is answered as the server answered ours, and moves the client to the connections of that version.
    fn hello(&mut self, bytes: &[u8], cx: &Context<'_>) -> Option<Stop> {
        let Some(version) = self.replay.hello(bytes, self.trunk.version) else { return Some(Stop::End(Fate::Pin)) };
        if version != self.trunk.version {
            self.trunk = self.hub.trunk(version);
        }
        match self.trunk.hello(cx) {
            Ok(Some(reply)) => {
                self.replay.version = version;
                self.answer(&reply)
            }
            Ok(None) => Some(Stop::Turn),
            Err(fault) => Some(Stop::End(Fate::Unserved(fault))),
        }
    }

    fn own(&self) -> Option<Stop> {
        Some(self.after_all(Fate::Pin))
    }

    /// The fate, once every reply on its way is through.
    fn after_all(&self, fate: Fate) -> Stop {
        if self.mailbox.outstanding() > 0 || self.mailbox.held() > 0 { Stop::Turn } else { Stop::End(fate) }
    }
}
