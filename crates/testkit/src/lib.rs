//! Manual clock, scripted transport, loopback guard, secret scan, real servers: for tests only.
//!
//! [`Stage::new`] gives an [`entrant_types::Outside`] in which nothing is real and everything is in the test's hand.

mod clock;
mod logs;
mod scripted;
mod servers;
mod transport;

use std::sync::Arc;

use entrant_types::{Outside, Timestamp};

pub use crate::clock::ManualClock;
pub use crate::logs::{Logs, assert_no_secret};
pub use crate::scripted::{MapEnv, MapFiles, ScriptedCommands, SeededEntropy};
pub use crate::servers::Server;
pub use crate::transport::{ScriptedTransport, json_reply, reply};

/// A whole outside for a test, with handles to steer it.
#[derive(Debug)]
pub struct Stage {
    /// Time; starts at 2026-01-01T00:00:00Z.
    pub clock: Arc<ManualClock>,
    /// HTTP; refuses everything until given replies.
    pub http: Arc<ScriptedTransport>,
    /// Environment; empty.
    pub env: Arc<MapEnv>,
    /// Files; none.
    pub files: Arc<MapFiles>,
    /// Processes; none installed.
    pub commands: Arc<ScriptedCommands>,
}

impl Stage {
    /// 2026-01-01T00:00:00Z, where every test's time starts.
    pub const START: Timestamp = Timestamp::from_secs(1_767_225_600);

    /// A stage on which nothing is there yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            clock: ManualClock::at(Self::START),
            http: ScriptedTransport::new(),
            env: Arc::default(),
            files: Arc::default(),
            commands: Arc::default(),
        }
    }

    /// The stage as parts take it.
    #[must_use]
    pub fn outside(&self) -> Outside {
        Outside {
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(SeededEntropy::new(1)),
            http: Arc::clone(&self.http) as _,
            env: Arc::clone(&self.env) as _,
            files: Arc::clone(&self.files) as _,
            commands: Arc::clone(&self.commands) as _,
        }
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}
