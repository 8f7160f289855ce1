//! The environment variables that point other people's SDKs at the emulator, by profile and language.
//!
//! One profile at a time: SDKs differ in what they prefer when several are set.

use std::path::{Path, PathBuf};

use entrant_types::Fault;

use crate::part::emulator::{bundle_file, secret_file, workload_token_file};
use crate::ready::Ready;
use crate::settings::{Settings, bad};
use crate::variable;

/// Which credential of an SDK is to find its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    AppService,
    Imds,
    Workload,
    ServicePrincipal,
}

/// Whose way of naming a CA file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Any,
    Python,
    Node,
    /// Java takes no PEM file from its environment: the certificate goes into a trust store by `keytool`.
    Java,
    /// .NET, Go and Rust read the variable of OpenSSL.
    OpenSsl,
}

const PROFILES: &[(&str, Profile)] = &[
    ("app-service", Profile::AppService),
    ("imds", Profile::Imds),
    ("workload", Profile::Workload),
    ("service-principal", Profile::ServicePrincipal),
];
pub(crate) const LANGUAGES: &[(&str, Language)] = &[
    ("any", Language::Any),
    ("python", Language::Python),
    ("node", Language::Node),
    ("java", Language::Java),
    ("dotnet", Language::OpenSsl),
    ("go", Language::OpenSsl),
    ("rust", Language::OpenSsl),
];

/// The variables that the settings ask for, of the emulator that `ready` describes.
pub(crate) fn of(settings: &Settings, ready: &Ready) -> Result<Vec<(String, String)>, Fault> {
    let profile = settings.word(&variable::PROFILE, PROFILES)?.unwrap_or(Profile::AppService);
    let language = settings.word(&variable::LANG, LANGUAGES)?.unwrap_or(Language::Any);
    let ca = PathBuf::from(known(ready.ca_path.as_ref(), "ca_path")?);
    let mut variables = identity(profile, ready, &ca)?;
    variables.extend(trust(language, &ca));
    Ok(variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Every variable by which an SDK could find another credential than the chosen one.
const DECISIVE: &[&str] = &[
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IDENTITY_SERVER_THUMBPRINT",
    "IMDS_ENDPOINT",
    "MSI_ENDPOINT",
    "MSI_SECRET",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "AZURE_AUTHORITY_HOST",
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
];

/// Those that a command must not inherit beside these.
pub(crate) fn others(variables: &[(String, String)]) -> Vec<&'static str> {
    DECISIVE.iter().copied().filter(|name| !variables.iter().any(|(set, _)| set == name)).collect()
}

fn identity(profile: Profile, ready: &Ready, ca: &Path) -> Result<Vec<(&'static str, String)>, Fault> {
    let identity = || known(ready.managed_identity_client_id.as_ref(), "managed_identity_client_id");
    let authority = || {
        let authority = known(ready.authority.as_ref(), "authority")?;
        Ok::<_, Fault>(authority.rsplit_once('/').map_or(authority.clone(), |(host, _)| format!("{host}/")))
    };
    Ok(match profile {
        Profile::AppService => vec![
            ("IDENTITY_ENDPOINT", known(ready.identity_endpoint.as_ref(), "identity_endpoint")?),
            ("IDENTITY_HEADER", known(ready.identity_header.as_ref(), "identity_header")?),
            ("AZURE_CLIENT_ID", identity()?),
        ],
        Profile::Imds => vec![
            ("AZURE_POD_IDENTITY_AUTHORITY_HOST", known(ready.imds_url.as_ref(), "imds_url")?),
            ("AZURE_CLIENT_ID", identity()?),
        ],
        Profile::Workload => vec![
            ("AZURE_AUTHORITY_HOST", authority()?),
            ("AZURE_TENANT_ID", known(ready.tenant_id.as_ref(), "tenant_id")?),
            ("AZURE_CLIENT_ID", known(ready.client_id.as_ref(), "client_id")?),
            ("AZURE_FEDERATED_TOKEN_FILE", workload_token_file(ca).display().to_string()),
        ],
        Profile::ServicePrincipal => vec![
            ("AZURE_AUTHORITY_HOST", authority()?),
            ("AZURE_TENANT_ID", known(ready.tenant_id.as_ref(), "tenant_id")?),
            ("AZURE_CLIENT_ID", known(ready.client_id.as_ref(), "client_id")?),
            ("AZURE_CLIENT_SECRET", secret(&secret_file(ca))?),
        ],
    })
}

/// Python's requests and OpenSSL take the file in place of the system's certificates, so theirs is a bundle of both; Node
/// adds its file to what it has.
fn trust(language: Language, ca: &Path) -> Vec<(&'static str, String)> {
    let (bundle, alone) = (bundle_file(ca).display().to_string(), ca.display().to_string());
    let python = ("REQUESTS_CA_BUNDLE", bundle.clone());
    let node = ("NODE_EXTRA_CA_CERTS", alone);
    let openssl = ("SSL_CERT_FILE", bundle);
    match language {
        Language::Any => vec![openssl, python, node],
        Language::Python => vec![python, openssl],
        Language::Node => vec![node],
        Language::Java => Vec::new(),
        Language::OpenSsl => vec![openssl],
    }
}

fn known(value: Option<&String>, key: &str) -> Result<String, Fault> {
    value.cloned().ok_or_else(|| {
        let what = format!("The emulator has no `{key}`, which this profile needs.");
        bad(what, "Choose another --profile, or another seed file for the emulator.")
    })
}

fn secret(path: &Path) -> Result<String, Fault> {
    std::fs::read_to_string(path).ok().filter(|text| !text.is_empty()).ok_or_else(|| {
        bad(
            "The emulator's first app has no client secret.",
            "Choose another --profile, or give the app a secret in the seed file.",
        )
    })
}

/// How a shell is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shell {
    Posix,
    Fish,
    Pwsh,
    /// One `NAME=value` a line, as container runtimes read it.
    Dotenv,
}

