//! What every contender stands on: one redis-server with TLS, a certificate made in the run, and an identity.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::process::{Program, free_port, wait_for};
use crate::tokens::{Failure, faults::root};

/// The emulator, the server and their files.
#[derive(Debug)]
pub struct Ground {
    pub folder: PathBuf,
    pub plain: u16,
    pub tls: u16,
    pub redis: u32,
    pub facts: Value,
    _programs: Vec<Program>,
}

impl Ground {
    /// Starts it. Managed-identity tokens live for `life` seconds.
    pub fn start(life: u64) -> Result<Self, Failure> {
        let folder = root().join("target/bench/redis");
        std::fs::create_dir_all(&folder)?;
        certificates(&folder)?;
        let (plain, tls) = (free_port()?, free_port()?);
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxclients", "30000"]);
        command.args(["--port", &plain.to_string(), "--tls-port", &tls.to_string(), "--tls-auth-clients", "no"]);
        command.current_dir(&folder).args(["--tls-cert-file", "redis.pem", "--tls-key-file", "redis.key"]);
        command.args(["--tls-ca-cert-file", "ca.pem", "--tcp-backlog", "4096"]);
        let server = Program::start(&mut command, &folder.join("redis.log"))?;
        wait_for(tls, "redis-server")?;

        let (ready, seed) = (folder.join("emulator.json"), folder.join("seed.toml"));
        let _ = std::fs::remove_file(&ready);
        let mut text = "[[redis.user]]\nidentity = \"host-vm\"\npolicy = \"data-owner\"\n\n".to_owned();
        text.push_str("[[identity]]\nname = \"host-vm\"\nkind = \"system\"\n\n");
        for number in 0..STRANGERS {
            text.push_str(&format!("[[identity]]\nname = \"auth-{number}\"\nkind = \"user\"\n"));
            text.push_str(&format!("client_id = \"{}\"\n\n", stranger(number)));
            text.push_str(&format!("[[redis.user]]\nidentity = \"auth-{number}\"\npolicy = \"data-owner\"\n\n"));
        }
        std::fs::write(&seed, format!("{text}[lifetimes]\nmanaged_identity = {life}\n"))?;
        let mut command = entrant();
        command.args(["emulator", "--ports", "auto", "--seed"]).arg(&seed).arg("--data-dir").arg(folder.join("data"));
        let emulator = Program::start(command.arg("--ready-file").arg(&ready), &folder.join("emulator.log"))?;
        let facts = ready_file(&ready)?;
        let ground = Self { folder, plain, tls, redis: server.pid(), facts, _programs: vec![server, emulator] };
        ground.admit()?;
        Ok(ground)
    }

    /// Lets the identity in by any password: the gate's part is measured elsewhere, and each token is a new one.
    fn admit(&self) -> Result<(), Failure> {
        let token = self.token(None)?;
        let user = claim(&token, "oid").ok_or("the token has no object id")?;
        self.redis_cli(&["ACL", "SETUSER", &user, "on", "nopass", "~*", "&*", "+@all"]).map(drop)
    }

    /// A token for Redis from the emulator's identity endpoint: the machine's own, or another identity's.
    pub fn token(&self, client_id: Option<&str>) -> Result<String, Failure> {
        let fact = |name: &str| self.facts[name].as_str().unwrap_or_default().to_owned();
        let (endpoint, header) = (fact("identity_endpoint"), fact("identity_header"));
        let (host, path) = endpoint.trim_start_matches("http://").split_once('/').ok_or("no identity endpoint")?;
        let client = client_id.map_or(String::new(), |id| format!("&client_id={id}"));
        let query = "resource=https%3A%2F%2Fredis.azure.com&api-version=2019-08-01";
        let reply = http(host, &format!("/{path}?{query}{client}"), &format!("X-IDENTITY-HEADER: {header}\r\n"))?;
        let facts: Value = serde_json::from_str(&reply)?;
        Ok(facts["access_token"].as_str().ok_or("no access_token")?.to_owned())
    }

    /// The environment from which `entrant` gets its tokens.
    pub fn identity<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for (name, fact) in [("IDENTITY_ENDPOINT", "identity_endpoint"), ("IDENTITY_HEADER", "identity_header")] {
            command.env(name, self.facts[fact].as_str().unwrap_or_default());
        }
        command
    }

    /// Asks Redis itself.
    pub fn redis_cli(&self, words: &[&str]) -> Result<String, Failure> {
        let output = Command::new("redis-cli").args(["-p", &self.plain.to_string()]).args(words).output()?;
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Identities that the machine has beside its own: each has a token that nobody has seen.
pub const STRANGERS: usize = 100;

/// The client id of one of them.
pub fn stranger(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// One GET without encryption; the body of a good answer.
pub fn http(host: &str, path: &str, headers: &str) -> Result<String, Failure> {
    let mut stream = TcpStream::connect(host.replace("localhost", "127.0.0.1"))?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{headers}connection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let (head, body) = reply.split_once("\r\n\r\n").ok_or("no HTTP reply")?;
    let good = head.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
    if good { Ok(body.to_owned()) } else { Err(format!("{path}: {head} {body}").into()) }
}

/// The release build of the product, or the build that `BENCH_ENTRANT` names.
pub fn entrant() -> Command {
    Command::new(std::env::var_os("BENCH_ENTRANT").map_or(root().join("target/release/entrant"), PathBuf::from))
}

/// The facts of a command that is ready.
pub fn ready_file(path: &Path) -> Result<Value, Failure> {
    for _ in 0..400 {
        if let Some(facts) = std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
            return Ok(facts);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Err(format!("no {} within 20 s; see the logs beside it", path.display()).into())
}

/// A CA of the run's own and a certificate for `localhost`, RSA with 2048 bits as Azure's are.
fn certificates(folder: &Path) -> Result<(), Failure> {
    if folder.join("redis.pem").is_file() {
        return Ok(());
    }
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")?;
    let days = "30";
    let steps: [&[&str]; 3] = [
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            days,
            "-subj",
            "/CN=bench",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ],
        &[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-keyout",
            "redis.key",
            "-out",
            "redis.csr",
        ],
        &[
            "x509",
            "-req",
            "-in",
            "redis.csr",
            "-days",
            days,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-extfile",
            "names",
            "-out",
            "redis.pem",
        ],
    ];
    for step in steps {
        let output = Command::new("openssl").current_dir(folder).args(step).output()?;
        if !output.status.success() {
            return Err(format!("openssl {}: {}", step[0], String::from_utf8_lossy(&output.stderr)).into());
        }
    }
    Ok(())
}

/// A text claim of a token, unverified.
pub fn claim(token: &str, name: &str) -> Option<String> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for byte in token.split('.').nth(1)?.bytes() {
        bits = bits << 6 | u32::try_from(DIGITS.iter().position(|digit| *digit == byte)?).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    let claims: Value = serde_json::from_slice(&bytes).ok()?;
    claims[name].as_str().map(ToOwned::to_owned)
}
