//! A second identity provider: Node's certified `oidc-provider` as published, in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entrant_proto::jose::SigningKey;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::http;
use crate::process::installed;

/// The client id that is registered there.
pub(crate) const CLIENT: &str = "44444444-aaaa-4bbb-8ccc-444444444444";

/// Where `cargo xtask test` puts the package and the script.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/conformance/oidc-provider");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/oidc-provider/provider.mjs");

/// A running provider with one registered client.
pub(crate) struct Provider {
    node: Child,
    folder: Folder,
    /// Its issuer.
    pub(crate) issuer: String,
    control: String,
    /// Its TLS key, as a browser is told to trust it.
    pub(crate) tls_key: String,
}

impl Provider {
    /// Starts it with a client whose redirect URI belongs to `web_url` and who is granted `scope`. `None` where Node
    /// or the package is missing, which fails in CI.
    pub(crate) fn start(web_url: &str, scope: &str) -> Option<Self> {
        let node = installed("node")?;
        if !Path::new(INSTALLED).join("node_modules").is_dir() {
            assert!(
                std::env::var_os("CI").is_none_or(|ci| ci != "true"),
                "oidc-provider is missing: `cargo xtask test`"
            );
            eprintln!("skipped: oidc-provider is not installed (`cargo xtask test` installs it)");
            return None;
        }
        // Node finds packages from where a script is.
        let script = Path::new(INSTALLED).join("provider.mjs");
        std::fs::copy(SCRIPT, &script).expect("the script can be copied");
        let folder = Folder::new();
        let tls_key = tls_files(folder.path());
        let jwk = client_certificate(&folder.path().join("client.pem"));
        let client = json!({
            "client_id": CLIENT,
            "jwk": jwk,
            "redirect_uri": format!("{web_url}/getAToken"),
            "signed_out_uri": format!("{web_url}/"),
            "scope": scope,
        });
        std::fs::write(folder.path().join("client.json"), client.to_string()).expect("a file can be written");
        let mut node = Command::new(node)
            .arg(script)
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node starts");
        let output = BufReader::new(node.stdout.take().expect("its output is ours"));
        let line = output.lines().next().expect("the provider says where it is").expect("it is text");
        let facts: Value = serde_json::from_str(&line).expect("it is JSON");
        let fact = |key: &str| facts[key].as_str().unwrap_or_default().to_owned();
        Some(Self { node, folder, issuer: fact("issuer"), control: fact("control"), tls_key })
    }

    /// The CA of its certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Certificate and key by which the client proves itself.
    pub(crate) fn client_certificate(&self) -> PathBuf {
        self.folder.path().join("client.pem")
    }

    /// How many requests a path has had.
    pub(crate) fn calls(&self, path: &str) -> u64 {
        http::get(&format!("{}/counters", self.control)).json()[path].as_u64().unwrap_or_default()
    }

    /// A new signing key; the one before stays published.
    pub(crate) fn rotate(&self) {
        self.command("rotate");
    }

    /// Only the newest key stays published.
    pub(crate) fn withdraw_older(&self) {
        self.command("withdraw");
    }

    fn command(&self, name: &str) {
        let answer = http::request("POST", &format!("{}/{name}", self.control), &[], Some("")).expect("it answers");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}

/// A CA, and a certificate for localhost that it signed; the certificate's key as browsers name it.
fn tls_files(folder: &Path) -> String {
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).expect("a file can be written");
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca_key = KeyPair::generate().expect("a key can be made");
    write("ca.pem", ca.self_signed(&ca_key).expect("a CA can be made").pem());
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().expect("a key can be made");
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name is a name");
    write("cert.pem", leaf.signed_by(&key, &issuer).expect("a certificate can be signed").pem());
    write("key.pem", key.serialize_pem());
    let public = key.subject_public_key_info();
    STANDARD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &public))
}

/// The client's certificate with its key, as Entra would have it; the public key as the provider has it.
fn client_certificate(path: &Path) -> Value {
    let (key, der) = SigningKey::generate("").expect("a key can be made");
    let pair = KeyPair::try_from(der.as_slice()).expect("it is PKCS #8");
    let params = CertificateParams::new(vec!["app.example".to_owned()]).expect("a name is a name");
    let certificate = params.self_signed(&pair).expect("a certificate can be made");
    std::fs::write(path, format!("{}{}", pair.serialize_pem(), certificate.pem())).expect("a file can be written");
    let jwk = key.jwk();
    json!({"kty": "RSA", "n": jwk.n, "e": jwk.e, "alg": "PS256", "use": "sig"})
}