const SHELLS: &[(&str, Shell)] = &[
    ("sh", Shell::Posix),
    ("bash", Shell::Posix),
    ("zsh", Shell::Posix),
    ("fish", Shell::Fish),
    ("powershell", Shell::Pwsh),
    ("pwsh", Shell::Pwsh),
    ("dotenv", Shell::Dotenv),
    ("docker", Shell::Dotenv),
];

/// The variables as the chosen shell reads them.
pub(crate) fn print(settings: &Settings, variables: &[(String, String)]) -> Result<String, Fault> {
    let shell = settings.word(&variable::SHELL, SHELLS)?.unwrap_or(Shell::Posix);
    Ok(variables.iter().map(|(name, value)| line(shell, name, value)).collect())
}

fn line(shell: Shell, name: &str, value: &str) -> String {
    match shell {
        Shell::Posix => format!("export {name}='{}'\n", value.replace('\'', r"'\''")),
        Shell::Fish => format!("set -gx {name} '{}'\n", value.replace('\\', r"\\").replace('\'', r"\'")),
        Shell::Pwsh => format!("$env:{name} = '{}'\n", value.replace('\'', "''")),
        Shell::Dotenv => format!("{name}={value}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_is_quoted_in_its_own_way() {
        assert_eq!(line(Shell::Posix, "A", "it's"), "export A='it'\\''s'\n");
        assert_eq!(line(Shell::Fish, "A", "it's \\"), "set -gx A 'it\\'s \\\\'\n");
        assert_eq!(line(Shell::Pwsh, "A", "it's"), "$env:A = 'it''s'\n");
        assert_eq!(line(Shell::Dotenv, "A", "it's"), "A=it's\n");
    }

    #[test]
    fn a_profile_never_sets_what_another_one_needs() {
        let ready = Ready {
            authority: Some("https://localhost:8443/tenant".to_owned()),
            tenant_id: Some("tenant".to_owned()),
            client_id: Some("app".to_owned()),
            managed_identity_client_id: Some("identity".to_owned()),
            identity_endpoint: Some("http://localhost:8480/msi/token".to_owned()),
            identity_header: Some("header".to_owned()),
            imds_url: Some("http://localhost:8480".to_owned()),
            ..Ready::default()
        };
        let names = |profile| -> Vec<_> {
            let variables = identity(profile, &ready, Path::new("/data/ca.pem")).unwrap();
            variables.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(Profile::AppService), ["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_CLIENT_ID"]);
        assert_eq!(names(Profile::Imds), ["AZURE_POD_IDENTITY_AUTHORITY_HOST", "AZURE_CLIENT_ID"]);
        let workload = identity(Profile::Workload, &ready, Path::new("/data/ca.pem")).unwrap();
        assert_eq!(workload[0], ("AZURE_AUTHORITY_HOST", "https://localhost:8443/".to_owned()));
        assert_eq!(workload[3].1, "/data/workload-identity-token");
    }
}
