//! What an emulator is made of.

use std::path::PathBuf;
use std::sync::Arc;

use entrant_types::{Clock, Entropy, Timestamp};
use zeroize::Zeroizing;

use crate::seed::Seed;

/// Where the signing key comes from.
#[derive(Clone)]
pub enum KeySource {
    /// From the data directory; made in the background at the first start.
    Kept,
    /// This PKCS #8 DER.
    Pkcs8(Zeroizing<Vec<u8>>),
    /// One key for all emulators of this process, made by the first: for tests.
    Shared,
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kept => "Kept",
            Self::Pkcs8(_) => "Pkcs8([secret])",
            Self::Shared => "Shared",
        })
    }
}

/// What an emulator is made of. Ports are those of the [`crate::Listeners`] it will run on, since issuers and
/// URLs are written from here and never from a request's `Host`.
#[derive(Clone, Debug)]
pub struct EmulatorConfig {
    /// The directory's content.
    pub seed: Seed,
    /// Where keys and certificates are kept; `None` keeps nothing.
    pub data_dir: Option<PathBuf>,
    /// Port of the HTTPS listener (Entra).
    pub entra_port: u16,
    /// Port of the HTTP listener (identity endpoints, sign-in pages, console).
    pub imds_port: u16,
    /// Time that tokens live in.
    pub clock: Arc<dyn Clock>,
    /// Real time at start, for certificates: TLS peers check them with the system's clock.
    pub system_now: Timestamp,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where the signing key comes from.
    pub key: KeySource,
}
