//! The servers: how each is started, what it is asked, what it costs.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs::default_provider};

use crate::tokens::{Failure, faults::root};

/// Either kind of connection.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One thing that a server is asked, on loopback.
#[derive(Clone)]
pub struct Service {
    /// As the table names it.
    pub name: &'static str,
    /// Where.
    pub port: u16,
    /// The whole request.
    pub request: Arc<[u8]>,
    /// TLS, unless it is plain.
    pub tls: Option<TlsConnector>,
    /// The port of a Redis that takes the token in the reply, and the user's name there.
    pub redis: Option<(u16, Arc<str>)>,
}

impl Service {
    fn new(name: &'static str, port: u16, request: String) -> Self {
        Self { name, port, request: request.into_bytes().into(), tls: None, redis: None }
    }

    fn get(name: &'static str, port: u16, path: &str, more: &str) -> Self {
        Self::new(name, port, format!("GET {path} HTTP/1.1\r\nhost: localhost:{port}\r\n{more}\r\n"))
    }

    fn post(name: &'static str, port: u16, path: &str, form: &str) -> Self {
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost:{port}\r\n");
        let kind = "content-type: application/x-www-form-urlencoded\r\n";
        Self::new(name, port, format!("{head}{kind}content-length: {}\r\n\r\n{form}", form.len()))
    }

    fn over(self, tls: &TlsConnector) -> Self {
        Self { tls: Some(tls.clone()), ..self }
    }

    /// A connection, with TLS where the service has it.
    pub async fn connect(&self) -> io::Result<Pin<Box<dyn Stream>>> {
        // The token for Redis comes from a plain endpoint.
        open(self.port, self.tls.as_ref().filter(|_| self.redis.is_none())).await
    }
}

/// A connection to a port of loopback.
pub async fn open(port: u16, tls: Option<&TlsConnector>) -> io::Result<Pin<Box<dyn Stream>>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Box::pin(stream)) };
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    Ok(Box::pin(tls.connect(name, stream).await?))
}

/// A server that runs; it ends with this.
pub struct Server {
    child: Child,
    /// What must answer until it counts as started; the first gives fresh tokens.
    pub services: Vec<Service>,
}

impl Server {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// The service with this name.
    pub fn service(&self, name: &str) -> Result<&Service, Failure> {
        self.services.iter().find(|service| service.name == name).ok_or_else(|| format!("no service {name}").into())
    }

    /// MiB of resident memory, file mappings included.
    pub fn resident(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
    }

    /// Ends it and waits for that.
    pub async fn stop(mut self) -> Result<(), Failure> {
        Ok(self.child.kill().await?)
    }
}

/// CPU seconds of a process with all its threads (`proc(5)`: fields 14 and 15, in ticks of 10 ms).
pub fn cpu_of(pid: u32) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after = stat.rsplit_once(") ").ok_or("no name in stat")?.1;
    let mut fields = after.split(' ').skip(11);
    let mut next = || fields.next().and_then(|field| field.parse::<f64>().ok()).ok_or("no times in stat");
    Ok((next()? + next()?) / 100.0)
}

/// What the seed's names stand for, from a ready file: the same at every start.
#[derive(Clone, Debug)]
pub struct Facts(pub serde_json::Value);

impl Facts {
    /// One of them.
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }
}

/// Which server, and how it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// npm `oauth2-mock-server` with a key it was given.
    Peer,
    /// The same as it starts by default: it makes a key.
    PeerWithoutKey,
    /// `entrant emulator`: Entra ID, managed identity and console.
    Emulator,
    /// `entrant dev`: the same with Redis, the protected API and the web app.
    Dev,
}

/// The secret of the seed's web app, as its documentation prints it.
const SECRET: &str = "emulator-only-secret-of-web-app";

/// Where the runs keep their keys.
pub fn folder() -> PathBuf {
    root().join("target/bench/emulator")
}

/// Starts a server on free ports; nothing of it answers yet.
pub fn spawn(kind: Kind, facts: &Facts) -> Result<Server, Failure> {
    match kind {
        Kind::Peer | Kind::PeerWithoutKey => {
            let port = free_port()?;
            let mut command = peer();
            command.args(["-p", &port.to_string()]);
            if kind == Kind::Peer {
                command.arg("--jwk").arg(folder().join("peer.json"));
            }
            let form = "grant_type=client_credentials&client_id=web-app&client_secret=a-secret&scope=api&aud=api";
            let services = vec![
                Service::post("fresh token", port, "/token", form),
                Service::get("metadata", port, "/.well-known/openid-configuration", ""),
            ];
            Ok(Server { child: command.spawn()?, services })
        }
        Kind::Emulator => entrant("emulator", facts),
        Kind::Dev => entrant("dev", facts),
    }
}

/// The peer's program, on loopback.
pub fn peer() -> Command {
    let mut command = Command::new("node");
    let program = "target/peers/node/node_modules/oauth2-mock-server/dist/oauth2-mock-server.mjs";
    command.arg(root().join(program)).args(["-a", "127.0.0.1"]).current_dir(folder());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

/// The product's release build; its folder below `target` keeps the keys.
pub fn product(command: &str) -> Command {
    let mut product = Command::new(root().join("target/release/entrant"));
    product.arg(command).args(["--ports", "auto", "--data-dir"]).arg(folder().join("data"));
    // Without a redis-server on the PATH, Redis is the store that comes with it.
    product.env_clear().env("PATH", "/nowhere");
    product.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    product
}

fn entrant(name: &str, facts: &Facts) -> Result<Server, Failure> {
    let (entra, plain, gate, api, web) = (free_port()?, free_port()?, free_port()?, free_port()?, free_port()?);
    let mut command = product(name);
    let mut flags = vec![("--entra-port", entra), ("--imds-port", plain)];
    if name == "dev" {
        flags.extend([("--gate-port", gate), ("--api-port", api), ("--web-port", web)]);
    }
    for (flag, port) in flags {
        command.args([flag, &port.to_string()]);
    }
    let child = command.spawn()?;
    let tls = connector(Path::new(facts.text("ca_path")))?;
    let tenant = facts.text("tenant_id");
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={SECRET}&scope=api%3A%2F%2F{}%2F.default",
        facts.text("client_id"),
        facts.text("api_client_id"),
    );
    let identity = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://redis.azure.com";
    let mut services = vec![
        Service::post("fresh token", entra, &format!("/{tenant}/oauth2/v2.0/token"), &form).over(&tls),
        Service::get("metadata", entra, &format!("/{tenant}/v2.0/.well-known/openid-configuration"), "").over(&tls),
        Service::get("managed identity", plain, identity, "metadata: true\r\n"),
        Service::get("counters", plain, "/control/counters", ""),
    ];
    if name == "dev" {
        let own = format!("{identity}&client_id={}", facts.text("managed_identity_client_id"));
        services.push(Service {
            redis: Some((gate, facts.text("managed_identity_principal_id").into())),
            ..Service::get("Redis", plain, &own, "metadata: true\r\n").over(&tls)
        });
        services.push(Service::get("protected API", api, "/health", ""));
        services.push(Service::get("web app", web, "/", ""));
    }
    Ok(Server { child, services })
}

/// TLS that trusts one authority; nothing at all while its file is not there yet.
fn connector(ca: &Path) -> Result<TlsConnector, Failure> {
    let mut roots = RootCertStore::empty();
    if ca.exists() {
        roots.add(CertificateDer::from_pem_file(ca)?)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
