//! The gate before a real cluster of three nodes: clients know only ports of the gate, and work.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may stop at a broken promise, says what it skips, and runs other programs"
)]

mod cluster_support;
#[path = "../../redis/tests/support/server.rs"]
mod server;
mod support;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use cluster_support::{Node, three_nodes};
use entrant_relay::gate::{Backend, ClusterFront, GateConfig};
use support::gate::{Behind, CUSTOM, OWNER, READER, TestGate};
use support::{Wire, show, text};

async fn start() -> Option<(TestGate, [Node; 3])> {
    let nodes = three_nodes()?;
    let backend = Backend::Tcp { host: "127.0.0.1".to_owned(), port: nodes[0].port(), admin: None, tls: None };
    let front = ClusterFront { host: "localhost".to_owned(), bind: IpAddr::V4(Ipv4Addr::LOCALHOST), first_port: None };
    let config = GateConfig { cluster: Some(front), ..GateConfig::default() };
    Some((TestGate::start_with(Behind::Other(backend), config).await, nodes))
}

/// The ports in a text, of those above the slots.
fn ports(text: &str) -> BTreeSet<u16> {
    // A node's id may have as many digits in a row.
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter_map(|word| word.parse().ok()).filter(|port| *port > 16_383).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_17_server_every_node_is_found_at_a_port_of_the_gate_and_the_token_is_asked_for_there_too() {
    let Some((gate, nodes)) = start().await else { return };
    let hidden: BTreeSet<u16> = nodes.each_ref().map(Node::port).into();
    let mut wire = gate.enter(OWNER).await;
    // Behind replies that are outstanding, and with more behind it.
    wire.send_raw(b"PING\r\n*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n*2\r\n$7\r\ncluster\r\n$6\r\nshards\r\nPING x\r\n")
        .await;
    assert_eq!(text(&wire.read().await), "PONG");
    let slots = show(&wire.read().await);
    let known = ports(&slots);
    assert_eq!(known.len(), 3, "{slots}");
    assert!(slots.contains("localhost") && known.is_disjoint(&hidden), "{slots}");
    assert!(known.contains(&gate.address.port()), "{slots}");
    let shards = show(&wire.read().await);
    assert!(known.is_subset(&ports(&shards)) && ports(&shards).is_disjoint(&hidden), "{shards}");
    assert_eq!(text(&wire.read().await), "x");
    // The slot of "foo" is 12182, on the third node.
    let moved = text(&wire.say("SET foo bar").await);
    assert!(moved.starts_with("-MOVED 12182 localhost:"), "{moved}");
    let port = *ports(&moved).first().unwrap();
    assert!(known.contains(&port), "{moved}");
    let node = SocketAddr::from(([127, 0, 0, 1], port));
    let mut third = gate.connect_to(node).await;
    assert_eq!(text(&third.say("GET foo").await), "-NOAUTH Authentication required.");
    assert_eq!(text(&third.call(&["AUTH", OWNER, gate.token(OWNER).expose()]).await), "OK");
    assert_eq!(text(&third.say("SET foo bar").await), "OK");
    assert_eq!(text(&third.say("ACL WHOAMI").await), OWNER);
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_keep_their_shape_place_and_permissions() {
    let Some((gate, nodes)) = start().await else { return };
    let hidden: BTreeSet<u16> = nodes.each_ref().map(Node::port).into();
    let mut wire = gate.enter(OWNER).await;
    for (setup, first) in [("PING", "["), ("HELLO 3", "[{"), ("HELLO 2", "[[")] {
        wire.say(setup).await;
        let shards = show(&wire.say("CLUSTER SHARDS").await);
        assert!(shards.starts_with(first), "{setup}: {shards}");
    }
    let nodes_text = text(&wire.say("CLUSTER NODES").await);
    assert!(nodes_text.contains("myself,master"), "{nodes_text}");
    for line in nodes_text.lines() {
        let address = line.split(' ').nth(1).unwrap().split('@').next().unwrap();
        assert!(address.starts_with("localhost:") && ports(address).is_disjoint(&hidden), "{line}");
    }
    let own = nodes_text.split(' ').next().unwrap().to_owned();
    assert_eq!(show(&wire.say(&format!("CLUSTER REPLICAS {own}")).await), "[]");
    // In a transaction it is an element of what EXEC gives.
    assert_eq!(text(&wire.say("MULTI").await), "OK");
    for line in ["CLUSTER MYID", "CLUSTER SLOTS", "CLUSTER MYID"] {
        assert_eq!(text(&wire.say(line).await), "QUEUED");
    }
    let exec = wire.say("EXEC").await;
    let elements = exec.elements().unwrap();
    assert_eq!(elements.len(), 3);
    assert!(ports(&show(&elements[1])).contains(&gate.address.port()), "{}", show(&elements[1]));
    assert_eq!(text(&elements[0]), text(&elements[2]));
    // Who may not ask Redis is not told by the gate.
    let mut reader = gate.enter(READER).await;
    assert!(show(&reader.say("CLUSTER SLOTS").await).contains("localhost"));
    let mut custom = gate.enter(CUSTOM).await;
    assert!(text(&custom.say("CLUSTER SLOTS").await).starts_with("-NOPERM"));
    assert!(text(&wire.say("CLUSTER MEET 127.0.0.1 1").await).starts_with("-NOPERM"), "the operator's alone");
    // A script's own error of that form leads nowhere but to the gate.
    let moved = text(&wire.call(&["EVAL", "return redis.error_reply('MOVED 1 127.0.0.1:1')", "0"]).await);
    assert!(moved.starts_with("-MOVED 1 localhost:"), "{moved}");
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cli_follows_redirections_through_the_gate() {
    let Some((gate, _nodes)) = start().await else { return };
    let token = gate.token(OWNER);
    let folder = std::env::temp_dir().join(format!("entrant-gate-cluster-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, &gate.ca_pem).unwrap();
    for number in 0..10 {
        let (key, value) = (format!("key{number}"), format!("value{number}"));
        for (words, expected) in [(vec!["SET", &key, &value], "OK"), (vec!["GET", &key], &value)] {
            let output = tokio::process::Command::new("redis-cli")
                .args(["-c", "--tls", "--no-auth-warning", "-h", "localhost", "-p", &gate.address.port().to_string()])
                .args(["--user", OWNER, "--pass", token.expose(), "--cacert"])
                .arg(&ca)
                .args(words)
                .output()
                .await
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected, "{output:?}");
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_22_server_a_deleted_assignment_closes_the_connections_at_every_node() {
    let Some((gate, _nodes)) = start().await else { return };
    let mut first = gate.enter(OWNER).await;
    let moved = text(&first.say("SET foo bar").await);
    let node = SocketAddr::from(([127, 0, 0, 1], *ports(&moved).first().unwrap()));
    let mut third: Wire = gate.connect_to(node).await;
    assert_eq!(text(&third.call(&["AUTH", OWNER, gate.token(OWNER).expose()]).await), "OK");
    gate.handle.assignments().remove(support::gate::id(OWNER));
    first.closed().await;
    third.closed().await;
    gate.stop().await;
}
