//! The sidecar between unmodified clients and a real redis-server, while tokens are renewed all the time.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]
#![expect(clippy::disallowed_methods, reason = "a test runs other programs")]

mod sidecar_support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use entrant_relay::sidecar::{SidecarConfig, Upstream};
use sidecar_support::server::{Redis, oid};
use sidecar_support::{Client, LONG, Running, SHORT, in_both_modes};

#[test]
fn a_client_without_any_credentials_is_served_as_the_sidecar_s_identity() {
    in_both_modes(LONG, |running| {
        let mut client = running.connect();
        client.ask("ACL WHOAMI", &format!("$36\r\n{}\r\n", oid(1)));
        client.ask("SET k v", "+OK\r\n");
        client.ask("GET k", "$1\r\nv\r\n");
        client.ask("NOSUCHCOMMAND", "-ERR unknown command 'NOSUCHCOMMAND', with args beginning with: \r\n");
        assert_eq!(running.sidecar.connections(), 1);
        assert!(running.sidecar.health().readiness());
        running.runtime.block_on(running.sidecar.check()).unwrap();
    });
}

#[test]
fn a_client_s_own_credentials_are_answered_and_never_forwarded() {
    in_both_modes(LONG, |running| {
        let mut client = running.connect();
        client.send(b"PING\r\nAUTH someone secret\r\nPING\r\nAUTH onlypassword\r\nECHO x\r\n");
        client.expect("+PONG\r\n+OK\r\n+PONG\r\n+OK\r\n$1\r\nx\r\n");
        client.ask("ACL WHOAMI", &format!("$36\r\n{}\r\n", oid(1)));
        client.hello("HELLO 3 AUTH someone secret SETNAME me");
        client.ask("CLIENT GETNAME", "$2\r\nme\r\n");
        client.ask("ACL WHOAMI", &format!("$36\r\n{}\r\n", oid(1)));
        assert!(running.sharing || running.auths() == 1, "only the sidecar's own");
    });
}

