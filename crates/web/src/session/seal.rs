//! Sealing: what the store or the browser keeps is ciphertext under a key that only the other side can derive.
//!
//! A session record lies in the store, its key is derived from the value in the browser's cookie. A pending
//! sign-in lies in the browser's cookie, its key is derived from the `state` that comes back in the callback URL.
//! Neither half is of use alone, and no key is configured, stored or shared between replicas.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, hkdf};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrant_types::{Entropy, Fault, Retry, Secret, Whose};
use zeroize::Zeroizing;

/// Version of the sealed form, its first byte and part of what the seal authenticates.
const FORMAT: u8 = 1;

/// What a sealed record is. A record of one purpose never opens as another: the purpose is in the key and in
/// the authenticated data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A signed-in session.
    Session,
    /// A sign-in that waits for its callback.
    SignIn,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"entrant session record v1",
            Self::SignIn => b"entrant pending sign-in v1",
        }
    }
}

/// SHA-256 of the secret value: the only name by which a store knows a record.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordId([u8; 32]);

impl RecordId {
    /// The id of the record that `value` opens.
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, value).as_ref());
        Self(bytes)
    }

    /// Reads the 64 hexadecimal digits that [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let digits = std::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'))?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The first eight digits: enough to follow a session through a log, not enough to find it in a store.
impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…")
    }
}

/// The cryptographic library refused. It does so for no input that reaches it here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealFailed;

impl From<SealFailed> for Fault {
    fn from(_: SealFailed) -> Self {
        Self::new(Whose::Entrant, "A record could not be sealed.", "Report this as a defect of Entrant.")
            .retry(Retry::Never)
    }
}

/// Seals and opens the records of one secret value.
pub struct SealKey {
    purpose: Purpose,
    id: RecordId,
    key: LessSafeKey,
}

impl SealKey {
    /// Derives the key: HKDF-SHA-256 (RFC 5869) without salt, since `value` is itself 256 random bits.
    ///
    /// # Errors
    /// When the cryptographic library refuses.
    pub fn derive(value: &[u8], purpose: Purpose) -> Result<Self, SealFailed> {
        let extracted = hkdf::Salt::none(hkdf::HKDF_SHA256).extract(value);
        let info = [purpose.label()];
        let expanded = extracted.expand(&info, &AES_256_GCM).map_err(|_| SealFailed)?;
        Ok(Self { purpose, id: RecordId::of(value), key: LessSafeKey::new(UnboundKey::from(expanded)) })
    }

    /// The name of the record in a store.
    #[must_use]
    pub const fn id(&self) -> &RecordId {
        &self.id
    }

    /// What a form must carry to act for the session of `value`: another expansion of the same value.
    ///
    /// # Errors
    /// When the cryptographic library refuses.
    pub fn form_token(&self, value: &[u8]) -> Result<Secret, SealFailed> {
        let extracted = hkdf::Salt::none(hkdf::HKDF_SHA256).extract(value);
        let info: [&[u8]; 1] = [b"entrant form token v1"];
        let mut bytes = Zeroizing::new([0; 32]);
        let expanded = extracted.expand(&info, hkdf::HKDF_SHA256).map_err(|_| SealFailed)?;
        expanded.fill(bytes.as_mut()).map_err(|_| SealFailed)?;
        Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
    }

    /// Seals `plain` as version `version` of the record, under a fresh random nonce: format byte, nonce,
    /// ciphertext with tag. Every value has its own key and a record is written a few hundred times in its
    /// life, so 96 random bits do not repeat.
    ///
    /// # Errors
    /// When the cryptographic library refuses.
    pub fn seal(
        &self,
        version: u64,
        mut plain: Zeroizing<Vec<u8>>,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, SealFailed> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&nonce);
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.authenticated(version)),
                &mut plain,
            )
            .map_err(|_| SealFailed)?;
        sealed.extend_from_slice(&plain);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens version `version` of the record. Nothing when the bytes are anything but that.
    #[must_use]
    pub fn open(&self, version: u64, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (format, rest) = sealed.split_first()?;
        if *format != FORMAT || rest.len() < NONCE_LEN + AES_256_GCM.tag_len() {
            return None;
        }
        let (nonce, ciphertext) = rest.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        let length = self.key.open_in_place(nonce, Aad::from(self.authenticated(version)), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }

    /// Purpose, format, version and id: a record can be moved to no other place and served as no other version.
    fn authenticated(&self, version: u64) -> Vec<u8> {
        let mut bytes = self.purpose.label().to_vec();
        bytes.push(FORMAT);
        bytes.extend_from_slice(&version.to_be_bytes());
        bytes.extend_from_slice(&self.id.0);
        bytes
    }
}

/// Shows the id only.
impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({:?}, {:?})", self.purpose, self.id)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Counting(AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    fn plain(text: &str) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(text.as_bytes().to_vec())
    }

    #[test]
    fn a_sealed_record_opens_only_with_its_own_value_version_and_purpose() {
        let entropy = Counting::default();
        let key = SealKey::derive(&[7; 32], Purpose::Session).unwrap();
        let sealed = key.seal(3, plain("tokens"), &entropy).unwrap();
        assert_eq!(key.open(3, &sealed).as_deref().map(Vec::as_slice), Some(b"tokens".as_slice()));
        assert!(key.open(2, &sealed).is_none(), "an older version");
        assert!(SealKey::derive(&[8; 32], Purpose::Session).unwrap().open(3, &sealed).is_none(), "another value");
        assert!(SealKey::derive(&[7; 32], Purpose::SignIn).unwrap().open(3, &sealed).is_none(), "another purpose");
    }

    #[test]
    fn a_changed_or_cut_record_does_not_open() {
        let key = SealKey::derive(&[7; 32], Purpose::Session).unwrap();
        let sealed = key.seal(1, plain("tokens"), &Counting::default()).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(1, &changed).is_none(), "byte {at}");
            assert!(key.open(1, &sealed[..at]).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn two_writes_never_share_a_nonce() {
        let entropy = Counting::default();
        let key = SealKey::derive(&[7; 32], Purpose::Session).unwrap();
        let first = key.seal(1, plain("tokens"), &entropy).unwrap();
        let second = key.seal(1, plain("tokens"), &entropy).unwrap();
        assert_ne!(first[1..=NONCE_LEN], second[1..=NONCE_LEN]);
        assert_ne!(first[1 + NONCE_LEN..], second[1 + NONCE_LEN..]);
    }

    #[test]
    fn a_sealed_record_holds_neither_the_value_nor_the_text() {
        let key = SealKey::derive(&[7; 32], Purpose::Session).unwrap();
        let sealed = key.seal(1, plain("a very secret token"), &Counting::default()).unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert!(!sealed.windows(8).any(|window| window == [7; 8]));
        assert!(!format!("{key:?}").contains("07070707"));
    }

    #[test]
    fn record_ids_survive_their_text_form_and_nothing_else_is_one() {
        let id = RecordId::of(b"value");
        assert_eq!(RecordId::parse(&id.to_string()), Some(id));
        let mut signed = id.to_string();
        signed.replace_range(0..2, "+1");
        for text in ["", "zz", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &signed] {
            assert_eq!(RecordId::parse(text), None, "{text}");
        }
    }
}
