//! Who stands between a client that speaks plain text and a Redis that speaks TLS.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::ground::{Ground, entrant};
use super::process::{Program, free_port, wait_for};
use crate::tokens::{Failure, faults::root};

/// Everybody, in the order of the table.
pub const ALL: [&str; 10] = [
    DIRECT_TLS,
    DIRECT,
    "haproxy",
    "nginx stream",
    "stunnel",
    "envoy tcp_proxy",
    "envoy redis_proxy",
    "twemproxy, no TLS",
    OURS,
    OURS_SHARED,
];
/// redis-benchmark speaks TLS itself.
pub const DIRECT_TLS: &str = "direct TLS";
/// Plain text without anything between.
pub const DIRECT: &str = "direct plain text";
/// The sidecar, a connection to Redis for each client.
pub const OURS: &str = "ours 1:1";
/// The sidecar, connections to Redis shared.
pub const OURS_SHARED: &str = "ours shared";

/// One of them, running.
#[derive(Debug)]
pub struct Contender {
    pub name: &'static str,
    /// Where redis-benchmark connects, and whether by TLS.
    pub port: u16,
    pub tls: bool,
    program: Option<Program>,
}

impl Contender {
    /// Starts it.
    pub fn start(name: &'static str, ground: &Ground) -> Result<Self, Failure> {
        let direct = |port, tls| Ok(Self { name, port, tls, program: None });
        let port = free_port()?;
        let file = |suffix: &str| ground.folder.join(format!("{}{suffix}", name.replace([' ', ',', ':'], "-")));
        let write = |suffix: &str, text: String| -> Result<_, Failure> {
            let path = file(suffix);
            std::fs::write(&path, text)?;
            Ok(path)
        };
        let ca = ground.folder.join("ca.pem");
        let mut command = match name {
            DIRECT_TLS => return direct(ground.tls, true),
            DIRECT => return direct(ground.plain, false),
            "haproxy" => with(Command::new("haproxy"), "-f", &write(".cfg", haproxy(port, ground.tls, &ca))?),
            "nginx stream" => {
                with(Command::new("nginx"), "-c", &write(".conf", nginx(port, ground.tls, &ca, &ground.folder))?)
            }
            "stunnel" => {
                let mut command = Command::new("stunnel");
                command.arg(write(".conf", stunnel(port, ground.tls, &ca))?);
                command
            }
            "envoy tcp_proxy" | "envoy redis_proxy" => {
                let binary = root().join("target/bench/py/lib");
                let program = find(&binary, "envoy/_bin/envoy").ok_or("Envoy is not installed")?;
                let redis = name == "envoy redis_proxy";
                let config = write(".json", envoy(port, ground.tls, &ca, redis))?;
                let mut command = with(Command::new(program), "-c", &config);
                command.args(["--concurrency", "1", "--log-level", "warning", "--disable-hot-restart"]);
                command
            }
            "twemproxy, no TLS" => {
                let mut command =
                    with(Command::new("nutcracker"), "-c", &write(".yml", twemproxy(port, ground.plain))?);
                command.args(["--stats-port", &free_port()?.to_string(), "--mbuf-size", "16384"]);
                command
            }
            _ => {
                let mut command = sidecar(ground, name == OURS_SHARED);
                command.args(["--proxy-port", &port.to_string()]);
                command
            }
        };
        let program = Program::start(&mut command, &file(".log"))?;
        wait_for(port, name)?;
        Ok(Self { name, port, tls: false, program: Some(program) })
    }

    /// The process between, if one is.
    pub fn pid(&self) -> Option<u32> {
        self.program.as_ref().map(Program::pid)
    }
}

/// The sidecar on the run's Redis, without its port.
pub fn sidecar(ground: &Ground, shared: bool) -> Command {
    let mut command = entrant();
    command.args(["redis-proxy", "--source", "managed-identity", "--ports", "auto", "--log", "warn"]);
    command.args(["--upstream", &format!("localhost:{}", ground.tls), "--sharing", if shared { "on" } else { "off" }]);
    ground.identity(command.arg("--ca").arg(ground.folder.join("ca.pem")));
    command
}

