//! Shared connections: no reply to the wrong client, no state left behind, no client that holds up the others.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

#[expect(dead_code, reason = "the harness of all sidecar tests")]
mod sidecar_support;

use std::io::Write as _;

use entrant_relay::sidecar::sharing::STATELESS;
use entrant_relay::sidecar::{SidecarConfig, Upstream};
use sidecar_support::server::{Redis, oid};
use sidecar_support::{Client, LONG, Running, SHORT};

/// Connections of the sidecar's identity.
fn connections(running: &Running) -> usize {
    running.server.admin("CLIENT LIST").matches(&format!("user={}", oid(1))).count()
}

#[test]
fn fifty_clients_share_one_connection_and_each_gets_its_own_replies_while_tokens_are_renewed() {
    let Some(running) = Running::start(SHORT, true) else { return };
    let address = running.address;
    let clients: Vec<_> = (0..50)
        .map(|number| {
            std::thread::spawn(move || {
                let mut client = Client::to(address);
                for round in 0..60 {
                    let mut expected = String::new();
                    for step in 0..10 {
                        let value = format!("{number}.{round}.{step}");
                        client.send(format!("SET k{number} {value}\r\nGET k{number}\r\n").as_bytes());
                        expected += &format!("+OK\r\n${}\r\n{value}\r\n", value.len());
                    }
                    client.expect(&expected);
                }
            })
        })
        .collect();
    let most = (0..20).map(|_| connections(&running)).max().unwrap();
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert!(most <= 1, "{most} connections");
    assert!(running.auths() > 1, "never re-authenticated");
}

#[test]
fn the_first_stateful_command_gets_a_connection_of_its_own_and_keeps_what_was_said_before() {
    let Some(running) = Running::start(LONG, true) else { return };
    let mut client = running.connect();
    client.hello("HELLO 3 AUTH someone secret SETNAME me");
    client.ask("SET k v", "+OK\r\n");
    client.ask("GET k", "$1\r\nv\r\n");
    assert_eq!(connections(&running), 1);
    client.send(b"INCR n\r\nMULTI\r\nINCR n\r\nEXEC\r\nCLIENT GETNAME\r\nHGETALL none\r\n");
    client.expect(":1\r\n+OK\r\n+QUEUED\r\n*1\r\n:2\r\n$2\r\nme\r\n%0\r\n");
    assert_eq!(connections(&running), 2);
    let mut other = running.connect();
    other.ask("GET n", "$1\r\n2\r\n");
    other.send(b"SELECT 0\r\nCLIENT SETINFO LIB-NAME x\r\nGET n\r\n");
    other.expect("+OK\r\n+OK\r\n$1\r\n2\r\n");
    assert_eq!(connections(&running), 3, "a RESP2 and a RESP3 connection are shared, one is a client's own");
}

#[test]
fn no_listed_command_changes_the_connection_it_runs_on() {
    let Some(server) = Redis::start() else { return };
    let mut client = Client::to(([127, 0, 0, 1], server.port).into());
    let known: Vec<String> = STATELESS.iter().map(|entry| entry.to_lowercase()).collect();
    for entry in &known {
        let words = entry.replace('|', " ");
        let before = state(&mut client);
        // With the arguments that most commands have: many fail, and what they do to the connection they do early.
        for arguments in ["", " k", " 1", " k 1", " k 1 2", " k 1 2 3 4", " 1 k", " return(1) 0"] {
            client.send(format!("{words}{arguments}\r\nECHO end\r\n").as_bytes());
            loop {
                let line = client.line();
                if line == "$3\r\n" && client.line() == "end\r\n" {
                    break;
                }
            }
        }
        assert_eq!(state(&mut client), before, "{entry}");
    }
}

