//! TLS configuration: what a client trusts, what a server shows. One provider (aws-lc-rs), passed explicitly.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use entrant_types::{Code, Fault, Retry, Whose};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};

/// Which CA certificates a client trusts, parsed once.
#[derive(Clone, Debug)]
pub struct Trust {
    source: TrustSource,
    roots: Arc<RootCertStore>,
}

#[derive(Clone, Debug)]
enum TrustSource {
    File(PathBuf),
    System,
}

/// Names the trusted CAs in a sentence.
impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            TrustSource::File(path) => write!(f, "the CA file {}", path.display()),
            TrustSource::System if self.roots.is_empty() => f.write_str("this system's CA store (which is empty)"),
            TrustSource::System => f.write_str("this system's CA store"),
        }
    }
}

impl Trust {
    /// The certificates of a PEM file and no others, or the system's store when `file` is `None`. A system without CA
    /// certificates is no error here: plain HTTP still works, and an HTTPS request then says what is missing.
    ///
    /// # Errors
    /// When the file cannot be read or holds no usable certificate.
    pub fn load(file: Option<&Path>) -> Result<Self, Fault> {
        let Some(path) = file else {
            return Ok(Self { source: TrustSource::System, roots: Arc::new(RootCertStore::empty()) });
        };
        let pem = std::fs::read(path).map_err(|error| bad_file(path, "CA certificates", &error.to_string()))?;
        Ok(Self { source: TrustSource::File(path.to_owned()), roots: Arc::new(roots(&pem, path)?) })
    }
}

fn roots(pem: &[u8], path: &Path) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| bad_file(path, "CA certificates", &error.to_string()))?;
        roots.add(certificate).map_err(|error| bad_file(path, "CA certificates", &error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad_file(path, "CA certificates", "it holds no `BEGIN CERTIFICATE` block"));
    }
    Ok(roots)
}

fn bad_file(path: &Path, kind: &str, why: &str) -> Fault {
    Fault::new(
        Whose::Configuration,
        format!("The file {} cannot be used for {kind}: {why}.", path.display()),
        "Name a readable PEM file.",
    )
    .retry(Retry::Never)
    .code(Code::Entrant("bad_tls_file"))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn internal(error: &rustls::Error) -> Fault {
    Fault::new(Whose::Entrant, format!("TLS cannot be configured: {error}."), "Report this.")
}

/// A TLS client for this trust. Sessions are resumed, versions are 1.2 and 1.3. Certificates are judged by the machine's
/// own time, also under a lapsed clock: browsers and other programs that meet the same certificates know no other.
///
/// # Errors
/// When the TLS library refuses its own defaults.
pub fn client_config(trust: &Trust) -> Result<ClientConfig, Fault> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| internal(&error))?;
    if matches!(trust.source, TrustSource::System) {
        match rustls_platform_verifier::Verifier::new(provider()) {
            Ok(verifier) => {
                let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
                return Ok(builder.with_no_client_auth());
            }
            // No CA certificates at all: trust nobody, and say so when it matters.
            Err(error) => tracing::debug!(%error, "the system's CA store cannot be used"),
        }
    }
    Ok(builder.with_root_certificates(Arc::clone(&trust.roots)).with_no_client_auth())
}

/// Why a certificate was not accepted, as the end of the sentence "a certificate that …".
#[must_use]
pub fn rejection(why: &CertificateError) -> String {
    use CertificateError as E;
    match why {
        // A CA made anew under an old name shows as a bad signature.
        E::UnknownIssuer | E::BadSignature => "no trusted CA has issued".to_owned(),
        E::Expired | E::ExpiredContext { .. } => "has expired".to_owned(),
        E::NotValidYet | E::NotValidYetContext { .. } => "is not valid yet (compare the clocks)".to_owned(),
        E::NotValidForName | E::NotValidForNameContext { .. } => "is for another host name".to_owned(),
        other => format!("is not acceptable ({other:?})"),
    }
}

/// A TLS server from PEM text: the certificate chain, leaf first, and its private key. Session tickets are on: a resumed
/// handshake saves 1.5 ms of CPU on either side. `alpn` lists the protocols spoken, such as `http/1.1`; empty for RESP.
///
/// # Errors
/// When the PEM text holds no certificate or no key, or the two do not belong together.
pub fn server_config(certificate_pem: &[u8], key_pem: &[u8], alpn: &[&str]) -> Result<Arc<ServerConfig>, Fault> {
    let bad = |why: String| {
        Fault::new(
            Whose::Configuration,
            format!("The server certificate cannot be used: {why}."),
            "Give a PEM certificate chain, leaf first, and the unencrypted PEM private key that belongs to it.",
        )
        .retry(Retry::Never)
        .code(Code::Entrant("bad_tls_file"))
    };
    let chain = CertificateDer::pem_slice_iter(certificate_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(error.to_string()))?;
    if chain.is_empty() {
        return Err(bad("there is no `BEGIN CERTIFICATE` block".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| bad(format!("its private key: {error}")))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| internal(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| bad(error.to_string()))?;
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|error| internal(&error))?;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_that_is_missing_or_empty_is_named_in_the_sentence() {
        let missing = Trust::load(Some(Path::new("/nonexistent/ca.pem"))).unwrap_err();
        assert!(missing.what.contains("/nonexistent/ca.pem"), "{missing}");
        let manifest = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let empty = Trust::load(Some(manifest)).unwrap_err();
        assert!(empty.what.contains("BEGIN CERTIFICATE"), "{empty}");
        assert!(empty.is("bad_tls_file"));
    }

    #[test]
    fn a_server_without_certificate_or_key_is_refused() {
        let fault = server_config(b"", b"", &["http/1.1"]).unwrap_err();
        assert!(fault.what.contains("BEGIN CERTIFICATE"), "{fault}");
    }
}
