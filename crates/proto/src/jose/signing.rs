//! An RSA key that signs RS256, and client assertions with PS256, parsed once.

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use entrant_types::Secret;
use serde::Serialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::jwk::thumbprint;
use super::{JoseError, Jwk, to_base64url};

/// A private RSA key with its key id.
pub struct SigningKey {
    kid: String,
    pair: RsaKeyPair,
    random: SystemRandom,
}

impl SigningKey {
    /// Makes a new 2048-bit key; also returns it as PKCS #8 DER, to be kept. Takes 90 to 570 ms: never in a
    /// start path. Its key id is `kid_prefix` followed by the RFC 7638 thumbprint.
    ///
    /// # Errors
    /// When the cryptographic library refuses.
    pub fn generate(kid_prefix: &str) -> Result<(Self, Zeroizing<Vec<u8>>), JoseError> {
        let refused = |_| JoseError::Key("the cryptographic library made no key");
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(refused)?;
        let der = Zeroizing::new(pair.as_der().map_err(refused)?.as_ref().to_vec());
        Ok((Self::new(kid_prefix, pair), der))
    }

    /// Reads a key from PKCS #8 DER.
    ///
    /// # Errors
    /// When it is not an RSA private key of 2048 to 8192 bits.
    pub fn from_pkcs8(kid_prefix: &str, der: &[u8]) -> Result<Self, JoseError> {
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| JoseError::Key("not an RSA private key in PKCS #8 form"))?;
        Ok(Self::new(kid_prefix, pair))
    }

    fn new(kid_prefix: &str, pair: RsaKeyPair) -> Self {
        let mut key = Self { kid: String::new(), pair, random: unused_random() };
        let jwk = key.jwk();
        key.kid = format!("{kid_prefix}{}", thumbprint(&jwk.n, &jwk.e));
        key
    }

    /// The key id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half.
    #[must_use]
    pub fn jwk(&self) -> Jwk {
        let public = self.pair.public_key();
        Jwk {
            kty: "RSA".to_owned(),
            kid: Some(self.kid.clone()),
            use_: Some("sig".to_owned()),
            alg: None,
            n: to_base64url(public.modulus().big_endian_without_leading_zero()),
            e: to_base64url(public.exponent().big_endian_without_leading_zero()),
            x5t: None,
            x5c: Vec::new(),
            issuer: None,
        }
    }

    /// Signs `message` with RS256.
    ///
    /// # Errors
    /// When the cryptographic library refuses.
    pub fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        self.sign_as(&RSA_PKCS1_SHA256, message)
    }

    /// Signs `message` with PS256 (RFC 7518 §3.5): each time another signature, by a salt that the cryptographic
    /// library draws.
    ///
    /// # Errors
    /// When the cryptographic library refuses.
    pub fn sign_bytes_ps256(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        self.sign_as(&RSA_PSS_SHA256, message)
    }

    fn sign_as(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(encoding, &self.random, message, &mut signature)
            .map_err(|_| JoseError::Key("the cryptographic library refused to sign"))?;
        Ok(signature)
    }

    /// A compact JWS over `claims`. The header is `{"typ":"JWT","alg":"RS256","kid":…}` with the members of
    /// `header` put over it.
    ///
    /// # Errors
    /// When `claims` cannot be written as JSON or the cryptographic library refuses.
    pub fn sign(&self, header: &Map<String, Value>, claims: &impl Serialize) -> Result<Secret, JoseError> {
        let mut whole = Map::new();
        whole.insert("typ".to_owned(), "JWT".into());
        whole.insert("alg".to_owned(), "RS256".into());
        whole.insert("kid".to_owned(), self.kid.clone().into());
        whole.extend(header.clone());
        let header = serde_json::to_vec(&whole).map_err(|_| JoseError::Malformed("the header is no JSON"))?;
        let claims = serde_json::to_vec(claims).map_err(|_| JoseError::Malformed("the claims are no JSON"))?;
        let mut token = format!("{}.{}", to_base64url(&header), to_base64url(&claims));
        let signature = self.sign_bytes(token.as_bytes())?;
        token.push('.');
        token.push_str(&to_base64url(&signature));
        Ok(Secret::new(token))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the signature's type asks for a generator and never uses it: the library draws the salt of PS256 itself"
)]
fn unused_random() -> SystemRandom {
    SystemRandom::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{Jws, PublicKey, UnverifiedJwt};
    use serde_json::json;

    #[test]
    fn a_signed_token_verifies_with_its_own_key_only() {
        let (key, der) = SigningKey::generate("k-").unwrap();
        let (other, _) = SigningKey::generate("k-").unwrap();
        let token = key.sign(&Map::new(), &json!({"sub": "a"})).unwrap();
        let jwt = UnverifiedJwt::parse(token.expose()).unwrap();
        assert_eq!(jwt.header().kid.as_deref(), Some(key.kid()));
        assert_eq!(jwt.unverified_claims()["sub"], "a");
        assert_eq!(jwt.verify(&PublicKey::from_jwk(&key.jwk()).unwrap()), Ok(()));
        assert_eq!(jwt.verify(&PublicKey::from_jwk(&other.jwk()).unwrap()), Err(JoseError::Signature));
        let decoded = Jws::split(token.expose()).unwrap().decode().unwrap();
        assert_eq!(decoded.verify(&PublicKey::from_jwk(&key.jwk()).unwrap()), Ok(()));
        assert_eq!(decoded.verify(&PublicKey::from_jwk(&other.jwk()).unwrap()), Err(JoseError::Signature));
        let again = SigningKey::from_pkcs8("k-", &der).unwrap();
        assert_eq!(again.kid(), key.kid());
    }

    #[test]
    fn only_rs256_is_ever_verified() {
        let (key, _) = SigningKey::generate("").unwrap();
        let public = PublicKey::from_jwk(&key.jwk()).unwrap();
        for alg in ["none", "None", "HS256", "PS256", "rs256", ""] {
            let header = Map::from_iter([("alg".to_owned(), json!(alg))]);
            let token = key.sign(&header, &json!({})).unwrap();
            assert_eq!(
                UnverifiedJwt::parse(token.expose()).unwrap().verify(&public),
                Err(JoseError::Algorithm),
                "{alg}"
            );
            let decoded = Jws::split(token.expose()).unwrap().decode().unwrap();
            assert_eq!(decoded.verify(&public), Err(JoseError::Algorithm), "{alg}");
        }
    }

    #[test]
    fn a_client_assertion_may_be_signed_with_ps256_and_a_token_may_not() {
        let ((key, _), (other, _)) = (SigningKey::generate("").unwrap(), SigningKey::generate("").unwrap());
        let [public, foreign] = [&key, &other].map(|key| PublicKey::from_jwk(&key.jwk()).unwrap());
        let signed = format!("{}.e30", to_base64url(br#"{"alg":"PS256"}"#));
        let with = |signature: &[u8]| UnverifiedJwt::parse(&format!("{signed}.{}", to_base64url(signature))).unwrap();
        let jwt = with(&key.sign_bytes_ps256(signed.as_bytes()).unwrap());
        assert_eq!(jwt.verify_client_assertion(&public), Ok(()));
        assert_eq!(jwt.verify_client_assertion(&foreign), Err(JoseError::Signature));
        assert_eq!(jwt.verify(&public), Err(JoseError::Algorithm));
        let padded_otherwise = with(&key.sign_bytes(signed.as_bytes()).unwrap());
        assert_eq!(padded_otherwise.verify_client_assertion(&public), Err(JoseError::Signature));
        let rs256 = key.sign(&Map::new(), &json!({})).unwrap();
        assert_eq!(UnverifiedJwt::parse(rs256.expose()).unwrap().verify_client_assertion(&public), Ok(()));
    }

    #[test]
    fn a_private_key_never_prints() {
        let (key, _) = SigningKey::generate("k-").unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.kid()));
    }
}
