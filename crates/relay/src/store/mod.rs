//! The embedded store: a small in-memory Redis for development, never a database.

use entrant_types::Outside;
use tokio::io::{AsyncRead, AsyncWrite};

/// Limits of a store.
#[derive(Clone, Debug, Default)]
pub struct StoreConfig {}

/// A store. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Store {}

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(_config: StoreConfig, _outside: &Outside) -> Self {
        Self {}
    }

    /// Serves one connection to its end.
    pub async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin>(self, _stream: S) {}
}
