//! A client certificate: read from PEM or PFX, and the assertion that it signs (Microsoft Learn, "Microsoft
//! identity platform application authentication certificate credentials").

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest;
use entrant_types::{ClientId, Code, Fault, Guid, Retry, Secret, Timestamp, Whose};
use serde_json::json;
use zeroize::Zeroizing;

use crate::jose::{SigningKey, from_base64url, to_base64url};

mod der;
mod pem;
mod pfx;

/// How long an assertion is good for: Entra accepts up to ten minutes, and a request takes seconds.
const ASSERTION_LIFE: Duration = Duration::from_secs(300);

/// What a file of certificates and keys holds, as DER.
#[derive(Default)]
struct Contents {
    certificates: Vec<Vec<u8>>,
    /// PKCS #8.
    key: Option<Zeroizing<Vec<u8>>>,
}

/// A certificate with its private key.
pub struct Certificate {
    key: SigningKey,
    thumbprint: String,
}

impl Certificate {
    /// Reads a PEM file with a certificate and its unencrypted RSA key (PKCS #8 or PKCS #1), or a PFX
    /// (PKCS #12) file. Of several certificates it takes the one that belongs to the key.
    ///
    /// # Errors
    /// Neither form, no key, an encrypted PEM key, a wrong password, or a certificate of another key.
    pub fn read(file: &[u8], password: Option<&Secret>) -> Result<Self, Fault> {
        // A PFX is a DER sequence, which no text begins with.
        let contents = if file.first() == Some(&der::SEQUENCE) {
            pfx::read(file, password.map_or("", Secret::expose))?
        } else {
            pem::read(file)?
        };
        let key =
            contents.key.ok_or_else(|| bad("it holds no private key", "Add the certificate's key to the file."))?;
        let key =
            SigningKey::from_pkcs8("", &key).map_err(|error| bad(&error.to_string(), "Use an RSA certificate."))?;
        let modulus = from_base64url(&key.jwk().n).unwrap_or_default();
        // A certificate holds its public key's modulus as plain bytes.
        let own =
            contents.certificates.iter().find(|der| der.windows(modulus.len().max(1)).any(|part| part == modulus));
        let own = own.ok_or_else(|| {
            bad("it holds no certificate that belongs to the key", "Put the certificate and its own key in one file.")
        })?;
        Ok(Self { key, thumbprint: to_base64url(digest::digest(&digest::SHA256, own).as_ref()) })
    }

    /// `x5t#S256`: the base64url SHA-256 of the certificate.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// A client assertion for `audience` (the token endpoint's URL). `id` must be unpredictable: it makes
    /// every assertion another one.
    ///
    /// # Errors
    /// When the cryptographic library refuses to sign.
    pub fn assertion(&self, client: ClientId, audience: &str, id: Guid, now: Timestamp) -> Result<Secret, Fault> {
        // No `kid`: Entra finds the key by the certificate's thumbprint. PS256 goes with SHA-256 thumbprints.
        let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint});
        let claims = json!({
            "aud": audience, "iss": client, "sub": client, "jti": id,
            "nbf": now.secs(), "iat": now.secs(), "exp": (now + ASSERTION_LIFE).secs(),
        });
        let text =
            format!("{}.{}", to_base64url(header.to_string().as_bytes()), to_base64url(claims.to_string().as_bytes()));
        let signature = self.key.sign_bytes_ps256(text.as_bytes()).map_err(|error| {
            Fault::new(Whose::Entrant, format!("the client assertion cannot be signed: {error}"), "Report this.")
        })?;
        Ok(Secret::new(format!("{text}.{}", to_base64url(&signature))))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.thumbprint)
    }
}

fn bad(why: &str, fix: &str) -> Fault {
    Fault::new(Whose::Configuration, format!("the client certificate cannot be used: {why}"), fix)
        .retry(Retry::Never)
        .code(Code::Entrant("certificate_unusable"))
}
