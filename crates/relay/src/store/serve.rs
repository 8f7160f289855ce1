//! A connection to the store: bytes in, commands, bytes out, and messages of others.

use std::borrow::Cow;

use bytes::{Buf, BytesMut};
use entrant_proto::resp::{Args, ReplyWriter, RequestFramer, RequestLimits};
use entrant_types::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Store;
use super::blocking::{self, Served};
use super::call::Argv;
use super::outbox::Outbox;
use super::session::Session;

/// Most bytes of replies that wait for a client who does not read; then its commands wait too.
const MAX_REPLIES: usize = 1 << 20;
/// Most bytes of commands that wait while the client blocks or does not read.
const MAX_REQUESTS: usize = 1 << 20;
const READ: usize = 8 << 10;
/// Most arguments of one command: far more than any client sends, and a bound for the memory of one.
const MAX_ARGUMENTS: u32 = 1 << 20;

/// One connection.
struct Connection<'a> {
    store: &'a Store,
    session: Session,
    framer: RequestFramer,
    requests: BytesMut,
    replies: BytesMut,
    /// Nothing more is read: the client is done, or broke the protocol.
    ended: bool,
}

impl Store {
    /// Serves one connection to its end.
    pub async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin>(self, stream: S) {
        let outbox = Outbox::default();
        let (id, user) = {
            let mut state = self.lock();
            let id = state.join(outbox.clone(), self.clock.now());
            (id, state.acl.default_user())
        };
        let limits = RequestLimits {
            bulk_bytes: self.config.max_bytes as u64,
            arguments: MAX_ARGUMENTS,
            stream_after: usize::MAX,
            ..RequestLimits::AUTHENTICATED
        };
        let mut connection = Connection {
            store: &self,
            session: Session::new(id, outbox, user),
            framer: RequestFramer::new(limits),
            requests: BytesMut::new(),
            replies: BytesMut::new(),
            ended: false,
        };
        connection.run(stream).await;
        if let Some(mut waiting) = connection.session.waiting.take() {
            connection.give_back(&mut waiting);
        }
        self.lock().leave(id);
    }
}

impl Connection<'_> {
    async fn run<S: AsyncRead + AsyncWrite + Send + Unpin>(&mut self, stream: S) {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let outbox = self.session.outbox.clone();
        loop {
            self.process();
            outbox.take(&mut self.replies);
            if outbox.is_closed() || self.ended && self.replies.is_empty() {
                // The end of a stream is all that a client can learn now.
                let _ = writer.shutdown().await;
                return;
            }
            let may_read = !self.ended && (self.requests.len() < MAX_REQUESTS || self.wants_more());
            self.requests.reserve(if may_read { READ } else { 0 });
            tokio::select! {
                written = writer.write(&self.replies), if !self.replies.is_empty() => match written {
                    Ok(0) | Err(_) => return,
                    Ok(count) => self.replies.advance(count),
                },
                read = reader.read_buf(&mut self.requests), if may_read => match read {
                    Ok(0) if self.session.waiting.is_some() => return,
                    Ok(0) => self.ended = true,
                    Ok(_) => {}
                    Err(_) => return,
                },
                () = outbox.notified() => {}
                served = served(self.store, &mut self.session) => self.finish_waiting(served),
            }
        }
    }

    /// Whether the waiting bytes are the beginning of one command that is to be read whole.
    fn wants_more(&self) -> bool {
        self.session.waiting.is_none() && self.replies.len() < MAX_REPLIES
    }

    /// Carries out what has come, until nothing whole is left, the client blocks, or its replies pile up.
    fn process(&mut self) {
        let now = self.store.clock.now().millis();
        while self.session.waiting.is_none() && !self.session.ending && self.replies.len() < MAX_REPLIES {
            match self.framer.next(&self.requests) {
                Ok(Some(piece)) => {
                    let command = self.requests.split_to(piece.len);
                    if piece.argc == 0 {
                        continue;
                    }
                    let args: Vec<Cow<'_, [u8]>> = Args::of(&command).collect();
                    self.session.dispatch(&mut self.store.lock(), Argv(&args), &mut self.replies, now);
                }
                // A command longer than the store is large.
                Ok(None) if self.requests.len() > self.store.config.max_bytes + MAX_REQUESTS => {
                    self.ended = true;
                    return;
                }
                Ok(None) => return,
                Err(error) => {
                    if !self.ended {
                        ReplyWriter::new(&mut self.replies, self.session.version()).raw(error.reply().as_bytes());
                    }
                    self.ended = true;
                    return;
                }
            }
        }
        self.ended |= self.session.ending;
    }

    fn finish_waiting(&mut self, served: Option<Served>) {
        let Some(mut waiting) = self.session.waiting.take() else { return };
        let served = served.or_else(|| self.store.lock().give_up(&mut waiting));
        let mut out = ReplyWriter::new(&mut self.replies, self.session.version());
        match served {
            Some((key, item)) => blocking::write(&mut out, &key, &item),
            None => out.null_array(),
        }
    }

    /// The client left while it waited.
    fn give_back(&self, waiting: &mut blocking::Waiting) {
        let lost = self.store.lock().give_up(waiting);
        if lost.is_some() {
            tracing::debug!(connection = self.session.id, "an element was served to a client that had just left");
        }
    }
}

/// Returns when the waiting connection was served, or when its time is over.
async fn served(store: &Store, session: &mut Session) -> Option<Served> {
    let Some(waiting) = &mut session.waiting else { return std::future::pending().await };
    let end = async {
        match waiting.until {
            Some(moment) => store.clock.sleep_until(Timestamp::max(moment, Timestamp::default())).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        served = &mut waiting.served => served.ok(),
        () = end => None,
    }
}
