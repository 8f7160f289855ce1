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

/// Takes exactly what [`URL_SAFE_NO_PAD`] takes: no padding, no stray bits in the last character.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static DECODER: std::sync::LazyLock<base64::engine::Simd> =
    std::sync::LazyLock::new(|| base64::engine::Simd::url_safe(base64::engine::general_purpose::NO_PAD));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static DECODER: base64::engine::GeneralPurpose = URL_SAFE_NO_PAD;

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
    DECODER.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn base64url_is_decoded_by_the_strictest_rules_at_every_length(
            mut text in "[A-Za-z0-9_-]{0,400}",
            odd in prop::option::of((any::<prop::sample::Index>(), prop::sample::select(&['=', '+', '/', '.', ' ', '\n', 'é', '\0'][..]))),
        ) {
            if let Some((at, odd)) = odd {
                text.insert(at.index(text.len() + 1), odd);
            }
            prop_assert_eq!(from_base64url(&text), URL_SAFE_NO_PAD.decode(&text).ok());
            prop_assert!(from_base64url(&text).is_none_or(|bytes| odd.is_none() && to_base64url(&bytes) == text));
        }
    }

    #[test]
    fn padding_and_stray_bits_are_refused_in_long_texts_too() {
        let long = to_base64url(&[0xa5; 300]) + "AA";
        assert!(from_base64url(&long).is_some());
        for bad in
            [format!("{long}=="), format!("{}B", &long[..long.len() - 1]), format!("{long}AAA"), long.replace('p', "+")]
        {
            assert_eq!(from_base64url(&bad), None, "{bad}");
        }
    }
}
