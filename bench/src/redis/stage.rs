//! What every client meets: a real redis-server, and Entrant's emulator and gate.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::tokens::{Failure, faults::root};

/// A debug build on busy cores is ready well within this.
const READY: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// A redis-server, an emulator and a gate of their own; they end with it.
pub struct Stage {
    folder: PathBuf,
    redis: u16,
    facts: Value,
    _processes: [Child; 3],
}

impl Stage {
    /// Starts them. Managed-identity tokens live for `life` seconds.
    pub async fn start(name: &str, server: &Path, life: u64) -> Result<Self, Failure> {
        let folder = root().join("target/peers/redis").join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let redis = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(server);
        command.args(["--port", &redis.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(&folder);
        let server = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn()?;
        let seed = folder.join("seed.toml");
        // `host-vm` is the machine's own identity: every client finds it without being told an id.
        let policies = "[[redis.user]]\nidentity = \"host-vm\"\npolicy = \"data-owner\"\n";
        std::fs::write(&seed, format!("{policies}\n[lifetimes]\nmanaged_identity = {life}\n"))?;
        let entrant = |arguments: &[&str], ready: &Path, log: &str| -> Result<Child, Failure> {
            let mut command = Command::new(root().join("target/debug/entrant"));
            command.args(arguments).args(["--ports", "auto", "--ready-file"]).arg(ready).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(std::fs::File::create(folder.join(log))?).kill_on_drop(true);
            Ok(command.spawn()?)
        };
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (first, second) = (folder.join("emulator.json"), folder.join("gate.json"));
        let data = text(&folder.join("data"));
        let arguments = ["emulator", "--seed", &text(&seed), "--data-dir", &data];
        let emulator = entrant(&arguments, &first, "emulator.log")?;
        let mut facts = wait_for(&first).await.map_err(|error| format!("{name}: {error}"))?;
        let backend = format!("redis://127.0.0.1:{redis}");
        let arguments = ["redis-gate", "--attach", &text(&first), "--backend", &backend];
        let gate = entrant(&arguments, &second, "gate.log")?;
        let more = wait_for(&second).await.map_err(|error| format!("{name}: {error}"))?;
        for key in ["admin_url", "gate_host", "gate_port"] {
            facts[key] = more[key].clone();
        }
        Ok(Self { folder, redis, facts, _processes: [server, emulator, gate] })
    }

    fn fact(&self, name: &str) -> String {
        self.facts[name].as_str().unwrap_or_default().to_owned()
    }

    /// The environment of a client; `direct` leads it past the gate to Redis itself.
    pub fn environment(&self, direct: bool) -> Vec<(&'static str, String)> {
        let mut all = vec![
            ("IDENTITY_ENDPOINT", self.fact("identity_endpoint")),
            ("IDENTITY_HEADER", self.fact("identity_header")),
            ("PEER_HOST", if direct { "127.0.0.1".to_owned() } else { self.fact("gate_host") }),
            ("PEER_PORT", if direct { self.redis.to_string() } else { self.facts["gate_port"].to_string() }),
        ];
        if !direct {
            all.push(("PEER_CA", self.fact("ca_path")));
        }
        all
    }

    /// Where a client's complaints go.
    pub fn log(&self) -> Result<std::fs::File, Failure> {
        Ok(std::fs::File::create(self.folder.join("client.log"))?)
    }

    /// The identity endpoint answers 503 from now on, or no longer.
    pub async fn outage(&self, on: bool) -> Result<(), Failure> {
        let rule = r#"{"endpoint":"app_service","effect":{"status":{"code":503}}}"#;
        let (method, body) = if on { ("POST", rule) } else { ("DELETE", "") };
        http(&self.fact("console_url"), method, "/control/faults", body).await.map(drop)
    }

    /// Requests to the identity endpoint so far.
    pub async fn token_requests(&self) -> Result<u64, Failure> {
        let counters: Value =
            serde_json::from_str(&http(&self.fact("console_url"), "GET", "/control/counters", "").await?)?;
        let one = |kind: &str| counters["app_service"][kind].as_u64().unwrap_or(0);
        Ok(one("answered") + one("failed"))
    }

    /// A counter of the gate, of all lines whose labels contain `label`.
    pub async fn gate(&self, name: &str, label: &str) -> Result<u64, Failure> {
        let text = http(&self.fact("admin_url"), "GET", "/metrics", "").await?;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64)
    }

    /// Sends commands to Redis itself and returns the replies' first bytes.
    pub async fn redis(&self, commands: &str) -> Result<String, Failure> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.redis)).await?;
        stream.write_all(commands.as_bytes()).await?;
        let mut reply = vec![0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut reply)).await??;
        Ok(String::from_utf8_lossy(&reply[..read]).into_owned())
    }

    /// Publishes the numbers below `count`, `per_second` of them a second, and then `end`.
    pub async fn publish(&self, count: u32, per_second: u32) -> Result<(), Failure> {
        let stream = TcpStream::connect(("127.0.0.1", self.redis)).await?;
        stream.set_nodelay(true)?;
        let (mut replies, mut stream) = stream.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut replies, &mut tokio::io::sink()).await });
        let mut beat = tokio::time::interval(Duration::from_secs(1) / per_second);
        for number in 0..count {
            beat.tick().await;
            stream.write_all(format!("PUBLISH numbers {number}\r\n").as_bytes()).await?;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        stream.write_all(b"PUBLISH numbers end\r\n").await?;
        Ok(tokio::time::sleep(Duration::from_millis(100)).await)
    }

    /// Redis itself takes any password of the clients' identity, and has the readers' keys; returns the user names.
    pub async fn open_door(&self) -> Result<String, Failure> {
        let started = Instant::now();
        let ids = loop {
            // The gate makes them.
            let users = self.redis("ACL USERS\r\n").await?;
            let ids: Vec<String> = users.lines().filter(|line| line.len() == 36).map(ToOwned::to_owned).collect();
            if !ids.is_empty() || started.elapsed() > READY {
                break ids;
            }
            tokio::time::sleep(POLL).await;
        };
        for id in &ids {
            self.redis(&format!("ACL SETUSER {id} on nopass ~* &* +@all\r\n")).await?;
        }
        for index in 0..50 {
            self.redis(&format!("SET key:{index} value:{index}\r\n")).await?;
        }
        Ok(ids.join(" "))
    }
}

async fn wait_for(ready: &Path) -> Result<Value, Failure> {
    let started = Instant::now();
    while started.elapsed() < READY {
        if let Some(facts) = std::fs::read(ready).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
            return Ok(facts);
        }
        tokio::time::sleep(POLL).await;
    }
    Err("entrant did not become ready; see its log below target/peers/redis".into())
}

async fn http(base: &str, method: &str, path: &str, body: &str) -> Result<String, Failure> {
    let address = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
    stream
        .write_all(format!("{head}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).as_bytes())
        .await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    let (head, body) = reply.split_once("\r\n\r\n").ok_or("no HTTP reply")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status.starts_with('2') { Ok(body.to_owned()) } else { Err(format!("{method} {path}: {status} {body}").into()) }
}
