//! From Redis to the client: which bytes are the client's, and which answer what was injected.

use bytes::{Buf, BytesMut};
use entrant_proto::reauth::{Delivery, Machine, Opaque};
use entrant_proto::resp::{Kind, ReplyFramer, ReplyLimits, ReplyPiece};
use entrant_types::Timestamp;

/// As much of a reply as is kept while it passes in pieces: enough for the kind of a message.
const HEAD: usize = 512;

/// What came of an `AUTH`.
pub(super) type Settled = Delivery;

/// Redis's bytes on their way to the client.
#[derive(Debug)]
pub(super) struct Replies {
    framer: ReplyFramer,
    pub(super) buffer: BytesMut,
    /// So many bytes at the front of the buffer may be sent.
    pub(super) ready: usize,
    /// A piece that was framed but waits until what is ready is written.
    waiting: Option<ReplyPiece>,
    /// The beginning of the reply that is passing.
    head: Vec<u8>,
    /// A reply is passing in pieces.
    inside: bool,
    /// Answers of our own: they go after what is ready and before what follows.
    pub(super) answers: BytesMut,
}

impl Replies {
    pub(super) fn new() -> Self {
        Self {
            framer: ReplyFramer::new(ReplyLimits::RELAY),
            buffer: BytesMut::new(),
            ready: 0,
            waiting: None,
            head: Vec::new(),
            inside: false,
            answers: BytesMut::new(),
        }
    }

    /// Whether everything for the client has been written, and no reply is half through.
    pub(super) fn is_flushed(&self) -> bool {
        self.ready == 0 && self.answers.is_empty() && !self.inside
    }

    /// Whether a reply is half through.
    pub(super) const fn is_inside(&self) -> bool {
        self.inside
    }

    /// Lets replies through until one of them settles an `AUTH`, or something must be written first.
    pub(super) fn advance(&mut self, machine: &mut Machine, now: Timestamp) -> Option<Settled> {
        loop {
            if !self.answers.is_empty() {
                return None;
            }
            if machine.opaque().is_some() {
                self.ready = self.buffer.len();
                return None;
            }
            let rest = self.buffer.get(self.ready..).unwrap_or_default();
            let piece = match self.waiting.take() {
                Some(piece) => piece,
                None => match self.framer.next(rest) {
                    Ok(None) => return None,
                    Ok(Some(piece)) => piece,
                    Err(error) => {
                        tracing::warn!(%error, "replies are not RESP; they are passed on uncounted");
                        machine.go_opaque(Opaque::Uncounted);
                        continue;
                    }
                },
            };
            // What may be dropped must stand at the front of the buffer.
            if piece.first && piece.last && piece.kind != Kind::Push && machine.expects_own() && self.ready > 0 {
                self.waiting = Some(piece);
                return None;
            }
            if let Some(settled) = self.pass(piece, machine, now) {
                return Some(settled);
            }
            self.answer(machine);
        }
    }

    /// What was read and not let through, of a connection that is left.
    pub(super) fn take_unused(&mut self) -> BytesMut {
        self.waiting = None;
        self.buffer.split_off(self.ready)
    }

    /// Goes on with another connection's bytes.
    pub(super) fn restart(&mut self, bytes: &[u8]) {
        self.framer = ReplyFramer::new(ReplyLimits::RELAY);
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends our own answers whose turn has come.
    pub(super) fn answer(&mut self, machine: &mut Machine) {
        while !self.inside
            && let Some(answer) = machine.take_answer()
        {
            self.answers.extend_from_slice(answer.bytes());
        }
    }

    fn pass(&mut self, piece: ReplyPiece, machine: &mut Machine, now: Timestamp) -> Option<Settled> {
        let bytes = self.buffer.get(self.ready..self.ready + piece.len).unwrap_or_default();
        self.inside = !piece.last;
        if !piece.last {
            if piece.first {
                self.head.clear();
                self.head.extend_from_slice(bytes.get(..HEAD).unwrap_or(bytes));
            }
            self.ready += piece.len;
            return None;
        }
        let delivery = machine.reply(if piece.first { bytes } else { &self.head }, now);
        if delivery == Delivery::Client {
            self.ready += piece.len;
            return None;
        }
        // The front of the buffer, unless the reply passed in pieces: then the machine is in doubt and closes.
        if self.ready == 0 {
            self.buffer.advance(piece.len);
        }
        Some(delivery)
    }
}
