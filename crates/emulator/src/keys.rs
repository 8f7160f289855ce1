//! Signing keys: made once, kept, and never made while somebody waits for a start.

use std::sync::{Arc, OnceLock};

use entrant_proto::jose::{JoseError, Jwk, JwkSet, SigningKey};
use entrant_types::emulation::EMULATOR_KID_PREFIX;
use entrant_types::{Fault, Retry, Whose};
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::config::KeySource;
use crate::store::Store;

const KEY_FILE: &str = "signing-key.der";

/// The keys in force.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// Signs new tokens.
    pub(crate) active: Arc<SigningKey>,
    /// Published for verification; the active one first unless a fault withdrew it.
    pub(crate) published: Vec<Jwk>,
    /// Older keys that still verify.
    pub(crate) older: Vec<Arc<SigningKey>>,
}

impl Keys {
    pub(crate) fn new(active: SigningKey) -> Self {
        let jwk = active.jwk();
        Self { active: Arc::new(active), published: vec![jwk], older: Vec::new() }
    }

    pub(crate) fn set(&self) -> JwkSet {
        JwkSet { keys: self.published.clone() }
    }
}

/// Where the keys are, or will be.
#[derive(Debug)]
pub(crate) struct KeyRing {
    keys: watch::Sender<Option<Arc<Keys>>>,
    store: Store,
}

impl KeyRing {
    /// Reads the kept key, if any. Never generates one.
    pub(crate) fn open(source: KeySource, store: &Store) -> Result<Self, Fault> {
        let der = match source {
            KeySource::Kept => store.read(KEY_FILE)?.map(Zeroizing::new),
            KeySource::Pkcs8(der) => Some(der),
            KeySource::Shared => SHARED.get().cloned(),
        };
        let keys = der.map(|der| SigningKey::from_pkcs8(EMULATOR_KID_PREFIX, &der).map(|key| Arc::new(Keys::new(key))));
        let keys = keys.transpose().map_err(|error| broken(&error))?;
        Ok(Self { keys: watch::Sender::new(keys), store: store.clone() })
    }

    /// Makes the first key, if none was kept. Blocks for 90 to 570 ms then.
    pub(crate) fn ensure(&self, source: &KeySource) -> Result<(), Fault> {
        if self.keys.borrow().is_some() {
            return Ok(());
        }
        let der = if matches!(source, KeySource::Shared) { shared()? } else { generate()?.1 };
        self.store.write(KEY_FILE, &der, true)?;
        let key = SigningKey::from_pkcs8(EMULATOR_KID_PREFIX, &der).map_err(|error| broken(&error))?;
        self.replace(Keys::new(key));
        Ok(())
    }

    pub(crate) fn replace(&self, keys: Keys) {
        self.keys.send_replace(Some(Arc::new(keys)));
    }

    /// The keys; waits while the first one is being made. `None` once the maker is gone.
    pub(crate) async fn get(&self) -> Option<Arc<Keys>> {
        let mut receiver = self.keys.subscribe();
        receiver.wait_for(Option::is_some).await.ok()?;
        self.keys.borrow().clone()
    }
}

fn generate() -> Result<(SigningKey, Zeroizing<Vec<u8>>), Fault> {
    SigningKey::generate(EMULATOR_KID_PREFIX).map_err(|error| broken(&error))
}

/// One key for all emulators of a test process: generating costs more than a whole test.
static SHARED: OnceLock<Zeroizing<Vec<u8>>> = OnceLock::new();

fn shared() -> Result<Zeroizing<Vec<u8>>, Fault> {
    if let Some(der) = SHARED.get() {
        return Ok(der.clone());
    }
    let (_, der) = generate()?;
    Ok(SHARED.get_or_init(|| der).clone())
}

fn broken(error: &JoseError) -> Fault {
    Fault::new(
        Whose::Configuration,
        format!("The emulator's signing key cannot be used: {error}."),
        format!("Delete {KEY_FILE} in the data directory; it is made anew at the next start."),
    )
    .retry(Retry::Never)
}