/// What `CLIENT INFO` says of the connection, its activity left out.
fn state(client: &mut Client) -> String {
    client.send(b"CLIENT INFO\r\n");
    client.line();
    let line = client.line();
    let passing = [
        "age=",
        "idle=",
        "qbuf",
        "argv-mem=",
        "obl=",
        "oll=",
        "omem=",
        "tot-mem=",
        "cmd=",
        "events=",
        "rb",
        "multi-mem=",
    ];
    line.split(' ').filter(|field| !passing.iter().any(|name| field.starts_with(name))).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_and_costs_little_memory() {
    let Some(running) = Running::start(LONG, true) else { return };
    let mut other = running.connect();
    other.send(format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${}\r\n{}\r\n", 20_000, "x".repeat(20_000)).as_bytes());
    other.expect("+OK\r\n");
    let mut greedy = running.connect();
    greedy.0.set_nonblocking(true).unwrap();
    // 40,000 replies of 20 kB: 800 MB, of which it reads none.
    let request = b"GET big\r\n".repeat(100);
    let mut sent = 0;
    while sent < 400 {
        match greedy.0.write(&request) {
            Ok(_) => sent += 1,
            Err(_) => break,
        }
        other.ask("PING", "+PONG\r\n");
    }
    for _ in 0..1000 {
        other.ask("PING", "+PONG\r\n");
    }
    assert!(resident_mib() < 400, "{} MiB", resident_mib());
}

/// Memory of this process, in MiB.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
}

#[test]
fn a_lost_shared_connection_ends_only_those_who_wait_for_a_reply() {
    let Some(running) = Running::start(LONG, true) else { return };
    let (mut idle, mut waiting) = (running.connect(), running.connect());
    idle.ask("SET k v", "+OK\r\n");
    waiting.ask("PING", "+PONG\r\n");
    assert_eq!(running.server.admin("CLIENT PAUSE 20000 WRITE"), "+OK\r\n");
    waiting.send(b"SET k w\r\n");
    while !running.server.admin("INFO clients").contains("blocked_clients:1") {
        std::thread::yield_now();
    }
    running.server.admin(&format!("CLIENT KILL USER {}", oid(1)));
    assert!(waiting.ends());
    idle.ask("GET k", "$1\r\nv\r\n");
    let mut fresh = running.connect();
    fresh.ask("GET k", "$1\r\nv\r\n");
}

#[test]
fn a_large_request_does_not_share() {
    let Some(running) = Running::start(LONG, true) else { return };
    let mut client = running.connect();
    client.ask("PING", "+PONG\r\n");
    let value = "x".repeat(1 << 20);
    client.send(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{value}\r\nGET k\r\n", value.len()).as_bytes());
    client.expect(&format!("+OK\r\n${}\r\n{value}\r\n", value.len()));
    assert_eq!(connections(&running), 2);
}

#[test]
fn a_large_reply_streams_to_its_client_through_the_shared_connection() {
    let Some(running) = Running::start(LONG, true) else { return };
    let mut client = running.connect();
    client.ask("SETRANGE k 8388607 x", ":8388608\r\n");
    client.send(b"GET k\r\nPING\r\n");
    client.expect(&format!("$8388608\r\n{}x\r\n+PONG\r\n", "\0".repeat(8_388_607)));
    assert_eq!(connections(&running), 1);
}

#[test]
fn without_redis_every_client_is_told_so_and_is_served_once_it_is_back() {
    let Some(server) = Redis::start() else { return };
    let port = server.port;
    let upstream = Upstream::parse(&format!("127.0.0.1:{port}"), None).unwrap();
    let config = SidecarConfig { sharing: true, ..SidecarConfig::new(upstream) };
    let mut running = Running::start_with(server, LONG, config, "127.0.0.1:0");
    running.server.kill();
    for _ in 0..3 {
        let mut client = running.connect();
        client.send(b"GET k\r\n");
        let reply = client.line();
        assert!(reply.starts_with("-ERR entrant: redis_connect: "), "{reply}");
        assert!(client.ends());
    }
    let Some(server) = Redis::start_at(port) else { return };
    server.admin(&format!("ACL SETUSER {} on nopass ~* &* +@all", oid(1)));
    let mut client = running.connect();
    client.ask("GET k", "$-1\r\n");
}
