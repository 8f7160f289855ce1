//! The gate's promises, through TLS, with the embedded store and with a real redis-server behind it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may stop at a broken promise, and starts the real redis-cli"
)]

mod support;

use std::time::Duration;

use entrant_relay::gate::{GateConfig, GateFaults};
use entrant_testkit::Logs;
use serde_json::json;
use support::gate::{Behind, CLIENT, CUSTOM, OWNER, READER, STRANGER, TestGate, assignment, id};
use support::{RedisServer, SOON, Wire, show, text};

const WRONGPASS: &str = "-WRONGPASS invalid username-password pair";
const NOAUTH: &str = "-NOAUTH Authentication required.";

/// A gate before each backend there is; the server lives as long as the pair.
async fn gates() -> Vec<(TestGate, Option<RedisServer>)> {
    let mut gates = vec![(TestGate::start(Behind::Store).await, None)];
    for server in RedisServer::start_all().await {
        gates.push((TestGate::start(Behind::Socket(server.socket())).await, Some(server)));
    }
    gates
}

async fn auth(wire: &mut Wire, oid: &str, token: &entrant_types::Secret) -> String {
    text(&wire.call(&["AUTH", oid, token.expose()]).await)
}

#[tokio::test]
async fn case_12_server_a_good_token_lets_in_by_auth_and_by_hello() {
    for (gate, _server) in gates().await {
        for audience in entrant_relay::gate::REDIS_AUDIENCES {
            let mut wire = gate.connect().await;
            let token = gate.token_with(OWNER, json!({ "aud": audience }));
            assert_eq!(auth(&mut wire, OWNER, &token).await, "OK");
            assert_eq!(text(&wire.say("SET k v").await), "OK");
            assert_eq!(text(&wire.say("GET k").await), "v");
            assert_eq!(text(&wire.say("ACL WHOAMI").await), OWNER);
        }
        let mut wire = gate.connect().await;
        let token = gate.token(OWNER);
        let hello = wire.call(&["HELLO", "3", "AUTH", OWNER, token.expose(), "SETNAME", "me"]).await;
        assert!(show(&hello).starts_with('{') && show(&hello).contains("\"proto\": 3"), "{}", show(&hello));
        assert_eq!(text(&wire.say("CLIENT GETNAME").await), "me");
        assert_eq!(gate.handle.counts()[&("auth", "ok")], 4);
        assert_eq!(gate.handle.connections().last().unwrap().identity.unwrap().object_id, id(OWNER));
        gate.stop().await;
    }
}

