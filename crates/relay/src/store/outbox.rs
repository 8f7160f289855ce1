//! What others have for a connection: published messages, and the word that it must end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use entrant_proto::resp::{ReplyWriter, Version};
use tokio::sync::Notify;

/// Most bytes of messages that may wait for a subscriber who does not read: Redis's default for pub/sub is 32 MiB.
pub(super) const MAX_WAITING: usize = 32 << 20;

/// Shared between a connection and whoever publishes to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<BytesMut>,
    resp3: AtomicBool,
    closed: AtomicBool,
    notify: Notify,
}

impl Outbox {
    pub(super) fn set_version(&self, version: Version) {
        self.0.resp3.store(version == Version::Resp3, Ordering::Release);
    }

    /// Writes one message.
    pub(super) fn write(&self, message: impl FnOnce(&mut ReplyWriter<'_>)) {
        let version = if self.0.resp3.load(Ordering::Acquire) { Version::Resp3 } else { Version::Resp2 };
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() > MAX_WAITING {
            drop(waiting);
            return self.close();
        }
        message(&mut ReplyWriter::new(&mut waiting, version));
        drop(waiting);
        self.0.notify.notify_one();
    }

    /// The connection must end.
    pub(super) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.notify.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    /// Moves what waits behind `out`.
    pub(super) fn take(&self, out: &mut BytesMut) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.is_empty() {
            out.unsplit(waiting.split());
        }
    }

    /// Returns once something was written or the connection must end.
    pub(super) async fn notified(&self) {
        self.0.notify.notified().await;
    }
}
