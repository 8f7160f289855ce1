//! The compact serialization of a JWS (RFC 7515 §7.1): split and decoded, its signature not yet checked.

use std::sync::OnceLock;

use aws_lc_rs::digest::{self, Digest, SHA256};

use super::{Header, JoseError, MAX_TOKEN_BYTES, PublicKey, from_base64url};

/// The three parts of a token, as text. Nothing is decoded and nothing is copied.
#[derive(Debug)]
pub struct Jws<'t> {
    pub(super) signed: &'t str,
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
    digest: OnceLock<Digest>,
}

/// A token with its parts decoded.
#[derive(Debug)]
pub struct Decoded<'t> {
    jws: Jws<'t>,
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl<'t> Jws<'t> {
    /// Splits a token of at most [`MAX_TOKEN_BYTES`].
    ///
    /// # Errors
    /// [`JoseError::TooLong`], or [`JoseError::Malformed`] with fewer than three parts. More than three (encrypted
    /// tokens have five) do not decode: a full stop is no base64url.
    pub fn split(token: &'t str) -> Result<Self, JoseError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JoseError::TooLong(token.len()));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JoseError::Malformed("no signature part"))?;
        let (header, payload) = signed.split_once('.').ok_or(JoseError::Malformed("not three parts"))?;
        Ok(Self { signed, header, payload, signature, digest: OnceLock::new() })
    }

    /// Decodes the parts.
    ///
    /// # Errors
    /// [`JoseError::Malformed`], also when the header demands an extension.
    pub fn decode(self) -> Result<Decoded<'t>, JoseError> {
        let header = from_base64url(self.header).ok_or(JoseError::Malformed("the header is not base64url"))?;
        let payload = self.payload()?;
        let signature = from_base64url(self.signature).ok_or(JoseError::Malformed("the signature is not base64url"))?;
        Ok(Decoded { header: Header::read(&header)?, payload, signature, jws: self })
    }

    /// The signature as it was sent.
    #[must_use]
    pub fn signature(&self) -> &'t str {
        self.signature
    }

    /// The claims as they were sent, unread and unverified.
    ///
    /// # Errors
    /// [`JoseError::Malformed`]: they are not base64url.
    pub fn payload(&self) -> Result<Vec<u8>, JoseError> {
        from_base64url(self.payload).ok_or(JoseError::Malformed("the claims are not base64url"))
    }

    /// SHA-256 of what is signed, computed once: it names the token, and the signature is over it.
    pub fn digest(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.hashed().as_ref());
        bytes
    }

    fn hashed(&self) -> &Digest {
        self.digest.get_or_init(|| digest::digest(&SHA256, self.signed.as_bytes()))
    }
}

impl Decoded<'_> {
    /// The protected header. Unverified: choose a key by it, nothing else.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The payload: of a JWT, the claims as JSON that nobody has read or vouched for.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Takes the payload out.
    #[must_use]
    pub fn into_payload(self) -> Vec<u8> {
        self.payload
    }

    /// Checks algorithm and signature. Says nothing about issuer, audience or times.
    ///
    /// # Errors
    /// [`JoseError::Algorithm`] unless RS256; [`JoseError::Signature`] when the key does not fit.
    pub fn verify(&self, key: &PublicKey) -> Result<(), JoseError> {
        if self.header.alg != "RS256" {
            return Err(JoseError::Algorithm);
        }
        key.verify_digest(self.jws.hashed(), &self.signature)
    }
}
