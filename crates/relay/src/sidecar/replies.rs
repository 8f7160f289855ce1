//! From Redis to the client: which bytes are the client's, and which answer what was injected.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use entrant_proto::reauth::{Delivery, Machine, Opaque};
use entrant_proto::resp::{Kind, ReplyFramer, ReplyLimits, ReplyPiece};
use entrant_types::Timestamp;

use super::Shared;
use super::cluster::Cluster;

/// As much of a reply as is kept while it passes in pieces: enough for the kind of a message.
const HEAD: usize = 512;

/// The cluster whose nodes get local addresses, if it is one.
pub(super) type Nodes<'a> = Option<(&'a Arc<Cluster>, &'a Arc<Shared>)>;

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
    /// A reply that will be replaced, as far as it has come.
    kept: BytesMut,
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
            kept: BytesMut::new(),
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
    pub(super) fn advance(&mut self, machine: &mut Machine, nodes: Nodes<'_>, now: Timestamp) -> Option<Settled> {
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
            let whole = piece.first && piece.last && piece.kind != Kind::Push;
            let place = nodes.is_some() && self.tells_a_place(&piece, machine);
            // What may be dropped or replaced must stand at the front of the buffer.
            if self.ready > 0 && (place || (whole && machine.expects_own())) {
                self.waiting = Some(piece);
                return None;
            }
            if place {
                self.replace(piece, machine, nodes, now);
                continue;
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

    /// Whether a reply says where a node of the cluster is.
    fn tells_a_place(&self, piece: &ReplyPiece, machine: &Machine) -> bool {
        let bytes = self.buffer.get(self.ready..).unwrap_or_default();
        let redirects = bytes.starts_with(b"-MOVED ") || bytes.starts_with(b"-ASK ");
        piece.kind != Kind::Push && (machine.expects_topology() || (piece.first && piece.last && redirects))
    }

    /// Keeps such a reply until it is whole, and sends it on with local addresses.
    fn replace(&mut self, piece: ReplyPiece, machine: &mut Machine, nodes: Nodes<'_>, now: Timestamp) {
        self.inside = !piece.last;
        self.kept.extend_from_slice(self.buffer.get(..piece.len).unwrap_or_default());
        self.buffer.advance(piece.len);
        if !piece.last {
            return;
        }
        let (kept, topology) = (std::mem::take(&mut self.kept), machine.expects_topology());
        machine.reply(&kept, now);
        let local = nodes.and_then(|(cluster, shared)| {
            let redirected = cluster.redirection(shared, &kept).map(|line| BytesMut::from(&line[..]));
            redirected.or_else(|| topology.then(|| cluster.reply(shared, &kept, machine.is_resp3())).flatten())
        });
        self.answers.extend_from_slice(local.as_deref().unwrap_or(&kept));
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
