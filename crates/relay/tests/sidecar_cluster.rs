//! The sidecar before a real cluster of three nodes: clients know only loopback ports of the sidecar, and work.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at a broken promise")]
#![expect(clippy::disallowed_methods, reason = "a test runs other programs")]

mod cluster_support;
#[expect(dead_code, reason = "the harness of all sidecar tests")]
mod sidecar_support;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use cluster_support::{Node, three_nodes};
use entrant_relay::sidecar::{NodeAddress, SidecarConfig, Upstream};
use sidecar_support::server::{self, LIMIT, Redis, oid};
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

#[test]
fn case_18_sidecar_a_node_that_joins_is_served_and_every_connection_is_still_re_authenticated() {
    let Some((running, others)) = start() else { return };
    let mut entry = running.connect();
    // The slot of "foo" is on the third node, that of "hello" (866) on the first.
    let mut clients = vec![Client::to(moved(&mut entry, "foo")), running.connect()];
    let joined = Node::start().unwrap();
    assert_eq!(running.server.admin(&format!("CLUSTER MEET 127.0.0.1 {}", joined.port())), "+OK\r\n");
    let met = |node: &Redis| node.admin("CLUSTER NODES").lines().filter(|line| line.ends_with("connected")).count();
    while met(&running.server) + met(joined.0.as_ref().unwrap()) < 2 {
        std::thread::yield_now();
    }
    // The topology is asked for again, as clients do; the new node has a port of the sidecar's like the others.
    let known: BTreeSet<String> = loop {
        entry.send(b"CLUSTER NODES\r\n");
        let length: usize = entry.line().trim().trim_start_matches('$').parse().unwrap();
        let mut text = vec![0; length + 2];
        std::io::Read::read_exact(&mut entry.0, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let known = text.lines().filter_map(|line| Some(line.split(' ').nth(1)?.split('@').next()?.to_owned()));
        let known: BTreeSet<_> = known.collect();
        if known.len() == 4 {
            break known;
        }
    };
    clients.extend(known.iter().map(|address| Client::to(address.parse().unwrap())));
    for client in &mut clients {
        client.ask("PING", "+PONG\r\n");
    }
    let auths = || {
        let third = [others[2].0.as_ref().unwrap(), joined.0.as_ref().unwrap(), &running.server];
        third.map(|node| {
            let stats = node.admin("INFO commandstats");
            let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_auth:calls=")).unwrap_or("0,");
            line.split(',').next().unwrap().parse::<u64>().unwrap()
        })
    };
    let (before, started) = (auths(), std::time::Instant::now());
    while auths().iter().zip(before).any(|(now, before)| *now < before + 3) {
        assert!(started.elapsed() < LIMIT, "{before:?} {:?}", auths());
        std::thread::yield_now();
    }
    for client in &mut clients {
        client.ask("PING", "+PONG\r\n");
    }
}

/// Where the sidecar says that the key is.
fn moved(client: &mut Client, key: &str) -> std::net::SocketAddr {
    client.send(format!("SET {key} x\r\n").as_bytes());
    let line = client.line();
    line.trim().rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{line}"))
}
