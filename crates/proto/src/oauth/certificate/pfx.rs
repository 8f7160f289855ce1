//! PFX files (PKCS #12, RFC 7292) encrypted as OpenSSL 3 and Windows do today: PBES2 with AES (RFC 8018).
//!
//! The older 40-bit RC2 and triple-DES files are refused with the command that converts them. The file's
//! integrity code is not checked: whoever can change the file can replace it, and a key or certificate that
//! was damaged does not fit the other.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_128, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2;
use entrant_types::Fault;
use zeroize::Zeroizing;

use super::der::{Der, IMPLICIT, INTEGER, OCTETS, OID, SEQUENCE, WRAPPED};
use super::{Contents, bad};

const DATA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x01];
const ENCRYPTED_DATA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x06];
const KEY_BAG: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x0C, 0x0A, 0x01, 0x01];
const SHROUDED_KEY_BAG: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x0C, 0x0A, 0x01, 0x02];
const CERTIFICATE_BAG: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x0C, 0x0A, 0x01, 0x03];
const PBES2: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x05, 0x0D];
const PBKDF2: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x05, 0x0C];
const HMAC_SHA1: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x02, 0x07];
const HMAC_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x02, 0x09];
const HMAC_SHA512: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x02, 0x0B];
const AES_128_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02];
const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2A];

/// Today's files use 2,048 to 600,000 rounds; more would only keep a start waiting.
const MOST_ROUNDS: u32 = 2_000_000;

/// Why a file is not read.
enum Stop {
    Malformed,
    OldEncryption,
    WrongPassword,
}

pub(super) fn read(file: &[u8], password: &str) -> Result<Contents, Fault> {
    let mut contents = Contents::default();
    walk(file, password, &mut contents).map_err(|stop| match stop {
        Stop::Malformed => bad("it is not a PFX file in DER", "Export it anew: `openssl pkcs12 -export`."),
        Stop::OldEncryption => bad(
            "its PFX encryption is outdated",
            "Convert it: `openssl pkcs12 -legacy -in OLD -nodes -out PEM`, then use the PEM file.",
        ),
        Stop::WrongPassword => bad("its password is wrong", "Set AZURE_CLIENT_CERTIFICATE_PASSWORD."),
    })?;
    Ok(contents)
}

fn walk(file: &[u8], password: &str, contents: &mut Contents) -> Result<(), Stop> {
    let safe = authenticated_safe(file).ok_or(Stop::Malformed)?;
    let mut parts = Der::new(safe).inside(SEQUENCE).ok_or(Stop::Malformed)?;
    while let Some((_, part)) = parts.any() {
        let mut part = Der::new(part);
        let kind = part.take(OID).ok_or(Stop::Malformed)?;
        let inner = part.take(WRAPPED).ok_or(Stop::Malformed)?;
        if kind == DATA {
            bags(Der::new(inner).take(OCTETS).ok_or(Stop::Malformed)?, password, contents)?;
        } else if kind == ENCRYPTED_DATA {
            let (algorithm, sealed) = encrypted_part(inner).ok_or(Stop::Malformed)?;
            bags(&decrypt(algorithm, sealed, password)?, password, contents)?;
        }
    }
    Ok(())
}

/// `PFX { version, authSafe { data, [0] OCTET STRING }, macData }` → the octets.
fn authenticated_safe(file: &[u8]) -> Option<&[u8]> {
    let mut pfx = Der::new(file).inside(SEQUENCE)?;
    pfx.number()?;
    let mut safe = pfx.inside(SEQUENCE)?;
    (safe.take(OID)? == DATA).then_some(())?;
    safe.inside(WRAPPED)?.take(OCTETS)
}

/// `{ version, { contentType, algorithm, [0] IMPLICIT OCTET STRING } }` → algorithm and octets.
fn encrypted_part(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut data = Der::new(part).inside(SEQUENCE)?;
    data.number()?;
    let mut info = data.inside(SEQUENCE)?;
    info.take(OID)?;
    Some((info.take(SEQUENCE)?, info.take(IMPLICIT)?))
}

