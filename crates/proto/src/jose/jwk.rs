//! RSA public keys as JSON (RFC 7517, RFC 7518 §6.3).

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents,
};
use serde::{Deserialize, Serialize};

use super::{JoseError, from_base64url, to_base64url};

/// A JSON Web Key. Only public RSA members are known, so that a private one cannot be written by accident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// Key type; only `RSA` is usable.
    pub kty: String,
    /// Key id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// `sig`, when given.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub use_: Option<String>,
    /// Algorithm, when given (Entra leaves it out).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// Modulus, base64url.
    #[serde(default)]
    pub n: String,
    /// Exponent, base64url.
    #[serde(default)]
    pub e: String,
    /// SHA-1 certificate thumbprint, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x5t: Option<String>,
    /// Certificate chain, standard base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub x5c: Vec<String>,
    /// The issuer that signs with this key (Entra's v2 key set), `{tenantid}` standing for any tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

/// A key set (RFC 7517 §5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JwkSet {
    /// The usable keys.
    pub keys: Vec<Jwk>,
}

impl JwkSet {
    /// More keys than any issuer publishes (Entra: under ten).
    pub const MAX_KEYS: usize = 100;

    /// Reads a key set. Keys that are not RSA signature keys, or not understood, are left out: one odd key
    /// must not make the others unusable.
    ///
    /// # Errors
    /// When the text is not a JSON object with an array `keys`, or has more than [`Self::MAX_KEYS`].
    pub fn parse(text: &[u8]) -> Result<Self, JoseError> {
        #[derive(Deserialize)]
        struct Loose {
            keys: Vec<serde_json::Value>,
        }
        let loose: Loose = serde_json::from_slice(text).map_err(|_| JoseError::Key("not a JSON Web Key Set"))?;
        if loose.keys.len() > Self::MAX_KEYS {
            return Err(JoseError::Key("more keys than any issuer publishes"));
        }
        let usable = |key: &Jwk| {
            key.kty == "RSA"
                && key.use_.as_deref().is_none_or(|use_| use_ == "sig")
                && key.alg.as_deref().is_none_or(|alg| alg == "RS256")
        };
        let keys = loose.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).filter(usable).collect();
        Ok(Self { keys })
    }
}

/// An RSA public key, parsed once, that verifies RS256 signatures, and PS256 ones where they are asked for by name.
#[derive(Clone)]
pub struct PublicKey {
    rs256: ParsedPublicKey,
    ps256: ParsedPublicKey,
}

impl PublicKey {
    /// Parses a key.
    ///
    /// # Errors
    /// When it is not RSA, not base64url, or not 2048 to 8192 bits long.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, JoseError> {
        if jwk.kty != "RSA" {
            return Err(JoseError::Key("not an RSA key"));
        }
        let n = from_base64url(&jwk.n).ok_or(JoseError::Key("the modulus is not base64url"))?;
        // The library checks the length at the first signature only; a forger's short key is refused here.
        let bytes = n.len() - n.iter().take_while(|byte| **byte == 0).count();
        if !(256..=1024).contains(&bytes) {
            return Err(JoseError::Key("not an RSA key of 2048 to 8192 bits"));
        }
        let e = from_base64url(&jwk.e).ok_or(JoseError::Key("the exponent is not base64url"))?;
        let refused = |_| JoseError::Key("not an RSA key of 2048 to 8192 bits");
        let key = RsaPublicKeyComponents { n, e };
        let rs256 = key.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).map_err(refused)?;
        let ps256 = key.to_parsed_public_key(&RSA_PSS_2048_8192_SHA256).map_err(refused)?;
        Ok(Self { rs256, ps256 })
    }

    /// Verifies an RS256 signature over a message of this SHA-256 digest.
    pub(super) fn verify_digest(&self, digest: &digest::Digest, signature: &[u8]) -> Result<(), JoseError> {
        self.rs256.verify_digest_sig(digest, signature).map_err(|_| JoseError::Signature)
    }

    /// Verifies an RS256 signature over `message`.
    ///
    /// # Errors
    /// [`JoseError::Signature`] when it does not match.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        self.rs256.verify_sig(message, signature).map_err(|_| JoseError::Signature)
    }
}

impl PublicKey {
    /// Verifies a PS256 signature (RFC 7518 §3.5) over `message`.
    pub(super) fn verify_ps256(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        self.ps256.verify_sig(message, signature).map_err(|_| JoseError::Signature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(RSA)")
    }
}

/// The RFC 7638 thumbprint of an RSA key with SHA-256, base64url.
pub(super) fn thumbprint(n: &str, e: &str) -> String {
    to_base64url(digest::digest(&digest::SHA256, format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#).as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        assert_eq!(thumbprint(n, "AQAB"), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn one_odd_key_does_not_make_the_others_unusable() {
        let set = JwkSet::parse(br#"{"keys":[{"kty":"EC","crv":"P-256"},7,{"kty":"RSA","n":"AQ","e":"AQAB","kid":"a"},{"kty":"RSA","use":"enc","n":"AQ","e":"AQAB"}]}"#).unwrap();
        assert_eq!(set.keys.len(), 1);
        assert_eq!(set.keys[0].kid.as_deref(), Some("a"));
    }

    #[test]
    fn text_that_is_no_key_set_is_an_error() {
        for text in [&b""[..], b"[]", b"{}", br#"{"keys":{}}"#, b"<html>"] {
            assert!(JwkSet::parse(text).is_err());
        }
    }

    #[test]
    fn a_short_key_is_refused() {
        let jwk = Jwk {
            kty: "RSA".into(),
            kid: None,
            use_: None,
            alg: None,
            n: to_base64url(&[0xc1; 128]),
            e: "AQAB".into(),
            x5t: None,
            x5c: vec![],
            issuer: None,
        };
        assert!(PublicKey::from_jwk(&jwk).is_err());
    }
}
