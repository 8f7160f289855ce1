//! A RESP2 subscriber cannot take an `AUTH`: it moves to a new connection before its token ends.
//!
//! The new connection subscribes to the same, and only when every subscription is confirmed is the old one told to
//! unsubscribe and read to its end. So nothing is lost; what is published in between, about one round trip,
//! comes twice.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use entrant_proto::reauth::{Family, Machine, Notice, error_code};
use entrant_proto::resp::{ReplyFramer, ReplyLimits, encode_command};
use entrant_types::{BoxFuture, Code, Fault, Whose};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Shared;
use super::session::Token;
use super::upstream::Stream;

/// Messages kept while the move is under way. A client that far behind is not moved.
const MOST_KEPT: usize = 4 << 20;
/// The text by which the end of the old connection's messages is known.
const FENCE: &str = "entrant-fence";

/// A connection that is ready to take over.
#[derive(Debug)]
pub(super) struct Successor {
    pub(super) stream: Stream,
    /// Messages that it has already brought, and perhaps the beginning of another.
    pub(super) bytes: BytesMut,
    pub(super) token: Token,
}

/// A move under way.
pub(super) enum Succession {
    /// The new connection is being made; the old one serves.
    Opening(BoxFuture<'static, Result<Successor, Fault>>),
    /// The old connection is read to its end; then the new one's first bytes follow.
    Draining(BoxFuture<'static, Result<BytesMut, Fault>>, BytesMut),
}

impl Succession {
    pub(super) fn start(shared: &Arc<Shared>, machine: &Machine, token: Token) -> Self {
        let plan = Plan::of(machine);
        let upstream = shared.upstream.clone();
        Self::Opening(Box::pin(async move {
            let limit = upstream.connect_timeout;
            let mut stream = upstream.open(&token.token, token.credential.object_id).await?;
            let subscribed = tokio::time::timeout(limit, plan.subscribe(&mut stream)).await;
            let bytes = subscribed.unwrap_or_else(|_| Err(lost("did not confirm subscriptions in time")))?;
            Ok(Successor { stream, bytes, token })
        }))
    }

    /// The second half: what the old connection still brings. `bytes` of it were read but not used.
    pub(super) fn drain(shared: &Arc<Shared>, old: Stream, bytes: BytesMut, successor: BytesMut) -> Self {
        let limit = shared.upstream.connect_timeout;
        Self::Draining(
            Box::pin(async move {
                let read = tokio::time::timeout(limit, rest_of(old, bytes)).await;
                read.unwrap_or_else(|_| Err(lost("did not confirm the end of subscriptions in time")))
            }),
            successor,
        )
    }

    pub(super) fn poll_opening(&mut self, cx: &mut Context<'_>) -> Poll<Result<Successor, Fault>> {
        match self {
            Self::Opening(opening) => opening.as_mut().poll(cx),
            Self::Draining(..) => Poll::Pending,
        }
    }

    /// All that the client must get before the new connection is read: `None` while the first half lasts.
    pub(super) fn poll_draining(&mut self, cx: &mut Context<'_>) -> Poll<Result<BytesMut, Fault>> {
        match self {
            Self::Opening(_) => Poll::Pending,
            Self::Draining(draining, successor) => draining.as_mut().poll(cx).map_ok(|mut bytes| {
                bytes.extend_from_slice(successor);
                bytes
            }),
        }
    }
}

/// What the new connection is told.
struct Plan {
    commands: BytesMut,
    /// Replies to `SELECT` and `CLIENT SETNAME`.
    plain: usize,
    confirmations: usize,
}

impl Plan {
    fn of(machine: &Machine) -> Self {
        let mut plan = Self { commands: BytesMut::new(), plain: 0, confirmations: 0 };
        let (database, name) = machine.replay();
        if let Some(database) = database {
            encode_command(&mut plan.commands, &[&b"SELECT"[..], database]);
            plan.plain += 1;
        }
        if let Some(name) = name {
            encode_command(&mut plan.commands, &[&b"CLIENT"[..], b"SETNAME", name]);
            plan.plain += 1;
        }
        for (family, command) in
            [(Family::Channel, &b"SUBSCRIBE"[..]), (Family::Pattern, b"PSUBSCRIBE"), (Family::Shard, b"SSUBSCRIBE")]
        {
            let mut words = vec![command];
            words.extend(machine.subscriptions().names(family));
            if words.len() > 1 {
                plan.confirmations += words.len() - 1;
                encode_command(&mut plan.commands, &words);
            }
        }
        plan
    }

    /// Subscribes and returns what came beside the confirmations.
    async fn subscribe(mut self, stream: &mut Stream) -> Result<BytesMut, Fault> {
        let broken = |_| lost("closed while subscribing");
        stream.write_all(&self.commands).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let (mut frames, mut kept) = (Frames::new(BytesMut::new()), BytesMut::new());
        while self.plain + self.confirmations > 0 {
            let frame = frames.next(stream).await?;
            match Notice::read(&frame) {
                Some(Notice::Subscribed(..)) => self.confirmations -= 1,
                Some(_) => keep(&mut kept, &frame)?,
                None if error_code(&frame).is_some() => return Err(lost("refused a subscription")),
                None => self.plain = self.plain.saturating_sub(1),
            }
        }
        kept.extend_from_slice(&frames.buffer);
        Ok(kept)
    }
}

/// Ends the old connection's subscriptions and returns every message up to there.
async fn rest_of(mut old: Stream, bytes: BytesMut) -> Result<BytesMut, Fault> {
    let mut fence = BytesMut::new();
    for command in ["UNSUBSCRIBE", "PUNSUBSCRIBE"] {
        encode_command(&mut fence, &[command]);
    }
    encode_command(&mut fence, &["PING", FENCE]);
    let (mut frames, mut kept) = (Frames::new(bytes), BytesMut::new());
    // If this fails it has ended by itself, and what it still brings is all there is.
    let _ = old.write_all(&fence).await;
    let _ = old.flush().await;
    loop {
        let frame = match frames.next(&mut old).await {
            Ok(frame) => frame,
            Err(_) if frames.ended => return Ok(kept),
            Err(fault) => return Err(fault),
        };
        match Notice::read(&frame) {
            Some(Notice::Message) => keep(&mut kept, &frame)?,
            Some(_) => {}
            // The echo, or the refusal of PING: either way everything before it is in.
            None => return Ok(kept),
        }
    }
}

fn keep(kept: &mut BytesMut, frame: &[u8]) -> Result<(), Fault> {
    if kept.len() + frame.len() > MOST_KEPT {
        return Err(lost("brings more messages than the client takes"));
    }
    kept.extend_from_slice(frame);
    Ok(())
}

/// Whole frames of a stream.
struct Frames {
    framer: ReplyFramer,
    buffer: BytesMut,
    ended: bool,
}

impl Frames {
    fn new(buffer: BytesMut) -> Self {
        let limits = ReplyLimits { stream_after: usize::MAX, ..ReplyLimits::RELAY };
        Self { framer: ReplyFramer::new(limits), buffer, ended: false }
    }

    async fn next(&mut self, stream: &mut Stream) -> Result<BytesMut, Fault> {
        loop {
            match self.framer.next(&self.buffer) {
                Ok(Some(piece)) => {
                    let frame = BytesMut::from(self.buffer.get(..piece.len).unwrap_or_default());
                    self.buffer.advance(piece.len);
                    return Ok(frame);
                }
                Ok(None) if self.buffer.len() > MOST_KEPT => return Err(lost("sent a message that is too long")),
                Ok(None) => {}
                Err(_) => return Err(lost("sent something that is not RESP")),
            }
            match stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => {
                    self.ended = true;
                    return Err(lost("closed"));
                }
                Ok(_) => {}
            }
        }
    }
}

fn lost(did: &str) -> Fault {
    Fault::new(
        Whose::Network,
        format!("Redis {did} while a subscriber was moved to a new connection"),
        "The client reconnects. Clients that subscribe with RESP3 need not be moved.",
    )
    .code(Code::Entrant("redis_succession"))
}