fn bags(bytes: &[u8], password: &str, contents: &mut Contents) -> Result<(), Stop> {
    let mut bags = Der::new(bytes).inside(SEQUENCE).ok_or(Stop::Malformed)?;
    while let Some((_, bag)) = bags.any() {
        let mut bag = Der::new(bag);
        let kind = bag.take(OID).ok_or(Stop::Malformed)?;
        let inner = bag.take(WRAPPED).ok_or(Stop::Malformed)?;
        if kind == KEY_BAG {
            contents.key = Some(Zeroizing::new(inner.to_vec()));
        } else if kind == SHROUDED_KEY_BAG {
            let mut key = Der::new(inner).inside(SEQUENCE).ok_or(Stop::Malformed)?;
            let algorithm = key.take(SEQUENCE).ok_or(Stop::Malformed)?;
            contents.key = Some(decrypt(algorithm, key.take(OCTETS).ok_or(Stop::Malformed)?, password)?);
        } else if kind == CERTIFICATE_BAG {
            contents.certificates.push(certificate(inner).ok_or(Stop::Malformed)?.to_vec());
        }
    }
    Ok(())
}

fn certificate(bag: &[u8]) -> Option<&[u8]> {
    let mut bag = Der::new(bag).inside(SEQUENCE)?;
    bag.take(OID)?;
    bag.inside(WRAPPED)?.take(OCTETS)
}

/// PBES2's parameters.
struct Scheme<'a> {
    salt: &'a [u8],
    rounds: NonZeroU32,
    prf: pbkdf2::Algorithm,
    aes: &'static aws_lc_rs::cipher::Algorithm,
    key_length: usize,
    iv: [u8; 16],
}

fn decrypt(algorithm: &[u8], sealed: &[u8], password: &str) -> Result<Zeroizing<Vec<u8>>, Stop> {
    let mut algorithm = Der::new(algorithm);
    if algorithm.take(OID).ok_or(Stop::Malformed)? != PBES2 {
        return Err(Stop::OldEncryption);
    }
    let scheme = scheme(algorithm).ok_or(Stop::OldEncryption)?;
    let mut key = Zeroizing::new([0_u8; 32]);
    let key = &mut key[..scheme.key_length];
    pbkdf2::derive(scheme.prf, scheme.rounds, scheme.salt, password.as_bytes(), key);
    let key = UnboundCipherKey::new(scheme.aes, key).map_err(|_| Stop::Malformed)?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| Stop::Malformed)?;
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let context = DecryptionContext::Iv128(FixedLength::from(scheme.iv));
    let length = key.decrypt(&mut bytes, context).map_err(|_| Stop::WrongPassword)?.len();
    bytes.truncate(length);
    // One wrong password in 256 leaves a valid padding: what follows is then no sequence.
    if Der::new(&bytes).inside(SEQUENCE).is_none() {
        return Err(Stop::WrongPassword);
    }
    Ok(bytes)
}

