//! A compact JWS whose claims nobody has vouched for yet (RFC 7515 §7.1, RFC 7519).

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Decoded, JoseError, Jws, PublicKey};

/// 16 KiB: Entra keeps tokens below it by the group overage claim, and Redis accepts no longer argument
/// before authentication (`networking.c`, unauthenticated bulk length, 16,384 bytes).
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The protected header (RFC 7515 §4.1), as much as matters. Unverified, like the claims.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Header {
    /// Signature algorithm.
    pub alg: String,
    /// Key id.
    #[serde(default)]
    pub kid: Option<String>,
    /// `JWT`, usually.
    #[serde(default)]
    pub typ: Option<String>,
    /// SHA-1 certificate thumbprint (Entra v1 tokens).
    #[serde(default)]
    pub x5t: Option<String>,
    /// Extensions that must be understood (RFC 7515 §4.1.11). None is, so their presence is an error.
    #[serde(default)]
    crit: Option<Value>,
}

impl Header {
    pub(super) fn read(json: &[u8]) -> Result<Self, JoseError> {
        // A derived reader would take an array of the members' values too.
        let object = json.trim_ascii_start().first() == Some(&b'{');
        let header: Option<Self> = object.then(|| serde_json::from_slice(json).ok()).flatten();
        let header = header.ok_or(JoseError::Malformed("the header is not a JSON object"))?;
        if header.crit.is_some() {
            return Err(JoseError::Malformed("the header demands an extension"));
        }
        Ok(header)
    }
}

/// A parsed JWT whose signature has not been checked against anybody's key.
#[derive(Clone)]
pub struct UnverifiedJwt {
    header: Header,
    claims: Map<String, Value>,
    signed: Box<str>,
    signature: Vec<u8>,
}

impl UnverifiedJwt {
    /// Reads a compact JWS of at most [`MAX_TOKEN_BYTES`].
    ///
    /// # Errors
    /// [`JoseError::TooLong`] or [`JoseError::Malformed`]. Encrypted tokens (five parts) are malformed here.
    pub fn parse(token: &str) -> Result<Self, JoseError> {
        let jws = Jws::split(token)?;
        let signed = jws.signed.into();
        let Decoded { header, payload, signature, .. } = jws.decode()?;
        let claims =
            serde_json::from_slice(&payload).map_err(|_| JoseError::Malformed("the claims are not a JSON object"))?;
        Ok(Self { header, claims, signed, signature })
    }

    /// The header. Unverified: choose a key by it, nothing else.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The claims as the bearer states them. Show them; decide nothing by them.
    #[must_use]
    pub fn unverified_claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Takes the claims out, still unverified.
    #[must_use]
    pub fn into_unverified_claims(self) -> Map<String, Value> {
        self.claims
    }

    /// Checks algorithm and signature. Says nothing about issuer, audience or times.
    ///
    /// # Errors
    /// [`JoseError::Algorithm`] unless RS256; [`JoseError::Signature`] when the key does not fit.
    pub fn verify(&self, key: &PublicKey) -> Result<(), JoseError> {
        if self.header.alg != "RS256" {
            return Err(JoseError::Algorithm);
        }
        key.verify(self.signed.as_bytes(), &self.signature)
    }

    /// The same for a client assertion, which a certificate may sign with PS256 too. No token of Entra's is.
    ///
    /// # Errors
    /// [`JoseError::Algorithm`] unless RS256 or PS256; [`JoseError::Signature`] when the key does not fit.
    pub fn verify_client_assertion(&self, key: &PublicKey) -> Result<(), JoseError> {
        if self.header.alg == "PS256" {
            return key.verify_ps256(self.signed.as_bytes(), &self.signature);
        }
        self.verify(key)
    }
}

/// Shows the header and the claims' names only: the text of a token is a secret, and so are some claims.
impl fmt::Debug for UnverifiedJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedJwt")
            .field("header", &self.header)
            .field("claims", &self.claims.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::to_base64url;

    fn unsigned(header: &str, claims: &str) -> String {
        format!("{}.{}.", to_base64url(header.as_bytes()), to_base64url(claims.as_bytes()))
    }

    #[test]
    fn text_that_is_no_jwt_is_an_error() {
        let five = "e30.e30.e30.e30.e30";
        for text in ["", ".", "..", "...", "a.b", "e30.e30.e30", "e30.W10.", five, "e30=.e30.", "ü.e30."] {
            assert!(UnverifiedJwt::parse(text).is_err(), "{text}");
        }
        assert!(UnverifiedJwt::parse(&unsigned(r#"["RS256"]"#, "{}")).is_err(), "a header that is an array");
    }

    #[test]
    fn a_token_over_the_limit_is_not_even_decoded() {
        let long = "a".repeat(MAX_TOKEN_BYTES + 1);
        assert_eq!(UnverifiedJwt::parse(&long).err(), Some(JoseError::TooLong(MAX_TOKEN_BYTES + 1)));
    }

    #[test]
    fn a_header_that_demands_an_extension_is_refused() {
        assert!(UnverifiedJwt::parse(&unsigned(r#"{"alg":"RS256","crit":["exp"]}"#, "{}")).is_err());
        assert!(UnverifiedJwt::parse(&unsigned(r#"{"alg":"RS256"}"#, "{}")).is_ok());
    }
}
