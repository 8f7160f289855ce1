//! JSON Object Signing and Encryption, as much as Entra uses: compact JWS with RS256, and RSA key sets.
//!
//! RFC 7515 (JWS), RFC 7517 (JWK), RFC 7518 §3.3 (RS256), RFC 7519 (JWT), RFC 7638 (thumbprints). Keys are
//! parsed once and kept: re-parsing on every call costs 2.7 times the signature itself.

mod jwk;
mod jws;
mod jwt;
mod signing;

pub use jwk::{Jwk, JwkSet, PublicKey};
pub use jws::{Decoded, Jws};
pub use jwt::{Header, MAX_TOKEN_BYTES, UnverifiedJwt};
pub use signing::SigningKey;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Why a token or key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("the token is {0} bytes long; the limit is {MAX_TOKEN_BYTES}")]
    TooLong(usize),
    /// Not three base64url parts with JSON objects in the first two.
    #[error("not a signed JWT: {0}")]
    Malformed(&'static str),
    /// An algorithm other than RS256, `none` included.
    #[error("the token's algorithm is not RS256")]
    Algorithm,
    /// The signature does not belong to this key and text.
    #[error("the token's signature does not match")]
    Signature,
    /// The key is not an RSA signature key of 2048 to 8192 bits.
    #[error("unusable key: {0}")]
    Key(&'static str),
}

/// Base64url without padding (RFC 7515 §2).
#[must_use]
pub fn to_base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Strict base64url without padding; `None` for anything else.
#[must_use]
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
