//! Signing keys: made once, kept, and never made while somebody waits for a start.

use std::fmt::Display;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entrant_proto::jose::{Jwk, JwkSet, SigningKey, to_base64url};
use entrant_types::emulation::EMULATOR_KID_PREFIX;
use entrant_types::{Fault, Retry, Whose};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SerialNumber};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::config::KeySource;
use crate::store::Store;

const KEY_FILE: &str = "signing-key.der";
/// Keys that stay published after rotations. Entra has under ten, but rolls them over weeks: a token there does not
/// outlive its key, and must not here when a test rolls keys every second.
const MOST_PUBLISHED: usize = 50;

/// The keys in force.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// Signs new tokens.
    pub(crate) active: Arc<SigningKey>,
    /// Published for verification, newest first.
    pub(crate) published: Vec<Jwk>,
    x5t: String,
}

impl Keys {
    fn read(der: &[u8]) -> Result<Self, Fault> {
        let active = SigningKey::from_pkcs8(EMULATOR_KID_PREFIX, der).map_err(|error| broken(&error))?;
        let certificate = certificate(der).map_err(|error| broken(&error))?;
        let mut jwk = active.jwk();
        let x5t = to_base64url(digest(&SHA1_FOR_LEGACY_USE_ONLY, &certificate).as_ref());
        jwk.x5t = Some(x5t.clone());
        jwk.x5c = vec![STANDARD.encode(&certificate)];
        Ok(Self { active: Arc::new(active), published: vec![jwk], x5t })
    }

    pub(crate) fn set(&self) -> JwkSet {
        JwkSet { keys: self.published.clone() }
    }

    /// Thumbprint of the active key's certificate.
    pub(crate) fn x5t(&self) -> &str {
        &self.x5t
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
    pub(crate) fn open(source: &KeySource, store: &Store) -> Result<Self, Fault> {
        let der = match source {
            KeySource::Kept => store.read(KEY_FILE)?.map(Zeroizing::new),
            KeySource::Pkcs8(der) => Some(der.clone()),
            KeySource::Shared => SHARED.get().cloned(),
        };
        let keys = der.map(|der| Keys::read(&der).map(Arc::new)).transpose()?;
        Ok(Self { keys: watch::Sender::new(keys), store: store.clone() })
    }

    /// Makes the first key, if none was kept. Blocks for 90 to 570 ms then.
    pub(crate) fn ensure(&self, source: &KeySource) -> Result<(), Fault> {
        if self.keys.borrow().is_some() {
            return Ok(());
        }
        let der = if matches!(source, KeySource::Shared) { shared(&SHARED)? } else { generate()? };
        self.store.keep(KEY_FILE, &der, true)?;
        self.keys.send_replace(Some(Arc::new(Keys::read(&der)?)));
        Ok(())
    }

    /// Makes a new key the active one; older ones stay published. Blocks for 90 to 570 ms.
    pub(crate) fn rotate(&self) -> Result<(), Fault> {
        let der = generate()?;
        let mut keys = Keys::read(&der)?;
        if let Some(before) = self.keys.borrow().as_ref() {
            keys.published.extend(before.published.iter().take(MOST_PUBLISHED).cloned());
        }
        self.store.keep(KEY_FILE, &der, true)?;
        self.keys.send_replace(Some(Arc::new(keys)));
        Ok(())
    }

    /// Publishes the active key only: tokens signed by older ones stop verifying.
    pub(crate) fn withdraw_older(&self) {
        self.keys.send_modify(|keys| {
            if let Some(keys) = keys {
                Arc::make_mut(keys).published.truncate(1);
            }
        });
    }

    /// The keys; waits while the first one is being made. `None` once the maker is gone.
    pub(crate) async fn get(&self) -> Option<Arc<Keys>> {
        let mut receiver = self.keys.subscribe();
        receiver.wait_for(Option::is_some).await.ok()?;
        self.keys.borrow().clone()
    }
}

/// A key that is never published, for the fault that signs with one. Blocks at the first call.
pub(crate) fn unpublished() -> Result<SigningKey, Fault> {
    let der = shared(&UNPUBLISHED)?;
    SigningKey::from_pkcs8(EMULATOR_KID_PREFIX, &der).map_err(|error| broken(&error))
}

/// A certificate around the key, for `x5t` and `x5c`. Its dates and serial number are fixed and PKCS #1 v1.5 is
/// deterministic, so that the same key always has the same thumbprint. Nobody checks its dates.
fn certificate(der: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &rcgen::PKCS_RSA_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Entrant emulator token signing");
    params.serial_number = Some(SerialNumber::from(1));
    Ok(params.self_signed(&pair)?.der().to_vec())
}

fn generate() -> Result<Zeroizing<Vec<u8>>, Fault> {
    SigningKey::generate(EMULATOR_KID_PREFIX).map(|(_, der)| der).map_err(|error| broken(&error))
}

/// One key for all emulators of a test process: generating costs more than a whole test.
static SHARED: OnceLock<Zeroizing<Vec<u8>>> = OnceLock::new();
static UNPUBLISHED: OnceLock<Zeroizing<Vec<u8>>> = OnceLock::new();

fn shared(cell: &OnceLock<Zeroizing<Vec<u8>>>) -> Result<Zeroizing<Vec<u8>>, Fault> {
    if let Some(der) = cell.get() {
        return Ok(der.clone());
    }
    let der = generate()?;
    Ok(cell.get_or_init(|| der).clone())
}

fn broken(error: &dyn Display) -> Fault {
    Fault::new(
        Whose::Configuration,
        format!("The emulator's signing key cannot be used: {error}."),
        format!("Delete {KEY_FILE} in the data directory; it is made anew at the next start."),
    )
    .retry(Retry::Never)
}