#[test]
fn transactions_blocking_scripts_and_inline_commands_pass_while_tokens_are_renewed() {
    in_both_modes(SHORT, |running| {
        let mut client = running.connect();
        let mut pusher = running.connect();
        for round in 0..60 {
            client.send(b"MULTI\r\nINCR n\r\n");
            client.expect("+OK\r\n+QUEUED\r\n");
            std::thread::sleep(Duration::from_millis(15));
            client.ask("EXEC", &format!("*1\r\n:{}\r\n", round + 1));
            client.send(b"BLPOP q 5\r\n");
            // Pushed before the client waits, the element would not wake it.
            while !running
                .server
                .admin("CLIENT LIST")
                .lines()
                .any(|line| line.contains("flags=b") && line.contains("cmd=blpop"))
            {
                std::thread::yield_now();
            }
            pusher.ask("RPUSH q x", ":1\r\n");
            client.expect("*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
            client.ask("EVAL \"return ARGV[1]\" 0 hi", "$2\r\nhi\r\n");
            client.ask("RESET", "+RESET\r\n");
            client.ask("ACL WHOAMI", &format!("$36\r\n{}\r\n", oid(1)));
        }
        assert!(running.auths() > 70, "re-authenticated only {} times", running.auths());
    });
}

#[test]
fn case_05_sidecar_a_resp3_subscriber_loses_no_message_over_many_re_authentications() {
    in_both_modes(SHORT, |running| {
        let mut subscriber = running.connect();
        subscriber.hello("HELLO 3");
        subscriber.ask("SUBSCRIBE c", ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
        publish_numbered(&running, |number| {
            let text = format!("{number:05}");
            subscriber.expect(&format!(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\n{text}\r\n"));
        });
        assert!(running.auths() > 5, "re-authenticated only {} times", running.auths());
    });
}

#[test]
fn case_04_sidecar_a_resp2_subscriber_moves_to_new_connections_and_loses_no_message() {
    in_both_modes(SHORT, |running| {
        let mut subscriber = running.connect();
        subscriber.ask("SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
        let (mut last, mut repeated) = (-1, 0);
        publish_numbered(&running, |number| {
            // A number may come twice while the subscriber moves; it may not be missing.
            while last < number {
                for part in ["*3", "$7", "message", "$1", "c", "$5"] {
                    assert_eq!(subscriber.line(), format!("{part}\r\n"));
                }
                let got: i64 = subscriber.line().trim().parse().unwrap();
                assert!(got <= last + 1, "{got} after {last}: a message is missing");
                repeated += i64::from(got <= last);
                last = last.max(got);
            }
        });
        assert!(running.auths() > 5, "moved only {} times", running.auths());
        assert!(repeated < 2000, "{repeated} messages came twice");
    });
}

/// Publishes 4,000 numbered messages directly while `receive` takes each.
fn publish_numbered(running: &Running, mut receive: impl FnMut(i64)) {
    let port = running.server.port;
    let publisher = std::thread::spawn(move || {
        let mut publisher = Client::to(([127, 0, 0, 1], port).into());
        for number in 0..4000 {
            publisher.ask(&format!("PUBLISH c {number:05}"), if number < 0 { "" } else { ":" });
            publisher.line();
            if number % 4 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    (0..4000).for_each(&mut receive);
    publisher.join().unwrap();
}

#[test]
fn case_08_sidecar_after_client_reply_off_everything_still_passes() {
    in_both_modes(LONG, |running| {
        let mut client = running.connect();
        client.send(b"CLIENT REPLY OFF\r\nSET k off\r\nAUTH a b\r\nCLIENT REPLY ON\r\n");
        client.expect("+OK\r\n");
        client.ask("GET k", "$3\r\noff\r\n");
        client.ask("AUTH a b", "+OK\r\n");
        client.ask("ACL WHOAMI", &format!("$36\r\n{}\r\n", oid(1)));
    });
}

#[test]
fn a_large_value_streams_through_in_both_directions() {
    in_both_modes(LONG, |running| {
        let mut client = running.connect();
        let value = "x".repeat(40 << 20);
        client.send(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", value.len()).as_bytes());
        client.send(value.as_bytes());
        client.send(b"\r\nPING\r\n");
        client.expect("+OK\r\n+PONG\r\n");
        client.send(b"GET k\r\nPING\r\n");
        client.expect(&format!("${}\r\n{value}\r\n+PONG\r\n", value.len()));
    });
}

#[test]
fn bytes_that_are_not_resp_get_redis_s_own_error_after_all_replies() {
    in_both_modes(LONG, |running| {
        let mut client = running.connect();
        client.send(b"PING\r\nPING\r\n*1\r\n+x\r\n");
        client.expect("+PONG\r\n+PONG\r\n-ERR Protocol error: expected '$', got '+'\r\n");
        assert!(client.ends());
    });
}

#[test]
fn a_client_that_is_gone_leaves_nothing_behind() {
    in_both_modes(LONG, |running| {
        let mut client = running.connect();
        client.ask("PING", "+PONG\r\n");
        client.send(b"BLPOP q 0\r\n");
        while !running.server.admin("INFO clients").contains("blocked_clients:1") {
            std::thread::yield_now();
        }
        drop(client);
        while !running.server.admin("INFO clients").contains("blocked_clients:0") || running.sidecar.connections() > 0 {
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_client_is_told_why_it_cannot_be_served() {
    in_both_modes(LONG, |mut running| {
        running.server.admin(&format!("ACL SETUSER {} off", oid(1)));
        let mut client = running.connect();
        client.send(b"PING\r\n");
        let reply = client.line();
        assert!(reply.starts_with("-ERR entrant: WRONGPASS: "), "{reply}");
        assert!(reply.contains("access policy") && reply.contains(&oid(1).to_string()), "{reply}");
        assert!(client.ends());
        running.server.kill();
        let mut client = running.connect();
        client.send(b"PING\r\n");
        let reply = client.line();
        assert!(reply.contains("redis_connect: ") && reply.contains("Fix: "), "{reply}");
    });
}

#[test]
fn draining_lets_a_client_finish_and_closes_it_then() {
    in_both_modes(LONG, |running| {
        let (mut idle, mut busy) = (running.connect(), running.connect());
        idle.ask("PING", "+PONG\r\n");
        busy.send(b"BLPOP q 0\r\n");
        while !running.server.admin("INFO clients").contains("blocked_clients:1") {
            std::thread::yield_now();
        }
        running.shutdown.cancel();
        assert!(idle.ends());
        assert!(!running.sidecar.health().readiness());
        running.server.admin("RPUSH q x");
        busy.expect("*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
        assert!(busy.ends());
    });
}

#[test]
fn redis_cli_and_redis_benchmark_pass_through() {
    in_both_modes(SHORT, |running| {
        let port = running.address.port().to_string();
        let cli = |args: &[&str]| {
            let out = std::process::Command::new("redis-cli").args(["-p", &port]).args(args).output().unwrap();
            assert!(out.status.success(), "{out:?}");
            String::from_utf8(out.stdout).unwrap()
        };
        assert_eq!(cli(&["-3", "-a", "ignored", "--no-auth-warning", "SET", "k", "v"]), "OK\n");
        assert_eq!(cli(&["GET", "k"]), "v\n");
        assert_eq!(cli(&["--user", "u", "--pass", "p", "ACL", "WHOAMI"]), format!("{}\n", oid(1)));
        for pipeline in ["1", "16"] {
            let out = std::process::Command::new("redis-benchmark")
                .args([
                    "-p",
                    &port,
                    "-n",
                    "5000",
                    "-c",
                    "50",
                    "-P",
                    pipeline,
                    "-q",
                    "-t",
                    "set,get,lpush,mset",
                    "-r",
                    "1000",
                ])
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
            assert!(out.status.success() && text.contains("GET: ") && !text.contains("rror"), "{text}");
        }
        assert!(running.source.given.load(Ordering::Relaxed) > 3);
    });
}

#[test]
fn a_unix_socket_serves_as_well_and_is_removed_at_the_end() {
    let Some(server) = Redis::start() else { return };
    let path = std::env::temp_dir().join(format!("entrant-sidecar-{}.sock", server.port));
    let upstream = Upstream::parse(&format!("127.0.0.1:{}", server.port), None).unwrap();
    let listen = format!("unix:{}", path.display());
    let running = Running::start_with(server, LONG, SidecarConfig::new(upstream), &listen);
    let out = std::process::Command::new("redis-cli").arg("-s").arg(&path).args(["ACL", "WHOAMI"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stdout), format!("{}\n", oid(1)));
    running.shutdown.cancel();
    while path.exists() {
        std::thread::yield_now();
    }
}

#[test]
fn one_client_too_many_is_told_so_and_readiness_fails() {
    let Some(server) = Redis::start() else { return };
    let upstream = Upstream::parse(&format!("127.0.0.1:{}", server.port), None).unwrap();
    let config = SidecarConfig { max_connections: 2, ..SidecarConfig::new(upstream) };
    let running = Running::start_with(server, LONG, config, "127.0.0.1:0");
    let (mut first, mut second) = (running.connect(), running.connect());
    first.ask("PING", "+PONG\r\n");
    second.ask("PING", "+PONG\r\n");
    assert!(running.sidecar.health().not_ready.unwrap().is("max_connections"));
    let mut third = running.connect();
    third.expect("-ERR max number of clients reached\r\n");
    assert!(third.ends());
    drop(first);
    while !running.sidecar.health().readiness() {
        std::thread::yield_now();
    }
    running.connect().ask("PING", "+PONG\r\n");
}

#[test]
fn tls_is_verified_against_the_server_name_that_was_configured() {
    let Some(files) = TlsFiles::make("cache.test") else { return };
    let Some(server) = Redis::start_with(&files.arguments()) else { return };
    let address = format!("127.0.0.1:{}", files.port);
    let upstream = Upstream::parse(&address, Some(files.trust())).unwrap();
    let named = Upstream { server_name: Some("cache.test".to_owned()), ..upstream.clone() };
    let running = Running::start_with(server, SHORT, SidecarConfig::new(named), "127.0.0.1:0");
    let mut client = running.connect();
    client.ask("ACL WHOAMI", &format!("$36\r\n{}\r\n", oid(1)));
    let value = "x".repeat(3 << 20);
    client.send(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{value}\r\nGET k\r\n", value.len()).as_bytes());
    client.expect(&format!("+OK\r\n${}\r\n{value}\r\n", value.len()));
    let auths = running.auths();
    while running.auths() < auths + 3 {
        client.ask("PING", "+PONG\r\n");
    }
    let Some(server) = Redis::start() else { return };
    let unnamed = Running::start_with(server, LONG, SidecarConfig::new(upstream), "127.0.0.1:0");
    let fault = unnamed.runtime.block_on(unnamed.sidecar.check()).unwrap_err();
    assert!(fault.is("tls_untrusted"), "{fault}");
}

/// A CA and a server certificate, in a folder of their own.
struct TlsFiles {
    folder: std::path::PathBuf,
    port: u16,
    ca: rustls::pki_types::CertificateDer<'static>,
}

impl TlsFiles {
    fn make(name: &str) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = std::env::temp_dir().join(format!("entrant-sidecar-tls-{port}"));
        std::fs::create_dir_all(&folder).unwrap();
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(vec![]).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, "test CA");
        let issuer = rcgen::CertifiedIssuer::self_signed(ca, ca_key).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        std::fs::write(folder.join("cert.pem"), leaf.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        Some(Self { folder, port, ca: issuer.der().clone() })
    }

    fn arguments(&self) -> Vec<String> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let pairs = [
            ("--tls-port", self.port.to_string()),
            ("--tls-cert-file", path("cert.pem")),
            ("--tls-key-file", path("key.pem")),
            ("--tls-ca-cert-file", path("ca.pem")),
            ("--tls-auth-clients", "no".to_owned()),
        ];
        pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }

    fn trust(&self) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.ca.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

impl Drop for TlsFiles {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn case_25_sidecar_an_identity_outage_fails_readiness_but_no_connection_and_ends_by_itself() {
    in_both_modes(SHORT, |running| {
        let mut client = running.connect();
        client.ask("PING", "+PONG\r\n");
        running.source.broken.store(true, Ordering::Relaxed);
        while running.sidecar.health().readiness() {
            std::thread::yield_now();
        }
        assert!(running.sidecar.health().liveness);
        assert!(running.sidecar.health().not_ready.unwrap().is("endpoint_gone"));
        client.ask("SET k v", "+OK\r\n");
        // A shared connection serves newcomers as long as the server keeps it.
        if !running.sharing {
            let mut refused = running.connect();
            refused.send(b"PING\r\n");
            let reply = refused.line();
            assert!(reply.contains("the identity endpoint does not answer"), "the identity's failure: {reply}");
        }
        running.source.broken.store(false, Ordering::Relaxed);
        while !running.sidecar.health().readiness() {
            std::thread::yield_now();
        }
        running.connect().ask("GET k", "$1\r\nv\r\n");
        let auths = running.auths();
        while running.auths() < auths + 3 {
            client.ask("PING", "+PONG\r\n");
        }
    });
}
