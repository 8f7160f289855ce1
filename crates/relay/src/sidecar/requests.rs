//! From the client to Redis: which bytes may go, in which order.

use bytes::{Buf, BytesMut};
use entrant_proto::reauth::{Effect, Machine, Request, Verdict};
use entrant_proto::resp::{Args, ProtocolError, RequestFramer, RequestLimits, RequestPiece};
use entrant_types::Timestamp;

use super::hello;

/// Bytes that wait at most, in either direction: a slow side slows the other, and memory stays bounded.
pub(super) const MOST_WAITING: usize = 64 << 10;

/// What stands in the way of more requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// More bytes are needed.
    Input,
    /// What is ready must be written first.
    Flush,
    /// An `AUTH` comes first.
    Wait,
    /// Our own `AUTH` goes in place of the client's.
    OwnAuth,
    /// The bytes are no command; the client gets this error once everything before is answered.
    Protocol(ProtocolError),
    /// The connection ends.
    Close,
}

/// The client's bytes on their way to Redis.
#[derive(Debug)]
pub(super) struct Requests {
    framer: RequestFramer,
    pub(super) buffer: BytesMut,
    /// So many bytes at the front of the buffer may be sent.
    pub(super) ready: usize,
    /// A piece that was framed but not yet let through.
    waiting: Option<RequestPiece>,
    /// The rest of a request whose beginning was let through.
    inside: bool,
    /// Goes out after what is ready and before what follows.
    pub(super) inject: BytesMut,
}

impl Requests {
    pub(super) fn new() -> Self {
        Self {
            framer: RequestFramer::new(RequestLimits::AUTHENTICATED),
            buffer: BytesMut::new(),
            ready: 0,
            waiting: None,
            inside: false,
            inject: BytesMut::new(),
        }
    }

    /// Whether everything let through so far has been written.
    pub(super) fn is_flushed(&self) -> bool {
        self.ready == 0 && self.inject.is_empty()
    }

    /// Lets through what may go.
    pub(super) fn advance(&mut self, machine: &mut Machine, now: Timestamp) -> Stop {
        loop {
            if !self.inject.is_empty() {
                return Stop::Flush;
            }
            let rest = self.buffer.get(self.ready..).unwrap_or_default();
            let piece = match self.waiting.take() {
                Some(piece) => piece,
                None => match self.framer.next(rest) {
                    Ok(None) => return Stop::Input,
                    Ok(Some(piece)) => piece,
                    Err(error) => return Stop::Protocol(error),
                },
            };
            // The rest of a long request, or an empty line, which is no request at all.
            if self.inside || piece.argc == 0 {
                self.ready += piece.len;
                if self.inside && piece.last {
                    self.inside = false;
                    machine.request_done();
                }
                continue;
            }
            if let Some(stop) = self.begin(piece, machine, now) {
                return stop;
            }
        }
    }

    /// A request begins.
    fn begin(&mut self, piece: RequestPiece, machine: &mut Machine, now: Timestamp) -> Option<Stop> {
        let bytes = self.buffer.get(self.ready..self.ready + piece.len).unwrap_or_default();
        let request = Request::read(Args::of(bytes), piece.argc);
        let replaced = request.as_ref().is_some_and(|request| matches!(request.effect(), Effect::Auth | Effect::Hello));
        if replaced && self.ready > 0 {
            self.waiting = Some(piece);
            return Some(Stop::Flush);
        }
        // A name longer than a whole piece is not a command; Redis will say so in one reply.
        let unknown = Request { name: (&b""[..]).into(), first: None, second: None, argc: piece.argc };
        let verdict = machine.admit(request.as_ref().unwrap_or(&unknown), now);
        match verdict {
            Verdict::Wait => {
                self.waiting = Some(piece);
                return Some(Stop::Wait);
            }
            Verdict::Close => return Some(Stop::Close),
            // Credentials longer than a piece: no token is, and they cannot be cut out.
            _ if replaced && !piece.last => return Some(Stop::Protocol(ProtocolError::UnauthenticatedBulkLength)),
            Verdict::Forward => self.ready += piece.len,
            Verdict::ForwardWithoutCredentials => match hello::without_credentials(bytes) {
                None => self.ready += piece.len,
                Some(rewritten) => {
                    self.buffer.advance(piece.len);
                    self.inject = rewritten;
                }
            },
            Verdict::Answer => self.buffer.advance(piece.len),
            Verdict::ForwardOwnAuth => {
                self.buffer.advance(piece.len);
                machine.request_done();
                return Some(Stop::OwnAuth);
            }
        }
        self.inside = !piece.last;
        if piece.last {
            machine.request_done();
        }
        None
    }
}