fn scheme(mut algorithm: Der<'_>) -> Option<Scheme<'_>> {
    let mut parameters = algorithm.inside(SEQUENCE)?;
    let mut derivation = parameters.inside(SEQUENCE)?;
    (derivation.take(OID)? == PBKDF2).then_some(())?;
    let mut derivation = derivation.inside(SEQUENCE)?;
    let salt = derivation.take(OCTETS)?;
    let rounds = NonZeroU32::new(derivation.number()?).filter(|rounds| rounds.get() <= MOST_ROUNDS)?;
    let mut prf = pbkdf2::PBKDF2_HMAC_SHA1;
    while let Some((tag, content)) = derivation.any() {
        if tag == SEQUENCE {
            prf = match Der::new(content).take(OID)? {
                HMAC_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
                HMAC_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
                HMAC_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
                _ => return None,
            };
        } else if tag != INTEGER {
            return None;
        }
    }
    let mut cipher = parameters.inside(SEQUENCE)?;
    let (aes, key_length) = match cipher.take(OID)? {
        AES_128_CBC => (&AES_128, 16),
        AES_256_CBC => (&AES_256, 32),
        _ => return None,
    };
    Some(Scheme { salt, rounds, prf, aes, key_length, iv: cipher.take(OCTETS)?.try_into().ok()? })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::cipher::{EncryptionContext, PaddedBlockEncryptingKey};
    use entrant_types::Secret;

    use super::super::Certificate;
    use super::super::der::value;
    use super::*;
    use crate::jose::{SigningKey, from_base64url};

    const IV: [u8; 16] = [7; 16];

    fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
        value(SEQUENCE, &parts.concat())
    }

    /// PBES2 with AES-256 and HMAC-SHA-256, as OpenSSL 3 writes it.
    fn sealed(content: &[u8], password: &str) -> (Vec<u8>, Vec<u8>) {
        let mut key = [0; 32];
        let rounds = NonZeroU32::new(2048).unwrap();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, b"salt", password.as_bytes(), &mut key);
        let key = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &key).unwrap()).unwrap();
        let mut bytes = content.to_vec();
        key.less_safe_encrypt(&mut bytes, EncryptionContext::Iv128(FixedLength::from(IV))).unwrap();
        let prf = sequence(&[value(OID, HMAC_SHA256)]);
        let derivation = sequence(&[value(OCTETS, b"salt"), value(INTEGER, &[8, 0]), prf]);
        let derivation = sequence(&[value(OID, PBKDF2), derivation]);
        let cipher = sequence(&[value(OID, AES_256_CBC), value(OCTETS, &IV)]);
        (sequence(&[value(OID, PBES2), sequence(&[derivation, cipher])]), bytes)
    }

    fn pfx(password: &str) -> (Vec<u8>, SigningKey) {
        let (key, der) = SigningKey::generate("").unwrap();
        let (algorithm, bytes) = sealed(&der, password);
        let shrouded = sequence(&[algorithm, value(OCTETS, &bytes)]);
        let key_bags = sequence(&[sequence(&[value(OID, SHROUDED_KEY_BAG), value(WRAPPED, &shrouded)])]);
        let certificate = from_base64url(&key.jwk().n).unwrap();
        let x509 = sequence(&[value(OID, DATA), value(WRAPPED, &value(OCTETS, &certificate))]);
        let bags = sequence(&[sequence(&[value(OID, CERTIFICATE_BAG), value(WRAPPED, &x509)])]);
        let (algorithm, bytes) = sealed(&bags, password);
        let info = sequence(&[value(OID, DATA), algorithm, value(IMPLICIT, &bytes)]);
        let encrypted = value(WRAPPED, &sequence(&[value(INTEGER, &[0]), info]));
        let safe = sequence(&[
            sequence(&[value(OID, ENCRYPTED_DATA), encrypted]),
            sequence(&[value(OID, DATA), value(WRAPPED, &value(OCTETS, &key_bags))]),
        ]);
        let safe = sequence(&[value(OID, DATA), value(WRAPPED, &value(OCTETS, &safe))]);
        (sequence(&[value(INTEGER, &[3]), safe]), key)
    }

    #[test]
    fn a_pfx_opens_with_its_password_only() {
        let (file, key) = pfx("hunter2hunter2");
        let certificate = Certificate::read(&file, Some(&Secret::from("hunter2hunter2"))).unwrap();
        assert_eq!(certificate.key.jwk().n, key.jwk().n);
        for password in [None, Some(Secret::from("hunter3hunter3"))] {
            let fault = Certificate::read(&file, password.as_ref()).unwrap_err();
            assert!(fault.what.contains("password") && !fault.to_string().contains("hunter"), "{fault}");
        }
    }

    #[test]
    fn a_damaged_pfx_is_a_fault_and_never_a_panic() {
        let (file, _) = pfx("");
        for end in 0..file.len() {
            let mut damaged = file.clone();
            damaged[end] ^= 0x55;
            let _ = read(&damaged, "");
            assert!(read(&file[..end], "").is_err() || end == 0, "{end}");
        }
    }

    #[test]
    fn a_key_in_pkcs_1_form_is_read_too() {
        use base64::Engine;
        let (key, der) = SigningKey::generate("").unwrap();
        let mut info = Der::new(&der).inside(SEQUENCE).unwrap();
        info.number().unwrap();
        info.any().unwrap();
        let pkcs1 = base64::engine::general_purpose::STANDARD.encode(info.take(OCTETS).unwrap());
        let certificate = base64::engine::general_purpose::STANDARD.encode(from_base64url(&key.jwk().n).unwrap());
        let part = |label: &str, body: &str| format!("-----BEGIN {label}-----\r\n{body}\r\n-----END {label}-----\r\n");
        let file = part("RSA PRIVATE KEY", &pkcs1) + &part("CERTIFICATE", &certificate);
        assert!(Certificate::read(file.as_bytes(), None).is_ok());
    }
}
