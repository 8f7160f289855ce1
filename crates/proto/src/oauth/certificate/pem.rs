//! PEM text (RFC 7468): certificates and one unencrypted key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entrant_types::Fault;
use zeroize::Zeroizing;

use super::der::{INTEGER, OCTETS, SEQUENCE, value};
use super::{Contents, bad};

/// `rsaEncryption` with NULL parameters, as PKCS #8 names the algorithm.
const RSA: [u8; 15] = [SEQUENCE, 13, 0x06, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0];

pub(super) fn read(file: &[u8]) -> Result<Contents, Fault> {
    let fix = "Give a PEM file with BEGIN CERTIFICATE and BEGIN PRIVATE KEY parts, or a PFX file.";
    let text = std::str::from_utf8(file).map_err(|_| bad("it is neither PEM nor PFX", fix))?;
    let mut contents = Contents::default();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after.split_once("-----").ok_or_else(|| bad("a PEM part has no label", fix))?;
        let end = format!("-----END {label}-----");
        let (body, after) = after.split_once(&end).ok_or_else(|| bad("a PEM part has no end", fix))?;
        rest = after;
        let decode = || {
            let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
            STANDARD.decode(body.as_bytes()).map_err(|_| bad("a PEM part is not base64", fix))
        };
        match label {
            "CERTIFICATE" => contents.certificates.push(decode()?),
            "PRIVATE KEY" => contents.key = Some(Zeroizing::new(decode()?)),
            "RSA PRIVATE KEY" if !body.contains(':') => contents.key = Some(pkcs8(&Zeroizing::new(decode()?))),
            "RSA PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" => {
                let fix = "Use a PFX file, or decrypt the key: `openssl pkcs8 -in FILE -out FILE`.";
                return Err(bad("its key is encrypted", fix));
            }
            _ => {}
        }
    }
    Ok(contents)
}

/// A PKCS #1 key wrapped as PKCS #8 (RFC 5208 §5).
fn pkcs8(pkcs1: &[u8]) -> Zeroizing<Vec<u8>> {
    let key = Zeroizing::new(value(OCTETS, pkcs1));
    let content = Zeroizing::new([&value(INTEGER, &[0]), &RSA[..], &key].concat());
    Zeroizing::new(value(SEQUENCE, &content))
}