#[tokio::test]
async fn every_refusal_reads_the_same_and_is_logged_by_its_true_reason() {
    let logs = Logs::capture();
    let gate = TestGate::start(Behind::Store).await;
    let mut secrets = Vec::new();
    for (user, changes, reason) in [
        (OWNER, json!({ "aud": "https://vault.azure.net" }), "audience"),
        (OWNER, json!({ "exp": 1_767_225_600 - 10 }), "expired"),
        (OWNER, json!({ "exp": 1_767_225_600 - 1000 }), "expired"),
        (OWNER, json!({ "oid": READER }), "object_id_mismatch"),
        (CLIENT, json!({}), "object_id_mismatch"),
        (STRANGER, json!({ "oid": STRANGER }), "missing_policy"),
        (OWNER, json!({ "oid": null }), "no_object_id"),
        (OWNER, json!({ "iss": "https://localhost:8443/other/" }), "issuer"),
        (OWNER, json!({ "xms_emulator": null }), "world"),
        ("default", json!({}), "user_name"),
        ("alice@contoso.example", json!({}), "user_name"),
    ] {
        let before = gate.handle.counts().get(&("auth", reason)).copied().unwrap_or(0);
        let token = gate.token_with(OWNER, changes);
        let mut wire = gate.connect().await;
        assert_eq!(auth(&mut wire, user, &token).await, WRONGPASS, "{reason}");
        let hello = wire.call(&["HELLO", "3", "AUTH", user, token.expose()]).await;
        assert_eq!(text(&hello), WRONGPASS, "{reason}");
        assert_eq!(text(&wire.say("PING").await), NOAUTH);
        assert_eq!(gate.handle.counts()[&("auth", reason)], before + 2, "{reason}");
        assert!(logs.text().contains(&format!("reason=\"{reason}\"")), "{reason}: {}", logs.text());
        secrets.push(token);
    }
    let mut wire = gate.connect().await;
    assert_eq!(text(&wire.say("AUTH an-access-key-in-the-old-way").await), WRONGPASS);
    assert_eq!(text(&wire.say("AUTH").await), "-ERR wrong number of arguments for 'auth' command");
    assert_eq!(text(&wire.say("AUTH a b c").await), "-ERR syntax error");
    let logged = logs.text();
    assert!(logged.contains(&format!("use the object (principal) id {OWNER}")), "the client id is recognised");
    assert!(logged.contains(&format!("Assign an access policy to {STRANGER}")), "{logged}");
    logs.assert_no_secret(&secrets.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn the_err_prefix_is_an_option() {
    let config = GateConfig { err_prefix: true, ..GateConfig::default() };
    let gate = TestGate::start_with(Behind::Store, config).await;
    let mut wire = gate.connect().await;
    assert_eq!(text(&wire.say("AUTH a b").await), "-ERR WRONGPASS invalid username-password pair");
    let mut wire = gate.enter(OWNER).await;
    assert_eq!(text(&wire.say("AUTH a b").await), "-ERR WRONGPASS invalid username-password pair");
}

#[tokio::test]
async fn before_auth_nothing_but_auth_is_done_and_little_is_read() {
    let gate = TestGate::start(Behind::Store).await;
    let mut wire = gate.connect().await;
    for line in ["PING", "GET k", "MULTI", "CLIENT SETNAME x", "SUBSCRIBE x"] {
        assert_eq!(text(&wire.say(line).await), NOAUTH, "{line}");
    }
    assert!(text(&wire.say("HELLO 3").await).starts_with("-NOAUTH HELLO must be called"));
    assert_eq!(text(&wire.say("HELLO 4").await), "-NOPROTO unsupported protocol version");
    assert_eq!(text(&wire.say("RESET").await), "RESET");
    assert_eq!(text(&wire.say("QUIT").await), "OK");
    wire.closed().await;
    for (bytes, reply) in [
        (&b"*11\r\n"[..], "-ERR Protocol error: unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length"),
        (b"*1\r\n:1\r\n", "-ERR Protocol error: expected '$', got ':'"),
    ] {
        let mut wire = gate.connect().await;
        wire.send_raw(bytes).await;
        assert_eq!(text(&wire.read().await), reply);
        wire.closed().await;
    }
    gate.counted("closed", "protocol", 3).await;
}

#[tokio::test]
async fn case_20_server_expiry_closes_idle_subscribed_and_blocked_connections() {
    for (gate, _server) in gates().await {
        let mut idle = gate.enter(OWNER).await;
        let (mut resp2, mut resp3, mut blocked, mut open) =
            (gate.enter(OWNER).await, gate.enter(OWNER).await, gate.enter(OWNER).await, gate.enter(OWNER).await);
        resp2.say("SUBSCRIBE c").await;
        resp3.say("HELLO 3").await;
        resp3.say("SUBSCRIBE c").await;
        blocked.send(&["BLPOP", "nothing", "0"]).await;
        open.say("MULTI").await;
        // Ten quiet minutes would close them before: something is sent on each of them meanwhile.
        for _ in 0..7 {
            gate.pass(500).await;
            for wire in [&mut idle, &mut resp2, &mut resp3, &mut open] {
                wire.say("PING").await;
            }
            blocked.send(&["PING"]).await;
            idle.say("PING").await;
        }
        assert_eq!(gate.handle.connections().len(), 5);
        gate.pass(100).await;
        for wire in [&mut idle, &mut resp2, &mut resp3, &mut blocked, &mut open] {
            wire.closed().await;
        }
        gate.counted("closed", "expired", 5).await;
        gate.stop().await;
    }
}

#[tokio::test]
async fn a_new_auth_prolongs_and_a_refused_one_changes_nothing() {
    for (gate, _server) in gates().await {
        let mut wire = gate.connect().await;
        let first = gate.token_with(OWNER, json!({ "exp": 1_767_225_600 + 300 }));
        assert_eq!(auth(&mut wire, OWNER, &first).await, "OK");
        gate.pass(200).await;
        assert_eq!(auth(&mut wire, OWNER, &gate.token(READER)).await, WRONGPASS);
        assert_eq!(text(&wire.say("ACL WHOAMI").await), OWNER, "a refused AUTH keeps the identity");
        let second = gate.token_with(OWNER, json!({ "exp": 1_767_225_600 + 600 }));
        assert_eq!(auth(&mut wire, OWNER, &second).await, "OK");
        gate.pass(200).await;
        assert_eq!(text(&wire.say("PING").await), "PONG");
        let third = gate.token_with(OWNER, json!({ "exp": 1_767_225_600 + 900 }));
        let hello = wire.call(&["HELLO", "3", "AUTH", OWNER, third.expose()]).await;
        assert!(show(&hello).contains("\"proto\": 3"));
        gate.pass(400).await;
        assert_eq!(text(&wire.say("PING").await), "PONG");
        gate.pass(101).await;
        wire.closed().await;
        gate.stop().await;
    }
}

#[tokio::test]
async fn a_shorter_token_shortens_the_connection() {
    let gate = TestGate::start(Behind::Store).await;
    let mut wire = gate.enter(OWNER).await;
    let short = gate.token_with(OWNER, json!({ "exp": 1_767_225_600 + 60 }));
    assert_eq!(auth(&mut wire, OWNER, &short).await, "OK");
    gate.pass(60).await;
    wire.closed().await;
}

#[tokio::test]
async fn case_23_server_access_strings_are_enforced_and_changed_in_place() {
    for (gate, _server) in gates().await {
        let mut owner = gate.enter(OWNER).await;
        let mut reader = gate.enter(READER).await;
        let mut custom = gate.enter(CUSTOM).await;
        assert_eq!(text(&owner.say("SET cache:1 v").await), "OK");
        assert_eq!(text(&reader.say("GET cache:1").await), "v");
        assert_eq!(text(&reader.say("PING").await), "PONG");
        assert!(text(&reader.say("SET cache:1 w").await).starts_with("-NOPERM"));
        assert_eq!(text(&custom.say("GET cache:1").await), "v");
        assert!(text(&custom.say("GET other").await).starts_with("-NOPERM"));
        assert!(text(&custom.say("PING").await).starts_with("-NOPERM"), "as Azure's own example has it");
        for line in ["ACL SETUSER x on nopass", "CONFIG GET requirepass", "SHUTDOWN", "ACL LIST"] {
            let reply = text(&owner.say(line).await);
            assert!(reply.starts_with("-NOPERM") || reply.starts_with("-ERR unknown"), "{line}: {reply}");
        }
        gate.handle.assignments().assign(id(READER), assignment("+@all ~* &*"));
        let waiting = async {
            while text(&reader.say("SET cache:1 w").await) != "OK" {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, waiting).await.expect("the change in force");
        assert_eq!(gate.handle.connections().len(), 3, "nobody was disconnected");
        gate.handle.assignments().remove(id(READER));
        reader.closed().await;
        let mut wire = gate.connect().await;
        assert_eq!(auth(&mut wire, READER, &gate.token(READER)).await, WRONGPASS);
        gate.counted("closed", "revoked", 1).await;
        gate.stop().await;
    }
}

#[tokio::test]
async fn a_re_auth_keeps_its_place_among_replies_and_follows_redis_s_own_rules() {
    for (gate, _server) in gates().await {
        let mut wire = gate.enter(OWNER).await;
        let token = gate.token(OWNER);
        let mut batch = bytes::BytesMut::new();
        for args in [
            vec!["SET", "k", "1"],
            vec!["AUTH", OWNER, "bad"],
            vec!["INCR", "k"],
            vec!["AUTH", OWNER, token.expose()],
            vec!["AUTH"],
            vec!["GET", "k"],
            vec!["MULTI"],
            vec!["INCR", "k"],
            vec!["AUTH", OWNER, token.expose()],
            vec!["AUTH", OWNER, "bad"],
            vec!["EXEC"],
            vec!["AUTH", "only-a-password"],
            vec!["HELLO", "3", "AUTH", OWNER, "bad"],
            vec!["HELLO", "2", "unknown-option", "AUTH", "default", "x"],
        ] {
            entrant_proto::resp::encode_command(&mut batch, &args);
        }
        wire.send_raw(&batch).await;
        let mut replies = Vec::new();
        for _ in 0..14 {
            replies.push(show(&wire.read().await));
        }
        assert_eq!(
            replies,
            [
                "+OK",
                WRONGPASS,
                "2",
                "+OK",
                "-ERR wrong number of arguments for 'auth' command",
                "\"2\"",
                "+OK",
                "+QUEUED",
                "+QUEUED",
                "+QUEUED",
                "[3, +OK, -WRONGPASS invalid username-password pair]",
                WRONGPASS,
                WRONGPASS,
                "-ERR Syntax error in HELLO option 'unknown-option'"
            ]
        );
        wire.say("SUBSCRIBE c").await;
        for token in [token.expose(), "bad"] {
            let refused = text(&wire.call(&["AUTH", OWNER, token]).await);
            assert!(refused.starts_with("-ERR Can't execute 'auth'"), "{refused}");
        }
        gate.stop().await;
    }
}

#[tokio::test]
async fn case_14_server_after_reset_a_client_is_nobody_until_it_authenticates_again() {
    for (gate, _server) in gates().await {
        let mut wire = gate.enter(OWNER).await;
        wire.say("HELLO 3").await;
        wire.say("SELECT 3").await;
        wire.send_raw(b"SET k v\r\nRESET\r\nGET k\r\nPING\r\n").await;
        let replies = [wire.read().await, wire.read().await, wire.read().await, wire.read().await];
        assert_eq!(replies.each_ref().map(text), ["OK", "RESET", NOAUTH, NOAUTH]);
        assert_eq!(gate.handle.connections()[0].identity, None);
        assert_eq!(auth(&mut wire, READER, &gate.token(READER)).await, "OK");
        let refused = text(&wire.say("ACL WHOAMI").await);
        assert!(refused.starts_with("-NOPERM") && refused.ends_with("run the 'acl|whoami' command"), "{refused}");
        assert_eq!(text(&wire.say("GET k").await), "(nil)", "RESET went back to database 0");
        gate.stop().await;
    }
}

#[tokio::test]
async fn case_34_server_ten_quiet_minutes_close_a_connection() {
    let gate = TestGate::start(Behind::Store).await;
    let (mut quiet, mut busy) = (gate.enter(OWNER).await, gate.enter(OWNER).await);
    gate.pass(599).await;
    assert_eq!(text(&busy.say("PING").await), "PONG");
    gate.pass(2).await;
    quiet.closed().await;
    assert_eq!(text(&busy.say("PING").await), "PONG");
    gate.counted("closed", "idle", 1).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_room_is_made_again() {
    let config = GateConfig { max_connections: 2, ..GateConfig::default() };
    let gate = TestGate::start_with(Behind::Store, config).await;
    let (one, mut two) = (gate.enter(OWNER).await, gate.enter(OWNER).await);
    let mut refused = tokio::net::TcpStream::connect(gate.address).await.unwrap();
    let mut byte = [0_u8; 1];
    assert_eq!(tokio::io::AsyncReadExt::read(&mut refused, &mut byte).await.unwrap_or(0), 0);
    assert_eq!(text(&two.say("PING").await), "PONG");
    drop(one);
    gate.counted("closed", "client", 1).await;
    gate.enter(OWNER).await;
    gate.counted("closed", "too_many", 1).await;
}

#[tokio::test]
async fn who_does_not_authenticate_in_time_is_closed() {
    let config = GateConfig { auth_limit: Duration::from_millis(200), ..GateConfig::default() };
    let gate = TestGate::start_with(Behind::Store, config).await;
    let _silent = tokio::net::TcpStream::connect(gate.address).await.unwrap();
    let mut talks = gate.connect().await;
    talks.closed().await;
    gate.counted("closed", "auth_timeout", 2).await;
}

#[tokio::test]
async fn fault_switches_do_what_they_say() {
    let gate = TestGate::start(Behind::Store).await;
    let switches = gate.handle.faults().clone();
    let mut wire = gate.enter(OWNER).await;
    let token = gate.token(OWNER);

    switches.set(GateFaults { refuse_next_auths: 1, ..GateFaults::default() });
    assert_eq!(auth(&mut wire, OWNER, &token).await, WRONGPASS);
    assert_eq!(auth(&mut wire, OWNER, &token).await, "OK");

    switches.set(GateFaults { silent_refusal: true, ..GateFaults::default() });
    wire.send(&["AUTH", OWNER, "bad"]).await;
    assert_eq!(text(&wire.say("ECHO next").await), "next", "the refusal has no reply");

    switches.set(GateFaults { slow_auth: Some(Duration::from_secs(30)), ..GateFaults::default() });
    wire.send(&["AUTH", OWNER, token.expose()]).await;
    let moment = entrant_types::Clock::now(&*gate.stage.clock) + Duration::from_secs(30);
    gate.stage.clock.sleeper_until(moment).await;
    gate.stage.clock.set(moment);
    assert_eq!(text(&wire.read().await), "OK");

    switches.set(GateFaults { drop_at_auth: true, ..GateFaults::default() });
    wire.send(&["AUTH", OWNER, token.expose()]).await;
    wire.closed().await;
    let mut fresh = gate.connect().await;
    fresh.send(&["AUTH", OWNER, token.expose()]).await;
    fresh.closed().await;
    gate.counted("closed", "injected", 2).await;

    switches.set(GateFaults::default());
    let mut wire = gate.enter(OWNER).await;
    assert_eq!(gate.handle.revoke(id(OWNER)), 1);
    wire.closed().await;
    gate.enter(OWNER).await;
}

#[tokio::test]
async fn large_values_and_deep_pipelines_pass() {
    for (gate, _server) in gates().await {
        let mut wire = gate.enter(OWNER).await;
        let value = "x".repeat(5 << 20);
        assert_eq!(text(&wire.call(&["SET", "large", &value]).await), "OK");
        assert_eq!(text(&wire.say("GET large").await).len(), value.len());
        let pipeline = b"INCR n\r\n".repeat(20_000);
        wire.send_raw(&pipeline).await;
        for expected in 1..=20_000 {
            assert_eq!(text(&wire.read().await), expected.to_string());
        }
        gate.stop().await;
    }
}

#[tokio::test]
async fn a_protocol_error_is_reported_behind_the_replies_and_ends_the_connection() {
    for (gate, _server) in gates().await {
        let mut wire = gate.enter(OWNER).await;
        wire.send_raw(b"PING\r\n*1\r\n:1\r\nPING\r\n").await;
        assert_eq!(text(&wire.read().await), "PONG");
        assert_eq!(text(&wire.read().await), "-ERR Protocol error: expected '$', got ':'");
        wire.closed().await;
        gate.counted("closed", "protocol", 1).await;
        gate.stop().await;
    }
}

#[tokio::test]
async fn a_backend_that_forgot_its_users_is_told_again() {
    let Some(server) = RedisServer::start().await else { return };
    let gate = TestGate::start(Behind::Socket(server.socket())).await;
    gate.enter(OWNER).await;
    assert_eq!(text(&server.wire().await.say(&format!("ACL DELUSER {OWNER} {READER}")).await), "2");
    let mut wire = gate.enter(OWNER).await;
    assert_eq!(text(&wire.say("PING").await), "PONG");
}

#[tokio::test]
async fn before_auth_the_gate_speaks_like_a_redis_that_wants_a_password() {
    let Some(server) = RedisServer::start_program("redis-server", &["--requirepass", "x"]).await else { return };
    let gate = TestGate::start(Behind::Store).await;
    for bytes in [
        &b"PING\r\n"[..],
        b"*0\r\n\r\nGET k\r\n",
        b"RESET\r\nQUIT\r\n",
        b"AUTH\r\n",
        b"AUTH a b c\r\n",
        b"HELLO\r\n",
        b"HELLO 3\r\n",
        b"HELLO 4\r\n",
        b"HELLO x\r\n",
        b"*11\r\n$4\r\nPING\r\n",
        b"*10\r\n$16385\r\n",
        b"*1\r\n$-1\r\n",
        b"*x\r\n",
        b"*1\r\nPING\r\n",
        b"GET \"k\r\n",
        b"*2\r\n$4\r\nECHO\r\n$536870913\r\n",
    ] {
        let (mut real, mut own) = (server.wire().await, gate.connect().await);
        let mut said = (Vec::new(), Vec::new());
        for (wire, said) in [(&mut real, &mut said.0), (&mut own, &mut said.1)] {
            wire.send_raw(bytes).await;
            // What ends the connection ends this one too; otherwise QUIT does.
            wire.send_raw_into_refusal(b"QUIT\r\n").await;
            while let Some(value) = wire.next().await {
                said.push(show(&value));
            }
        }
        assert_eq!(said.1, said.0, "{}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test]
async fn a_backend_that_dies_ends_its_clients_and_nothing_else() {
    let Some(server) = RedisServer::start().await else { return };
    let gate = TestGate::start(Behind::Socket(server.socket())).await;
    let mut wires = Vec::new();
    for _ in 0..20 {
        wires.push(gate.enter(OWNER).await);
    }
    for wire in &mut wires {
        wire.send(&["BLPOP", "nothing", "0"]).await;
    }
    drop(server);
    for wire in &mut wires {
        wire.closed().await;
    }
    gate.counted("closed", "upstream", 20).await;
    let mut wire = gate.connect().await;
    assert!(auth(&mut wire, OWNER, &gate.token(OWNER)).await.starts_with("-ERR the Redis behind the gate"));
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_the_gate_no_memory_and_others_nothing() {
    for (gate, _server) in gates().await {
        let mut slow = gate.enter(OWNER).await;
        let value = "x".repeat(1 << 20);
        assert_eq!(text(&slow.call(&["SET", "large", &value]).await), "OK");
        // 20 MiB of replies are asked for and not read.
        for _ in 0..20 {
            slow.send(&["GET", "large"]).await;
        }
        let mut other = gate.enter(OWNER).await;
        for _ in 0..50 {
            assert_eq!(text(&other.say("PING").await), "PONG");
        }
        for _ in 0..20 {
            assert_eq!(text(&slow.read().await).len(), value.len(), "nothing is lost when it reads after all");
        }
        gate.stop().await;
    }
}

#[tokio::test]
async fn an_unreachable_backend_is_said_to_be_unreachable() {
    let gate = TestGate::start(Behind::Socket("/nonexistent/socket".into())).await;
    let mut wire = gate.connect().await;
    let reply = auth(&mut wire, OWNER, &gate.token(OWNER)).await;
    assert!(reply.starts_with("-ERR the Redis behind the gate"), "{reply}");
    wire.closed().await;
    gate.counted("closed", "upstream", 1).await;
}

#[tokio::test]
async fn the_end_of_the_gate_closes_every_connection() {
    let gate = TestGate::start(Behind::Store).await;
    let (mut one, mut two) = (gate.enter(OWNER).await, gate.connect().await);
    gate.stop().await;
    one.closed().await;
    two.closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_31_server_a_thousand_connections_come_talk_prolong_and_expire_together() {
    let gate = TestGate::start(Behind::Store).await;
    let token = gate.token_with(OWNER, json!({ "exp": 1_767_225_600 + 300 }));
    let mut wires = Vec::new();
    for _ in 0..1000 {
        let mut wire = gate.connect().await;
        wire.send(&["AUTH", OWNER, token.expose()]).await;
        wires.push(wire);
    }
    for wire in &mut wires {
        assert_eq!(text(&wire.read().await), "OK");
    }
    gate.stage.clock.advance(Duration::from_secs(200));
    let prolonged = gate.token_with(OWNER, json!({ "exp": 1_767_225_600 + 500 }));
    for wire in wires.iter_mut().take(500) {
        wire.send(&["AUTH", OWNER, prolonged.expose()]).await;
        wire.send(&["INCR", "n"]).await;
    }
    for wire in wires.iter_mut().take(500) {
        assert_eq!(text(&wire.read().await), "OK");
        wire.read().await;
    }
    gate.stage.clock.advance(Duration::from_secs(100));
    for wire in wires.iter_mut().skip(500) {
        wire.closed().await;
    }
    gate.counted("closed", "expired", 500).await;
    assert_eq!(text(&wires[0].say("GET n").await), "500");
    assert_eq!(gate.handle.connections().len(), 500);
    assert_eq!(gate.handle.counts()[&("auth", "ok")], 1500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_redis_crate_and_redis_cli_get_in() {
    for (gate, _server) in gates().await {
        let token = gate.token(OWNER);
        let url = format!("rediss://{OWNER}:{}@localhost:{}/?protocol=resp3", token.expose(), gate.address.port());
        let certificates =
            redis::TlsCertificates { client_tls: None, root_cert: Some(gate.ca_pem.clone().into_bytes()) };
        // Another part of the process may have chosen the provider already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = redis::Client::build_with_tls(url, certificates).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let _: () = redis::cmd("SET").arg("crate").arg(42).query_async(&mut connection).await.unwrap();
        let value: i64 = redis::cmd("GET").arg("crate").query_async(&mut connection).await.unwrap();
        assert_eq!(value, 42);

        let directory = tempfile_dir();
        let ca = directory.join("ca.pem");
        std::fs::write(&ca, &gate.ca_pem).unwrap();
        let command = tokio::process::Command::new("redis-cli")
            .args(["--tls", "--no-auth-warning", "-h", "localhost", "-p", &gate.address.port().to_string()])
            .args(["--user", OWNER, "--pass", token.expose(), "--cacert"])
            .arg(&ca)
            .args(["-3", "GET", "crate"])
            .output();
        match tokio::time::timeout(SOON, command).await.expect("redis-cli ends") {
            Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "42", "{output:?}"),
            Err(error) => {
                assert!(std::env::var("CI").is_err(), "redis-cli cannot be started: {error}");
                eprintln!("skipped: redis-cli is not installed");
            }
        }
        std::fs::remove_dir_all(directory).unwrap();
        gate.stop().await;
    }
}

fn tempfile_dir() -> std::path::PathBuf {
    use std::os::unix::fs::DirBuilderExt as _;
    let stamp = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let directory = std::env::temp_dir().join(format!("entrant-gate-{}-{stamp}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&directory).unwrap();
    directory
}

#[tokio::test]
async fn assignments_are_read_again_from_their_file() {
    let gate = TestGate::start(Behind::Store).await;
    let outside = gate.stage.outside();
    let path = std::path::Path::new("/etc/assignments.toml");
    let list = |policy: &str| format!("[[assignment]]\nobject_id = \"{STRANGER}\"\npolicy = \"{policy}\"\n");
    gate.stage.files.set(path, list("data-owner"));
    gate.handle.assignments().load(path, &outside).await.unwrap();
    let (follower, clock_outside) = (gate.handle.assignments().clone(), outside.clone());
    let following =
        tokio::spawn(
            async move { follower.follow(std::path::Path::new("/etc/assignments.toml"), &clock_outside).await },
        );
    let mut wire = gate.enter(STRANGER).await;
    assert_eq!(text(&wire.say("SET k v").await), "OK");
    gate.stage.files.set(path, "nonsense");
    gate.pass(6).await;
    assert_eq!(text(&wire.say("SET k v").await), "OK", "what cannot be used changes nothing");
    gate.stage.files.set(path, list("data-reader"));
    gate.pass(6).await;
    assert!(text(&wire.say("SET k v").await).starts_with("-NOPERM"));
    gate.stage.files.set(path, "");
    gate.pass(6).await;
    wire.closed().await;
    following.abort();
}
