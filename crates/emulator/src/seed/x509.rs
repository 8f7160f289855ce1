//! The public key of a PEM certificate: just enough X.509 (RFC 5280 §4.1) to trust a registered certificate.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entrant_proto::jose::{Jwk, PublicKey, to_base64url};

use crate::directory::AppCertificate;

/// Reads the first certificate of `pem`.
///
/// # Errors
/// A clause that says what is wrong.
pub(super) fn certificate(pem: &str) -> Result<AppCertificate, &'static str> {
    let body = pem
        .split_once("-----BEGIN CERTIFICATE-----")
        .and_then(|(_, rest)| rest.split_once("-----END CERTIFICATE-----"))
        .ok_or("no CERTIFICATE block")?
        .0;
    let text: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let der = STANDARD.decode(text).map_err(|_| "the block is not base64")?;
    let (n, e) = rsa_key(&der).ok_or("not an X.509 certificate with an RSA key")?;
    let jwk = Jwk {
        kty: "RSA".into(),
        kid: None,
        use_: None,
        alg: None,
        n: to_base64url(n),
        e: to_base64url(e),
        x5t: None,
        x5c: Vec::new(),
        issuer: None,
    };
    Ok(AppCertificate {
        key: PublicKey::from_jwk(&jwk).map_err(|_| "the key is not RSA of 2048 bits or more")?,
        x5t: to_base64url(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der).as_ref()),
        x5t_s256: to_base64url(digest(&SHA256, &der).as_ref()),
    })
}

/// Modulus and exponent of `Certificate.tbsCertificate.subjectPublicKeyInfo.subjectPublicKey`.
fn rsa_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (certificate, _) = element(der, 0x30)?;
    let (mut fields, _) = element(certificate, 0x30)?;
    if fields.first() == Some(&0xa0) {
        fields = element(fields, 0xa0)?.1; // version
    }
    fields = element(fields, 0x02)?.1; // serial number
    for _ in 0..4 {
        fields = element(fields, 0x30)?.1; // signature, issuer, validity, subject
    }
    let (spki, _) = element(fields, 0x30)?;
    let (_, rest) = element(spki, 0x30)?; // algorithm
    let (bits, _) = element(rest, 0x03)?;
    let (key, _) = element(bits.strip_prefix(&[0])?, 0x30)?;
    let (n, rest) = element(key, 0x02)?;
    let (e, _) = element(rest, 0x02)?;
    let trim = |bytes: &'_ [u8]| bytes.iter().take_while(|byte| **byte == 0).count();
    Some((&n[trim(n)..], &e[trim(e)..]))
}

/// Content of the DER element at the front of `input`, if it has this tag, and what follows it.
fn element(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (head, rest) = input.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut length = usize::from(*first);
    if length & 0x80 != 0 {
        let count = length & 0x7f;
        if count == 0 || count > 4 || rest.len() < count {
            return None;
        }
        let (bytes, after) = rest.split_at(count);
        length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        rest = after;
    }
    (*head == tag && rest.len() >= length).then(|| rest.split_at(length))
}
