//! The sidecar in front of a gate that closes every connection when its token ends: clients live through many tokens.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may stop at a broken promise, and says what it skips"
)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use entrant_credential::{Keeper, KeeperOptions, Outcome, Source};
use entrant_relay::sidecar::{Listen, Sidecar, SidecarConfig, Upstream};
use entrant_types::{AccessToken, BoxFuture, Clock as _, Code, Fault, Lifetime, Scope, Whose};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use support::gate::{Behind, HOUR, OWNER, TestGate};
use support::{SOON, Wire, text};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Gives the gate's own tokens, each for an hour.
struct Issuer {
    gate: Arc<TestGate>,
    broken: AtomicBool,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuer")
    }
}

impl Source for Issuer {
    fn name(&self) -> &str {
        "issuer"
    }

    fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Outcome> {
        let received = self.gate.stage.clock.now();
        let outcome = if self.broken.load(Ordering::Relaxed) {
            let fault = Fault::new(Whose::Provider, "the identity endpoint does not answer", "Start it.");
            Outcome::Failed(fault.code(Code::Entrant("endpoint_gone")))
        } else {
            let expires = received + Duration::from_secs(HOUR.unsigned_abs());
            let lifetime = Lifetime { received, refresh_at: None, expires };
            Outcome::Token(AccessToken { secret: self.gate.token(OWNER), lifetime })
        };
        Box::pin(async { outcome })
    }
}

struct Scene {
    gate: Arc<TestGate>,
    issuer: Arc<Issuer>,
    sidecar: Sidecar,
    address: SocketAddr,
    shutdown: CancellationToken,
}

impl Scene {
    async fn start(sharing: bool) -> Self {
        let gate = Arc::new(TestGate::start(Behind::Store).await);
        let issuer = Arc::new(Issuer { gate: Arc::clone(&gate), broken: AtomicBool::new(false) });
        let outside = gate.stage.outside();
        let scope = Scope::new("https://redis.azure.com/.default");
        let (keeper, driver) = Keeper::new(Arc::clone(&issuer) as _, scope, KeeperOptions::default(), &outside);
        tokio::spawn(driver.run());
        let upstream =
            Upstream::parse(&format!("127.0.0.1:{}", gate.address.port()), Some(trust(&gate.ca_pem))).unwrap();
        let upstream = Upstream { server_name: Some("localhost".to_owned()), ..upstream };
        let config = SidecarConfig { sharing, ..SidecarConfig::new(upstream) };
        let sidecar = Sidecar::build(config, keeper, &outside);
        let listener = Listen::parse("127.0.0.1:0").unwrap().bind().await.unwrap();
        let Ok(Listen::Tcp(address)) = listener.address() else { unreachable!("it is TCP") };
        let shutdown = CancellationToken::new();
        let (running, stop) = (sidecar.clone(), shutdown.clone());
        tokio::spawn(async move { running.run(vec![listener], stop).await });
        Self { gate, issuer, sidecar, address, shutdown }
    }

    async fn client(&self) -> Wire {
        let socket = TcpStream::connect(self.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Wire::new(socket)
    }

    /// How often the gate has closed a connection because its token had ended.
    fn expired(&self) -> u64 {
        self.gate.handle.counts().iter().filter(|(key, _)| **key == ("closed", "expired")).map(|(_, count)| count).sum()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn trust(pem: &str) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The number in the next message.
async fn payload(subscriber: &mut Wire) -> u32 {
    let message = subscriber.read().await;
    message.elements().and_then(|parts| parts.get(2)).map(text).and_then(|text| text.parse().ok()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_client_lives_through_five_tokens_and_loses_nothing() {
    for sharing in [false, true] {
        let scene = Scene::start(sharing).await;
        let (mut busy, mut idle, mut holder) = (scene.client().await, scene.client().await, scene.client().await);
        let (mut old, mut new, mut blocked) = (scene.client().await, scene.client().await, scene.client().await);
        assert_eq!(text(&idle.say("PING").await), "PONG");
        old.say("SUBSCRIBE news").await;
        new.say("HELLO 3").await;
        new.say("SUBSCRIBE news").await;
        blocked.send(&["BLPOP", "queue", "0"]).await;
        let mut repeated = 0;
        for minute in 0..300_u32 {
            // In small steps with real traffic between them: what takes real time must not seem to take minutes.
            for _ in 0..6 {
                scene.gate.stage.clock.advance(Duration::from_secs(10));
                assert_eq!(text(&busy.say(&format!("SET minute {minute}")).await), "OK");
            }
            // While the RESP2 subscriber moves it is there twice, and may hear the same twice.
            let heard = text(&busy.say(&format!("PUBLISH news {minute}")).await);
            assert!(heard == "2" || heard == "3", "{minute}: {heard} subscribers");
            assert_eq!(payload(&mut new).await, minute);
            while payload(&mut old).await != minute {
                repeated += 1;
            }
            // A transaction held open for two minutes of every three.
            let answer = match minute % 3 {
                0 => holder.say("MULTI").await,
                1 => holder.say("INCR held").await,
                _ => holder.say("EXEC").await,
            };
            assert!(!text(&answer).starts_with('-'), "{minute}: {}", text(&answer));
            // A block that ends now and then.
            if minute % 7 == 6 {
                assert_eq!(text(&busy.say("RPUSH queue x").await), "1");
                assert_eq!(blocked.read().await.elements().map(<[_]>::len), Some(2));
                blocked.send(&["BLPOP", "queue", "0"]).await;
            }
        }
        assert_eq!(text(&idle.say("GET minute").await), "299");
        assert_eq!(text(&holder.say("GET held").await), "100");
        assert!(repeated <= 5, "{repeated} messages came twice");
        assert_eq!(scene.expired(), 0, "the gate closed connections at expiry");
        assert!(scene.sidecar.health().readiness());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_25_sidecar_after_an_outage_of_one_and_a_half_lives_clients_are_served_again_without_a_restart() {
    for sharing in [false, true] {
        let scene = Scene::start(sharing).await;
        let mut client = scene.client().await;
        assert_eq!(text(&client.say("SET k v").await), "OK");
        scene.issuer.broken.store(true, Ordering::Relaxed);
        // A minute short of the token's end everything still works; after it the gate has closed the connection.
        for _ in 0..59 {
            scene.gate.stage.clock.advance(Duration::from_secs(60));
            assert_eq!(text(&client.say("GET k").await), "v");
        }
        scene.gate.stage.clock.run_for(Duration::from_secs(90)).await;
        scene.gate.counted("closed", "expired", 1).await;
        if !sharing {
            client.closed().await;
        }
        assert!(!scene.sidecar.health().readiness());
        assert!(scene.sidecar.health().liveness);
        let mut refused = scene.client().await;
        let answer = text(&refused.say("GET k").await);
        assert!(answer.contains("the identity endpoint does not answer"), "{answer}");
        scene.gate.stage.clock.run_for(Duration::from_secs(1800)).await;
        scene.issuer.broken.store(false, Ordering::Relaxed);
        scene.gate.stage.clock.run_for(Duration::from_secs(120)).await;
        let served = async {
            loop {
                let answer = text(&scene.client().await.say("GET k").await);
                if answer == "v" {
                    return;
                }
            }
        };
        tokio::time::timeout(SOON, served).await.unwrap();
        assert!(scene.sidecar.health().readiness());
    }
}
