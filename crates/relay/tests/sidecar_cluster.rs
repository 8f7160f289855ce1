//! The sidecar before a real cluster of three nodes: clients know only loopback ports of the sidecar, and work.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]
#![expect(clippy::disallowed_methods, reason = "a test runs other programs")]

mod cluster_support;
#[expect(dead_code, reason = "the harness of all sidecar tests")]
mod sidecar_support;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use cluster_support::{Node, three_nodes};
use entrant_relay::sidecar::{NodeAddress, SidecarConfig, Upstream};
use sidecar_support::server::{self, oid};
use sidecar_support::{Client, Running};

/// A sidecar whose upstream is the first node. Tokens change every second or so.
fn start() -> Option<(Running, [Node; 3])> {
    let mut nodes = three_nodes()?;
    let first = nodes[0].0.take()?;
    let upstream = Upstream::parse(&format!("127.0.0.1:{}", first.port), None).unwrap();
    let config = SidecarConfig { cluster: Some(NodeAddress::PublicName), ..SidecarConfig::new(upstream) };
    Some((Running::start_with(first, Duration::from_secs(60), config, "127.0.0.1:0"), nodes))
}

#[test]
fn case_17_sidecar_a_redirected_client_finds_every_node_through_the_sidecar_on_the_newest_token() {
    let Some((running, others)) = start() else { return };
    let upstream: BTreeSet<u16> = [running.server.port, others[1].port(), others[2].port()].into();
    let mut client = running.connect();
    client.send(b"CLUSTER SLOTS\r\nPING\r\n");
    let mut ports = BTreeSet::new();
    loop {
        let line = client.line();
        if line == "+PONG\r\n" {
            break;
        }
        ports.extend(
            line.strip_prefix(':').and_then(|port| port.trim().parse::<u16>().ok()).filter(|port| *port > 16_383),
        );
    }
    assert_eq!(ports.len(), 3, "{ports:?}");
    assert!(ports.contains(&running.address.port()) && ports.is_disjoint(&upstream), "{ports:?} {upstream:?}");
    // The slot of "foo" is 12182, on the third node.
    client.send(b"SET foo bar\r\n");
    let moved = client.line();
    let port: u16 = moved.trim().rsplit_once(':').unwrap().1.parse().unwrap();
    assert!(moved.starts_with("-MOVED 12182 127.0.0.1:") && ports.contains(&port), "{moved}");
    let mut node = Client::to(([127, 0, 0, 1], port).into());
    node.ask("SET foo bar", "+OK\r\n");
    node.ask("ACL WHOAMI", &format!("$36\r\n{}\r\n", oid(1)));
    client.send(b"CLUSTER NODES\r\nCLUSTER SHARDS\r\nPING\r\n");
    loop {
        let line = client.line();
        if line == "+PONG\r\n" {
            break;
        }
        for port in &upstream {
            assert!(!line.contains(&format!(":{port}@")) && line != format!(":{port}\r\n"), "{line}");
        }
    }
}

#[test]
fn redis_cli_and_redis_benchmark_work_in_cluster_mode_through_the_sidecar() {
    let Some((running, _others)) = start() else { return };
    let port = running.address.port().to_string();
    for number in 0..20 {
        let (key, value) = (format!("key{number}"), format!("value{number}"));
        for (words, expected) in [(vec!["SET", &key, &value], "OK"), (vec!["GET", &key], &value)] {
            let out = Command::new("redis-cli").args(["-c", "-p", &port]).args(words).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), expected);
        }
    }
    let out = Command::new("redis-benchmark")
        .args(["--cluster", "-p", &port, "-n", "5000", "-c", "12", "-P", "4", "-q", "-t", "set,get", "-r", "10000"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && text.contains("GET: ") && !text.contains("rror"), "{text}");
}
