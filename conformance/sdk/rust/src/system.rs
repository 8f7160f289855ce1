//! The running system, as its ready file describes it, and the cases' own processes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// A cell of the matrix.
pub struct Case {
    key: &'static str,
    capability: &'static str,
    variant: &'static str,
    needs: &'static str,
}

impl Case {
    pub const fn new(key: &'static str, capability: &'static str, variant: &'static str, needs: &'static str) -> Self {
        Self { key, capability, variant, needs }
    }
}

#[derive(Clone, Debug)]
pub struct System(Value);

impl System {
    pub fn read() -> Self {
        let path = std::env::var("ENTRANT_READY").expect("ENTRANT_READY names the ready file");
        Self(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    pub fn fact(&self, name: &str) -> String {
        self.0[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned()
    }

    pub fn api_scope(&self) -> String {
        format!("api://{}/.default", self.fact("api_client_id"))
    }

    /// Puts a fault rule in force.
    pub fn fault(&self, rule: &str) {
        self.control("POST", rule);
    }

    /// Ends all fault rules, each of which must have met somebody.
    pub fn end_faults(&self) {
        let rules: Value = serde_json::from_str(&self.control("GET", "")).unwrap();
        for rule in rules.as_array().unwrap() {
            assert!(rule["struck"].as_u64() > Some(0), "{rule} met nobody");
        }
        self.control("DELETE", "");
    }

    fn control(&self, method: &str, body: &str) -> String {
        let url = self.fact("console_url");
        let host = url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let head = format!("{method} /control/faults HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        let length = body.len();
        write!(stream, "{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
        answer.split_once("\r\n\r\n").unwrap_or_default().1.to_owned()
    }

    /// Runs every case in a process of its own and prints how it ended, as JSON lines.
    pub fn run_all(&self, client: &str, cases: &[Case], absent: &[(&str, &str)]) {
        for (capability, why) in absent {
            println!("{}", json!({ "client": client, "capability": capability, "absent": why }));
        }
        for Case { key, capability, variant, needs } in cases {
            let failure = self.apart(key);
            println!(
                "{}",
                json!({ "client": client, "case": key, "capability": capability, "variant": variant, "needs": needs, "failure": failure })
            );
        }
    }

    fn apart(&self, case: &str) -> Option<String> {
        let authority = self.fact("authority");
        let (host, tenant) = authority.rsplit_once('/').unwrap();
        let ca = self.fact("ca_path");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(case).stdin(Stdio::null()).env("AZURE_AUTHORITY_HOST", host).env("SSL_CERT_FILE", &ca);
        match case {
            "workload_identity" => command
                .env("AZURE_TENANT_ID", tenant)
                .env("AZURE_CLIENT_ID", self.fact("client_id"))
                .env("AZURE_FEDERATED_TOKEN_FILE", ca.replace("ca.pem", "workload-identity-token")),
            _ => command
                .env("IDENTITY_ENDPOINT", self.fact("identity_endpoint"))
                .env("IDENTITY_HEADER", self.fact("identity_header")),
        };
        let output = command.output().unwrap();
        if output.status.success() {
            return None;
        }
        self.control("DELETE", "");
        Some(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The claims of a token, unverified: a test looks at what it was given.
pub fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    let bytes = azure_core::base64::decode_url_safe(part).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}
