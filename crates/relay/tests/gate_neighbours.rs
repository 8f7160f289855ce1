//! Who stands beside and behind a gate: other gates before the same Redis, Redis by TLS, and clients that only guess.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may stop at a broken promise, and says what it skips"
)]

mod support;

use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::time::Duration;

use entrant_relay::gate::Backend;
use entrant_types::Clock as _;
use rustls::pki_types::CertificateDer;
use support::gate::{Behind, OWNER, READER, STRANGER, TestGate, assignment, id};
use support::{RedisServer, text};

#[tokio::test]
async fn two_gates_before_one_redis_leave_each_other_s_clients_alone() {
    for server in [RedisServer::start().await, RedisServer::start_server(entrant_testkit::Server::Redis8).await]
        .into_iter()
        .flatten()
    {
        let first = TestGate::start(Behind::Socket(server.socket())).await;
        let mut early = first.enter(OWNER).await;
        let second = TestGate::start(Behind::Socket(server.socket())).await;
        let mut late = second.enter(OWNER).await;
        // The first puts its password back when it is needed, and from then on neither takes the other's away.
        for round in 0..10 {
            for gate in [&first, &second] {
                let mut wire = gate.enter(OWNER).await;
                assert_eq!(text(&wire.call(&["SET", "round", &round.to_string()]).await), "OK");
                // As a re-AUTH on the backend's live connection too.
                assert_eq!(text(&wire.call(&["AUTH", OWNER, gate.token(OWNER).expose()]).await), "OK");
                assert_eq!(text(&wire.say("GET round").await), round.to_string());
            }
        }
        for wire in [&mut early, &mut late] {
            assert_eq!(text(&wire.say("GET round").await), "9");
        }
        let mut admin = server.wire().await;
        let user = admin.say(&format!("ACL GETUSER {OWNER}")).await;
        let passwords = user.elements().unwrap()[3].elements().unwrap().len();
        assert_eq!(passwords, 2, "one for each gate, however often they log in");
        // Both read the same file, one a little later: access changes in place, and nobody is closed.
        for gate in [&first, &second] {
            gate.handle.assignments().assign(id(OWNER), assignment("+@read +@connection ~*"));
        }
        for wire in [&mut early, &mut late] {
            let refused = async {
                while !text(&wire.say("SET k v").await).starts_with("-NOPERM") {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(support::SOON, refused).await.unwrap();
            assert_eq!(text(&wire.say("GET round").await), "9");
        }
        let mut again = first.enter(OWNER).await;
        assert!(text(&again.say("SET k v").await).starts_with("-NOPERM"));
        // What the second still allows, the first has deleted: its own clients go, and the second's come back.
        first.handle.assignments().remove(id(READER));
        let mut reader = second.enter(READER).await;
        assert_eq!(text(&reader.say("GET round").await), "9");
        first.stop().await;
        second.stop().await;
    }
}

struct Tls {
    folder: std::path::PathBuf,
    server: RedisServer,
    port: u16,
    certificate: CertificateDer<'static>,
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A redis-server with a TLS port. `None` where it is not installed.
async fn redis_by_tls() -> Option<Tls> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = std::env::temp_dir().join(format!("entrant-relay-tls-{}-{port}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (cert, key, port_text) = (cert.to_str()?, key.to_str()?, port.to_string());
    let words = ["--tls-port", &port_text, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert];
    let words = [&words[..], &["--tls-auth-clients", "no", "--bind", "127.0.0.1"]].concat();
    let server = RedisServer::start_program("redis-server", &words).await?;
    Some(Tls { folder, server, port, certificate: CertificateDer::from(made.cert.der().to_vec()) })
}

fn trusting(roots: &[&CertificateDer<'static>]) -> Arc<rustls::ClientConfig> {
    let mut store = rustls::RootCertStore::empty();
    roots.iter().for_each(|root| store.add((*root).clone()).unwrap());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(store).with_no_client_auth())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_behind_the_gate_is_reached_by_tls_when_its_certificate_is_trusted() {
    let Some(redis) = redis_by_tls().await else { return };
    assert_eq!(text(&redis.server.wire().await.say("ACL SETUSER keeper on >secret ~* &* +@all").await), "OK");
    let (port, name) = (redis.port, "localhost");
    let backend = |roots: &[&CertificateDer<'static>], name: &str| Backend::Tcp {
        host: "127.0.0.1".to_owned(),
        port,
        admin: Some(("keeper".to_owned(), "secret".into())),
        tls: Some((trusting(roots), name.to_owned())),
    };
    let gate = TestGate::start(Behind::Other(backend(&[&redis.certificate], name))).await;
    let mut wire = gate.enter(OWNER).await;
    let value = "x".repeat(3 << 20);
    assert_eq!(text(&wire.call(&["SET", "large", &value]).await), "OK");
    assert_eq!(text(&wire.say("GET large").await).len(), value.len());
    wire.send_raw(&b"INCR n\r\n".repeat(2000)).await;
    for number in 1..=2000 {
        assert_eq!(text(&wire.read().await), number.to_string());
    }
    gate.stop().await;
    for (roots, name) in [(&[][..], name), (&[&redis.certificate][..], "other.example")] {
        let gate = TestGate::start(Behind::Other(backend(roots, name))).await;
        let mut wire = gate.connect().await;
        let answer = text(&wire.call(&["AUTH", OWNER, gate.token(OWNER).expose()]).await);
        assert!(answer.starts_with("-ERR the Redis behind the gate"), "{answer}");
        gate.stop().await;
    }
}

#[tokio::test]
async fn an_address_that_only_guesses_is_answered_late_and_holds_up_no_good_token() {
    let gate = TestGate::start(Behind::Store).await;
    let mut guessing = gate.connect().await;
    // A burst is answered at once: a pool of connections whose policy is missing.
    for _ in 0..=100 {
        assert!(text(&guessing.say("AUTH wrong wrong").await).starts_with("-WRONGPASS"));
    }
    assert_eq!(gate.handle.counts().get(&("held_back", "")), None);
    guessing.send(&["AUTH", STRANGER, "wrong"]).await;
    gate.counted("held_back", "", 1).await;
    let mut good = gate.enter(OWNER).await;
    // Who is in is not held back, whatever it offers.
    assert!(text(&good.say("AUTH wrong wrong").await).starts_with("-WRONGPASS"));
    assert_eq!(text(&good.say("PING").await), "PONG");
    let before = gate.stage.clock.now();
    while gate.stage.clock.now() < before + Duration::from_millis(100) {
        gate.stage.clock.advance(Duration::from_millis(10));
    }
    assert!(text(&guessing.read().await).starts_with("-WRONGPASS"));
    gate.stop().await;
}
