//! Proof Key for Code Exchange, method S256 (RFC 7636).

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrant_types::Secret;

/// A verifier and the challenge made from it.
#[derive(Clone, Debug)]
pub struct Pkce {
    /// Sent with the code: 43 characters, 256 bits (RFC 7636 §7.1).
    pub verifier: Secret,
    /// Sent with the authorization request, with `code_challenge_method=S256`.
    pub challenge: String,
}

impl Pkce {
    /// From 32 unpredictable bytes.
    #[must_use]
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        let verifier = Secret::new(URL_SAFE_NO_PAD.encode(bytes));
        let challenge = challenge(verifier.expose());
        Self { verifier, challenge }
    }
}

/// `BASE64URL(SHA256(verifier))`.
#[must_use]
pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7636_appendix_b_holds() {
        let bytes = [
            116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105, 214, 191,
            240, 91, 88, 5, 88, 83, 132, 141, 121,
        ];
        let pkce = Pkce::from_random(&bytes);
        assert_eq!(pkce.verifier.expose(), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(pkce.challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
