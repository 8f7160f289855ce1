//! A certificate authority that is unable to vouch for anything but loopback, and the emulator's certificate.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use entrant_types::{Fault, Retry, Timestamp, Whose};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;

use crate::store::Store;

const CA_FILE: &str = "ca.pem";
const CA_KEY_FILE: &str = "ca-key.pem";
const DAY: Duration = Duration::from_secs(86_400);
/// The authority outlives every project that trusts it; constrained as it is, a long life harms nobody.
const CA_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// A new certificate is made at every start, so this only has to outlive one run.
const LEAF_LIFE: Duration = Duration::from_secs(90 * 86_400);

/// The authority's certificate and a certificate for `localhost`, with everything a TLS listener needs.
#[derive(Clone, Debug)]
pub(crate) struct Certificates {
    pub(crate) ca_pem: String,
    /// SHA-1 of the server certificate, in hexadecimal: what Service Fabric's clients pin.
    pub(crate) thumbprint: String,
    pub(crate) server: Arc<rustls::ServerConfig>,
}

/// Reads or makes the authority, and makes a certificate for this run. `now` is real time: TLS peers compare
/// with the system's clock, whatever time the emulated directory lives in.
pub(crate) fn certificates(store: &Store, now: Timestamp) -> Result<Certificates, Fault> {
    let (ca_key, ca_pem) = match (store.read(CA_KEY_FILE)?, store.read(CA_FILE)?) {
        (Some(key), Some(pem)) => {
            let key = String::from_utf8(key).map_err(|_| broken(&"the kept CA key is no text"))?;
            let pem = String::from_utf8(pem).map_err(|_| broken(&"the kept CA certificate is no text"))?;
            (KeyPair::from_pem(&key).map_err(|error| broken(&error))?, pem)
        }
        _ => {
            let key = KeyPair::generate().map_err(|error| broken(&error))?;
            let pem = ca_params(now).self_signed(&key).map_err(|error| broken(&error))?.pem();
            store.keep(CA_KEY_FILE, key.serialize_pem().as_bytes(), true)?;
            store.keep(CA_FILE, pem.as_bytes(), false)?;
            (key, pem)
        }
    };
    let issuer = Issuer::new(ca_params(now), ca_key);
    let key = KeyPair::generate().map_err(|error| broken(&error))?;
    let leaf = leaf_params(now)?.signed_by(&key, &issuer).map_err(|error| broken(&error))?;
    store.write("localhost.pem", leaf.pem().as_bytes(), false)?;
    store.write("localhost-key.pem", key.serialize_pem().as_bytes(), true)?;
    let thumbprint = crate::state::hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, leaf.der()).as_ref());
    let chain = vec![CertificateDer::from(leaf)];
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| broken(&error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| broken(&error))?;
    // Tickets spare the 1.5 ms of an RSA-free handshake's asymmetric half on every later connection.
    server.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|error| broken(&error))?;
    Ok(Certificates { ca_pem, thumbprint, server: Arc::new(server) })
}

fn ca_params(now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("Entrant emulator CA, loopback only");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Whoever trusts this authority trusts it for these names only: it cannot impersonate anybody (RFC 5280 §4.2.1.10).
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".into()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
        ],
        excluded_subtrees: Vec::new(),
    });
    (params.not_before, params.not_after) = validity(now, CA_LIFE);
    params
}

fn leaf_params(now: Timestamp) -> Result<CertificateParams, Fault> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("Entrant emulator");
    params.subject_alt_names = vec![
        SanType::DnsName("localhost".try_into().map_err(|error| broken(&error))?),
        SanType::IpAddress(IpAddr::from([127, 0, 0, 1])),
    ];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = validity(now, LEAF_LIFE);
    Ok(params)
}

fn validity(now: Timestamp, life: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let moment = |at: Timestamp| OffsetDateTime::from_unix_timestamp(at.secs()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    (moment(now - DAY), moment(now + life))
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn broken(error: &dyn Display) -> Fault {
    Fault::new(
        Whose::Configuration,
        format!("The emulator's certificates cannot be made or read: {error}."),
        "Delete ca.pem and ca-key.pem in the data directory; they are made anew at the next start.",
    )
    .retry(Retry::Never)
}
