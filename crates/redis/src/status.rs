//! What a page or a probe shows of a connection.

use entrant_types::{Fault, ObjectId, Timestamp};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Getting a token, connecting, authenticating.
    Connecting,
    /// Commands are served.
    Ready,
    /// The last attempt failed; the next one comes by itself. Commands fail at once with the reason.
    Down,
}

impl State {
    /// A word for pages, logs and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Ready => "ready",
            Self::Down => "down",
        }
    }
}

/// A connection at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// `host:port`.
    pub server: String,
    /// What it is doing.
    pub state: State,
    /// Whose identity it has, or had last.
    pub object_id: Option<ObjectId>,
    /// When the token of its last confirmed `AUTH` ends, and with it the connection.
    pub token_expires: Option<Timestamp>,
    /// When the keeper means to fetch the next token.
    pub next_refresh: Option<Timestamp>,
    /// When the present connection was established.
    pub connected_since: Option<Timestamp>,
    /// When the last `AUTH` was confirmed.
    pub last_auth: Option<Timestamp>,
    /// Connections established so far.
    pub connects: u64,
    /// Confirmed `AUTH`s on live connections.
    pub reauths: u64,
    /// Connections lost so far, those at expiry included.
    pub drops: u64,
    /// The last failure that is not yet mended.
    pub last_fault: Option<Fault>,
}

impl Status {
    pub(crate) fn new(server: String) -> Self {
        Self {
            server,
            state: State::Connecting,
            object_id: None,
            token_expires: None,
            next_refresh: None,
            connected_since: None,
            last_auth: None,
            connects: 0,
            reauths: 0,
            drops: 0,
            last_fault: None,
        }
    }
}
