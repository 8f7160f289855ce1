//! The real outside: HTTP, clock, entropy, environment, files, processes.
//!
//! The only crate that reads time, randomness or the environment, or starts a process (design invariant 4). Everything
//! else takes an [`entrant_types::Outside`], made once per process by [`outside`].

mod child;
mod clock;
mod command;
mod dial;
mod entropy;
mod env;
mod file;
mod folder;
mod http;
pub mod tls;

use std::path::PathBuf;
use std::sync::Arc;

use entrant_types::{Clock, Env as _, Fault, Outside};

pub use crate::child::{Child, find_program};
pub use crate::clock::{Lapse, LapseClock, SystemClock};
pub use crate::command::ProcessCommands;
pub use crate::dial::DialPolicy;
pub use crate::entropy::OsEntropy;
pub use crate::env::ProcessEnv;
pub use crate::file::DiskFiles;
pub use crate::folder::{Folder, private_folder};
pub use crate::http::HyperTransport;

/// What a process may choose about its outside.
#[derive(Clone, Debug, Default)]
pub struct HostConfig {
    /// A PEM file with the only CA certificates to trust. Without it `SSL_CERT_FILE` counts, then the system's store.
    pub ca_file: Option<PathBuf>,
    /// Which addresses may be dialled.
    pub dial: DialPolicy,
    /// Runs the clock faster than real time.
    pub lapse: Option<Lapse>,
}

/// The outside of this process, and the TLS client configuration that its HTTP uses, for other protocols over TLS.
#[derive(Clone, Debug)]
pub struct Host {
    /// What parts are handed.
    pub outside: Outside,
    /// Trusts the same CAs and resumes sessions.
    pub tls: Arc<rustls::ClientConfig>,
}

impl Host {
    /// Makes it. Call it once: the parsed root store and the connection pool live as long as it.
    ///
    /// # Errors
    /// When the CA file cannot be read or holds no certificate.
    pub fn new(config: HostConfig) -> Result<Self, Fault> {
        let ca_file = config.ca_file.or_else(|| ProcessEnv.get("SSL_CERT_FILE").map(PathBuf::from));
        let trust = tls::Trust::load(ca_file.as_deref())?;
        let tls = tls::client_config(&trust)?;
        let outside = Outside {
            clock: clock(config.lapse),
            entropy: Arc::new(OsEntropy),
            http: Arc::new(HyperTransport::new(trust, tls.clone(), config.dial)),
            env: Arc::new(ProcessEnv),
            files: Arc::new(DiskFiles),
            commands: Arc::new(ProcessCommands),
        };
        Ok(Self { outside, tls: Arc::new(tls) })
    }
}

/// Makes the outside of a process that needs no TLS of its own.
///
/// # Errors
/// As [`Host::new`].
pub fn outside(config: HostConfig) -> Result<Outside, Fault> {
    Host::new(config).map(|host| host.outside)
}

/// The clock of this process: real time, or `lapse` of it.
#[must_use]
pub fn clock(lapse: Option<Lapse>) -> Arc<dyn Clock> {
    match lapse {
        None => Arc::new(SystemClock),
        Some(lapse) => Arc::new(LapseClock::new(lapse)),
    }
}