fn with(mut command: Command, flag: &str, path: &Path) -> Command {
    command.arg(flag).arg(path);
    command
}

fn haproxy(port: u16, redis: u16, ca: &Path) -> String {
    format!(
        "global\n  maxconn 9000\n  nbthread 1\ndefaults\n  mode tcp\n  timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n\
         listen redis\n  bind 127.0.0.1:{port}\n  server redis 127.0.0.1:{redis} ssl verify required verifyhost localhost sni str(localhost) ca-file {}\n",
        ca.display()
    )
}

fn nginx(port: u16, redis: u16, ca: &Path, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\nworker_processes 1;\n\
         pid {folder}/nginx.pid;\nerror_log {folder}/nginx-errors.log;\nevents {{ worker_connections 19000; }}\n\
         stream {{ server {{ listen 127.0.0.1:{port}; proxy_pass 127.0.0.1:{redis}; proxy_timeout 1h; proxy_ssl on; proxy_ssl_verify on;\n\
         proxy_ssl_trusted_certificate {}; proxy_ssl_name localhost; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.2 TLSv1.3; }} }}\n",
        ca.display()
    )
}

fn stunnel(port: u16, redis: u16, ca: &Path) -> String {
    format!(
        "foreground = yes\npid =\nsyslog = no\ndebug = 3\n[redis]\nclient = yes\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{redis}\n\
         CAfile = {}\nverifyChain = yes\ncheckHost = localhost\nsni = localhost\n",
        ca.display()
    )
}

fn twemproxy(port: u16, redis: u16) -> String {
    format!(
        "pool:\n  listen: 127.0.0.1:{port}\n  redis: true\n  hash: fnv1a_64\n  distribution: ketama\n  preconnect: true\n  servers:\n   - 127.0.0.1:{redis}:1\n"
    )
}

fn envoy(port: u16, redis: u16, ca: &Path, commands: bool) -> String {
    let address = |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let filters = "type.googleapis.com/envoy.extensions.filters.network";
    let filter = if commands {
        json!({"name": "envoy.filters.network.redis_proxy", "typed_config": {
            "@type": format!("{filters}.redis_proxy.v3.RedisProxy"), "stat_prefix": "redis",
            "settings": {"op_timeout": "5s"}, "prefix_routes": {"catch_all_route": {"cluster": "redis"}}}})
    } else {
        json!({"name": "envoy.filters.network.tcp_proxy", "typed_config": {
            "@type": format!("{filters}.tcp_proxy.v3.TcpProxy"), "stat_prefix": "redis", "cluster": "redis"}})
    };
    let versions = json!({"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"});
    let tls = json!({"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": "localhost",
        "common_tls_context": {"tls_params": versions, "validation_context": {"trusted_ca": {"filename": ca}}}}});
    let limits =
        json!({"thresholds": [{"max_connections": 25000, "max_pending_requests": 100_000, "max_requests": 100_000}]});
    let endpoints =
        json!({"cluster_name": "redis", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(redis)}}]}]});
    json!({"static_resources": {
        "listeners": [{"name": "redis", "address": address(port), "filter_chains": [{"filters": [filter]}]}],
        "clusters": [{"name": "redis", "type": "STATIC", "connect_timeout": "5s", "circuit_breakers": limits,
            "load_assignment": endpoints, "transport_socket": tls}],
    }})
    .to_string()
}

/// A file below a folder whose name depends on Python's version.
fn find(folder: &Path, end: &str) -> Option<std::path::PathBuf> {
    let versions = std::fs::read_dir(folder).ok()?.flatten();
    versions.map(|version| version.path().join("site-packages").join(end)).find(|path| path.is_file())
}
