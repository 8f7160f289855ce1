//! One task's own view of a keeper's token: for the paths that read it on every request.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Cache};
use entrant_types::{AccessToken, Clock};

/// Reads a keeper's token without touching memory that other threads write: a load and a comparison as long as
/// the token is the same one, so that threads do not slow each other down. Give each task its own.
#[derive(Clone, Debug)]
pub struct Reader {
    cache: Cache<Arc<ArcSwapOption<AccessToken>>, Option<Arc<AccessToken>>>,
    clock: Arc<dyn Clock>,
}

impl Reader {
    pub(super) fn new(current: Arc<ArcSwapOption<AccessToken>>, clock: Arc<dyn Clock>) -> Self {
        Self { cache: Cache::new(current), clock }
    }

    /// The token, if there is one that is valid now. Like [`Keeper::current`](super::Keeper::current), without
    /// the clone.
    pub fn current(&mut self) -> Option<&AccessToken> {
        let now = self.clock.coarse_now();
        self.cache.load().as_deref().filter(|token| token.lifetime.is_valid(now))
    }
}
