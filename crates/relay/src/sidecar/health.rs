//! The three questions that an orchestrator asks.

use entrant_types::{Code, Fault, Whose};

/// The answers at one moment. Names and meanings are those of Cloud SQL Auth Proxy, with the token's state added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Listening: asked until it is true for the first time.
    pub startup: bool,
    /// Why new connections would not be served now; `None` when they would.
    pub not_ready: Option<Fault>,
    /// Whether the process is worth keeping: always, while it answers. No failure outside is mended by a restart.
    pub liveness: bool,
}

impl Health {
    /// Whether new connections would be served.
    #[must_use]
    pub const fn readiness(&self) -> bool {
        self.startup && self.not_ready.is_none()
    }
}

pub(super) fn not_listening() -> Fault {
    Fault::new(Whose::Entrant, "the sidecar is not listening", "Wait until it has started, or start it again.")
        .code(Code::Entrant("not_listening"))
}

pub(super) fn full(limit: usize) -> Fault {
    Fault::new(
        Whose::Configuration,
        format!("all {limit} connections of the sidecar are taken"),
        "Raise --max-connections, or use fewer connections in the clients.",
    )
    .code(Code::Entrant("max_connections"))
}

pub(super) fn no_token() -> Fault {
    Fault::new(
        Whose::Provider,
        "there is no valid token for Redis yet",
        "Wait for the first token; see the log if it does not come.",
    )
    .code(Code::Entrant("no_token"))
}
