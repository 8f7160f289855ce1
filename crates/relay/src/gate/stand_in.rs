//! Commands that the backend refuses for certain, sent in place of what it must not see: the answer keeps its place
//! among the replies, and is replaced on its way back.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use entrant_proto::resp::Version;

use super::registry::{CloseReason, Live};
use super::{Shared, cluster};

/// Stands in for refused credentials: an option that HELLO does not know, which the error names.
pub(super) const REFUSED: &str = "refused-by-the-gate";
/// What RESP2 subscribers get instead.
const NOT_NOW: &[u8] = b"-ERR Can't execute 'hello'";

/// What the request side tells the reply side.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// RESET is on its way: its reply ends the relay.
    pub(super) resetting: AtomicBool,
    /// How many stand-ins are on their way: for refused credentials, and for questions about a cluster.
    stand_ins: AtomicU32,
    /// Whether the client speaks RESP3.
    pub(super) resp3: AtomicBool,
    /// Why the backend's hanging up is expected.
    pub(super) ending: OnceLock<CloseReason>,
}

impl Signals {
    /// Whether replies are to be looked at at all.
    pub(super) fn are_up(&self) -> bool {
        self.stand_ins.load(Ordering::Acquire) > 0 || self.resetting.load(Ordering::Acquire)
    }

    pub(super) fn expect(&self) {
        self.stand_ins.fetch_add(1, Ordering::AcqRel);
    }

    fn found(&self, count: u32) {
        self.stand_ins.fetch_sub(count.min(self.stand_ins.load(Ordering::Acquire)), Ordering::AcqRel);
    }

    fn version(&self) -> Version {
        if self.resp3.load(Ordering::Acquire) { Version::Resp3 } else { Version::Resp2 }
    }

    /// A reply with a redirection rewritten, or in which the errors of stand-ins are replaced by what they stand for.
    /// The error is the whole reply, or an element of what EXEC gives. `None`: nothing is to be replaced.
    pub(super) async fn replaced(&self, shared: &Arc<Shared>, live: &Live, frame: &[u8]) -> Option<Vec<u8>> {
        if let Some(cluster) = shared.cluster.as_ref().filter(|_| redirects(shared, frame)) {
            return cluster.redirection(shared, frame);
        }
        if !self.are_up() || !matches!(frame.first(), Some(b'-' | b'*')) {
            return None;
        }
        if let Some(rest) = frame.strip_prefix(NOT_NOW) {
            self.found(1);
            return Some([b"-ERR Can't execute 'auth'", rest].concat());
        }
        let (mut out, mut found) = (Vec::with_capacity(frame.len()), 0);
        for line in frame.split_inclusive(|byte| *byte == b'\n') {
            let has = |word: &str| line.starts_with(b"-") && line.windows(word.len()).any(|own| own == word.as_bytes());
            if has(REFUSED) {
                out.extend_from_slice(shared.wrongpass().as_bytes());
            } else if has(cluster::STAND_IN) {
                out.extend_from_slice(&self.topology(shared, live, line).await);
            } else {
                out.extend_from_slice(line);
                continue;
            }
            found += 1;
        }
        self.found(found);
        (found > 0).then_some(out)
    }

    /// What the stand-in of this error asked.
    async fn topology(&self, shared: &Arc<Shared>, live: &Live, error: &[u8]) -> Vec<u8> {
        match (&shared.cluster, cluster::asked(error), live.identity()) {
            (Some(cluster), Some(question), Some(identity)) => {
                cluster.answer(shared, identity.object_id, self.version(), &question).await
            }
            _ => error.to_vec(),
        }
    }
}

/// Whether this may be a redirection to a node of the cluster.
pub(super) fn redirects(shared: &Shared, frame: &[u8]) -> bool {
    shared.cluster.is_some() && (frame.starts_with(b"-MOVED ") || frame.starts_with(b"-ASK "))
}
