//! The laptop Azure on its ports.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use entrant_emulator::{Emulator, EmulatorConfig, Facts, KeySource, Listeners, PersonFact, RedisAssignmentFact, Seed};
use entrant_host::{OsEntropy, SystemClock, clock};
use entrant_types::{Clock as _, Fault, Secret};

use crate::listen;
use crate::ready::{Person, Ready};
use crate::settings::{Settings, bad, read_small};
use crate::surroundings::lapse;
use crate::variable;

/// What a gate of its own reads beside the CA file, when attached.
const ASSIGNMENTS_FILE: &str = "assignments.toml";
/// The system's CA certificates with the emulator's, for SDKs that take one file in place of all.
const BUNDLE_FILE: &str = "ca-bundle.pem";
/// A client secret of the first app; empty when it has none. It opens nothing but this emulator.
const SECRET_FILE: &str = "client-secret";
/// The projected service-account token, as the emulator names it.
const WORKLOAD_TOKEN_FILE: &str = "workload-identity-token";
/// Certificate and key for `localhost`, as the emulator writes them beside its CA file.
const CERTIFICATE_FILES: (&str, &str) = ("localhost.pem", "localhost-key.pem");

/// The directory's content: a file's, or the built-in one.
pub(crate) fn seed(settings: &Settings) -> Result<Seed, Fault> {
    match settings.path(&variable::SEED) {
        Some(path) => Seed::parse(&read_small(&path, "seed file")?),
        None => Ok(Seed::default()),
    }
}

/// The name of the first federated credential of the app that signs people in.
pub(crate) fn federated_credential(seed: &Seed) -> Option<String> {
    let app = seed.app.iter().find(|app| !app.redirect_uris.is_empty())?;
    app.fic.first().map(|credential| credential.name.clone())
}

/// Builds the emulator on the ports of the settings, with its keys in `folder`.
pub(crate) async fn build(settings: &Settings, seed: Seed, folder: PathBuf) -> Result<(Emulator, Listeners), Fault> {
    let lapse = lapse(settings)?;
    let entra = listen::number(settings, &variable::ENTRA_PORT)?;
    let imds = listen::number(settings, &variable::IMDS_PORT)?;
    let listeners = Listeners::bind(entra, imds).await?;
    let emulator = Emulator::build(EmulatorConfig {
        seed,
        data_dir: Some(folder.clone()),
        entra_port: listeners.entra_port(),
        imds_port: listeners.imds_port(),
        clock: clock(lapse),
        system_now: SystemClock.now(),
        entropy: Arc::new(OsEntropy),
        key: KeySource::Kept,
    })?;
    let facts = emulator.facts();
    let keep = |name: &str, text: &str| {
        let path = folder.join(name);
        write_private(&path, text).map_err(|error| {
            bad(format!("{} cannot be written: {error}.", path.display()), "Choose another --data-dir.")
        })
    };
    keep(ASSIGNMENTS_FILE, &assignments(&facts.redis_assignments))?;
    keep(BUNDLE_FILE, &(system_certificates() + &facts.ca_pem))?;
    keep(SECRET_FILE, facts.client_secret.as_ref().map_or("", Secret::expose))?;
    Ok((emulator, listeners))
}

/// Readable by its owner only.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// The system's own CA certificates, where Linux distributions keep them; none elsewhere.
fn system_certificates() -> String {
    let places = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    places.iter().find_map(|place| std::fs::read_to_string(place).ok()).unwrap_or_default()
}

fn assignments(facts: &[RedisAssignmentFact]) -> String {
    let mut text = String::from("# Made from the emulator's seed at every start.\n");
    for fact in facts {
        text.push_str(&format!(
            "\n[[assignment]]\nobject_id = \"{}\"\naccess_string = {:?}\nname = {:?}\n",
            fact.object_id, fact.access, fact.name
        ));
    }
    text
}

/// Where an attached gate finds its assignments.
pub(crate) fn assignments_file(ca_file: &Path) -> PathBuf {
    ca_file.with_file_name(ASSIGNMENTS_FILE)
}

/// Where an SDK finds all CA certificates.
pub(crate) fn bundle_file(ca_file: &Path) -> PathBuf {
    ca_file.with_file_name(BUNDLE_FILE)
}

/// Where the first app's client secret is.
pub(crate) fn secret_file(ca_file: &Path) -> PathBuf {
    ca_file.with_file_name(SECRET_FILE)
}

/// Where the projected service-account token is.
pub(crate) fn workload_token_file(ca_file: &Path) -> PathBuf {
    ca_file.with_file_name(WORKLOAD_TOKEN_FILE)
}

/// Where an attached gate finds its certificate and key.
pub(crate) fn certificate_files(ca_file: &Path) -> (PathBuf, PathBuf) {
    (ca_file.with_file_name(CERTIFICATE_FILES.0), ca_file.with_file_name(CERTIFICATE_FILES.1))
}

/// What others need to know of it.
pub(crate) fn describe(ready: &mut Ready, facts: &Facts) {
    ready.authority = Some(facts.authority.clone());
    ready.tenant_id = Some(facts.tenant_id.to_string());
    ready.console_url = Some(facts.console_url.trim_end_matches('/').to_owned());
    ready.ca_path = facts.ca_path.as_deref().map(|path| path.display().to_string());
    ready.client_id = facts.client_id.map(|id| id.to_string());
    ready.api_client_id = facts.api_client_id.map(|id| id.to_string());
    ready.api_scope = facts.api_scope.clone();
    ready.managed_identity_client_id = facts.managed_identity_client_id.map(|id| id.to_string());
    ready.managed_identity_principal_id = facts.managed_identity_principal_id.map(|id| id.to_string());
    ready.imds_url = Some(facts.imds_url.clone());
    ready.identity_endpoint = Some(facts.identity_endpoint.clone());
    ready.identity_header = Some(facts.identity_header.expose().to_owned());
    let person = |person: &PersonFact| Person { upn: person.upn.clone(), object_id: person.object_id.to_string() };
    ready.people = facts.people.iter().map(person).collect();
}
