//! The ready file: one JSON object with every URL, port, path and id, written when the command is ready.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use entrant_types::{Fault, Whose};
use serde::{Deserialize, Serialize};

use crate::settings::{bad, read_small};

/// What scripts read. A key that a command has no value for is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ready {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) web_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) console_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) admin_url: Option<String>,
    /// `https://localhost:PORT/TENANT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) authority: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) managed_identity_client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) managed_identity_principal_id: Option<String>,
    /// The value for `AZURE_POD_IDENTITY_AUTHORITY_HOST`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) imds_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) identity_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) identity_header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gate_host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gate_port: Option<u16>,
    /// `embedded`, `redis-server`, `valkey-server` or the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) redis_backend: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) people: Vec<Person>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proxy_port: Option<u16>,
    pub(crate) pid: u32,
    /// Makes another process share this clock, for `--time-lapse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time_lapse: Option<String>,
}

fn no_ready_file(path: &Path, error: &serde_json::Error) -> Fault {
    bad(
        format!("The file {} is no ready file: {error}.", path.display()),
        "Name a file that another command wrote with --ready-file.",
    )
}

/// A seeded person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Person {
    pub(crate) upn: String,
    pub(crate) object_id: String,
}

impl Ready {
    /// Reads the ready files of other processes as one; where two say different things, the later counts.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, Fault> {
        let mut all = serde_json::Map::new();
        for path in paths {
            let text = read_small(path, "ready file")?;
            let one: serde_json::Map<_, _> =
                serde_json::from_str(&text).map_err(|error| no_ready_file(path, &error))?;
            all.extend(one);
        }
        let last = paths.last().map_or(Path::new(""), PathBuf::as_path);
        serde_json::from_value(all.into()).map_err(|error| no_ready_file(last, &error))
    }

    /// Writes it whole or not at all (a temporary file beside it, then a rename), readable by its owner only: the
    /// identity header is what App Service guards its endpoint with.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Fault> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;

        let failed = |error: std::io::Error| {
            bad(
                format!("The ready file {} cannot be written: {error}.", path.display()),
                "Give --ready-file a path in a folder that exists and is writable.",
            )
        };
        let text = serde_json::to_string_pretty(self).map_err(|error| {
            Fault::new(Whose::Entrant, format!("No JSON for the ready file: {error}."), "Report it.")
        })?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = path.with_file_name(name);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
        std::fs::rename(&temporary, path).map_err(failed)
    }

    /// The settings of another command that these values stand for, by flag.
    pub(crate) fn settings(&self) -> BTreeMap<&'static str, String> {
        use crate::variable as v;
        let mut settings = BTreeMap::new();
        let mut lend = |variable: &v::Variable, value: Option<String>| {
            if let Some(value) = value {
                settings.insert(variable.flag, value);
            }
        };
        let authority = self.authority.as_deref();
        let host = authority.and_then(|url| url.rsplit_once('/')).map(|(host, _)| host.to_owned());
        let gate = self.gate_host.as_ref().zip(self.gate_port).map(|(host, port)| format!("{host}:{port}"));
        lend(&v::AUTHORITY_HOST, host);
        lend(&v::TENANT_ID, self.tenant_id.clone());
        lend(&v::CA, self.ca_path.clone());
        lend(&v::CLIENT_ID, self.client_id.clone());
        lend(&v::API_CLIENT_ID, self.api_client_id.clone());
        lend(&v::API_ENDPOINT, self.api_url.clone());
        lend(&v::PUBLIC_URL, self.web_url.clone());
        lend(&v::MANAGED_IDENTITY_CLIENT_ID, self.managed_identity_client_id.clone());
        lend(&v::IMDS_HOST, self.imds_url.clone());
        lend(&v::IDENTITY_ENDPOINT, self.identity_endpoint.clone());
        lend(&v::IDENTITY_HEADER, self.identity_header.clone());
        lend(&v::REDIS, gate.clone());
        lend(&v::UPSTREAM, gate);
        lend(&v::TIME_LAPSE, self.time_lapse.clone());
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_values_are_absent_keys_and_the_file_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = std::env::temp_dir().join(format!("entrant-ready-{}.json", std::process::id()));
        let ready = Ready { api_url: Some("http://localhost:5001".to_owned()), pid: 7, ..Ready::default() };
        ready.write(&path).unwrap();
        let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(json, serde_json::json!({"api_url": "http://localhost:5001", "pid": 7}));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Ready::read(&[path]).unwrap(), ready);
    }
}
