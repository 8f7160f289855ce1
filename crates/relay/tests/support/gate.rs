//! A gate with an issuer in the test's hand, TLS on a loopback port, and a choice of what stands behind it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use entrant_proto::jose::SigningKey;
use entrant_relay::assignments::{AccessString, Assignment, AssignmentMap, Assignments};
use entrant_relay::gate::{Backend, Gate, GateConfig, GateHandle, GateParts, REDIS_AUDIENCES};
use entrant_relay::store::{Store, StoreConfig};
use entrant_testkit::{SeededEntropy, Stage, json_reply};
use entrant_types::emulation::World;
use entrant_types::{ObjectId, Secret};
use entrant_validate::{IssuerRule, KeySet, Policy, Tenants, Validator};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Map, Value as Json, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::{SOON, Wire};

pub const TENANT: &str = "11111111-aaaa-4bbb-8ccc-111111111111";
pub const CLIENT: &str = "44444444-aaaa-4bbb-8ccc-444444444444";
pub const OWNER: &str = "55555555-aaaa-4bbb-8ccc-555555555555";
pub const READER: &str = "66666666-aaaa-4bbb-8ccc-666666666666";
pub const CUSTOM: &str = "77777777-aaaa-4bbb-8ccc-777777777777";
pub const STRANGER: &str = "88888888-aaaa-4bbb-8ccc-888888888888";
pub const AUDIENCE: &str = "https://redis.azure.com";
pub const HOUR: i64 = 3600;

/// One key for the whole test binary: making one takes up to half a second.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate("").unwrap().0);

/// How many gates were started.
static GATES: AtomicU64 = AtomicU64::new(1);

pub fn id(text: &str) -> ObjectId {
    text.parse().unwrap()
}

/// What stands behind a gate in a test.
pub enum Behind {
    Store,
    Socket(std::path::PathBuf),
    Other(Backend),
}

/// A running gate.
pub struct TestGate {
    pub stage: Stage,
    pub handle: GateHandle,
    pub address: SocketAddr,
    pub ca_pem: String,
    pub shutdown: CancellationToken,
    pub running: tokio::task::JoinHandle<()>,
    connector: TlsConnector,
}

pub fn assignments() -> AssignmentMap {
    use entrant_types::access::policy;
    let entries = [(OWNER, policy::DEFAULT), (READER, policy::DATA_READER), (CUSTOM, "+@read ~cache:*")];
    entries.into_iter().map(|(oid, access)| (id(oid), assignment(access))).collect()
}

pub fn assignment(access: &str) -> Assignment {
    Assignment { access: AccessString::parse(access).unwrap(), name: None }
}

impl TestGate {
    pub async fn start(behind: Behind) -> Self {
        Self::start_with(behind, GateConfig::default()).await
    }

    pub async fn start_with(behind: Behind, config: GateConfig) -> Self {
        let stage = Stage::new();
        let keys = json!({ "keys": [KEY.jwk()] });
        stage.http.handle(move |_request| Ok(json_reply(200, keys.clone())));
        let mut outside = stage.outside();
        // Two gates have two secrets.
        outside.entropy = Arc::new(SeededEntropy::new(GATES.fetch_add(1, Ordering::Relaxed)));
        let policy = Policy::new(
            World::Emulator,
            vec![IssuerRule::new(format!("https://localhost:8443/{TENANT}/"))],
            REDIS_AUDIENCES.map(str::to_owned).to_vec(),
            Tenants::Only(vec![TENANT.parse().unwrap()]),
        );
        let keys = KeySet::new("https://localhost:8443/common/discovery/v2.0/keys", &outside);
        let validator = Arc::new(Validator::new(policy, keys, Arc::clone(&outside.clock)));
        let backend = match behind {
            Behind::Store => Backend::Embedded(Store::new(StoreConfig::default(), &outside)),
            Behind::Socket(path) => Backend::Unix(path),
            Behind::Other(backend) => backend,
        };
        let (tls, connector, ca_pem) = tls();
        let assignments = Assignments::new(assignments());
        let gate = Gate::build(config, GateParts { validator, assignments, backend, tls, outside }).unwrap();
        let handle = gate.handle();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(gate.run(listener, shutdown.clone()));
        Self { stage, handle, address, ca_pem, shutdown, running, connector }
    }

    /// A TLS connection on which nobody is logged in.
    pub async fn connect(&self) -> Wire {
        self.connect_to(self.address).await
    }

    /// The same to another port of the gate.
    pub async fn connect_to(&self, address: SocketAddr) -> Wire {
        let socket = TcpStream::connect(address).await.unwrap();
        // Or a second command waits for the acknowledgement of the first, while the clock of the test runs on.
        socket.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        Wire::new(self.connector.connect(name, socket).await.unwrap())
    }

    /// A connection on which `oid` is logged in for an hour.
    pub async fn enter(&self, oid: &str) -> Wire {
        let mut wire = self.connect().await;
        assert_eq!(super::text(&wire.call(&["AUTH", oid, self.token(oid).expose()]).await), "OK");
        wire
    }

    /// A good token for an hour.
    pub fn token(&self, oid: &str) -> Secret {
        self.token_with(oid, json!({}))
    }

    /// A token with some claims changed; `null` leaves one out.
    pub fn token_with(&self, oid: &str, changes: Json) -> Secret {
        use entrant_types::Clock as _;
        let now = self.stage.clock.now().secs();
        let mut claims = json!({
            "aud": AUDIENCE, "iss": format!("https://localhost:8443/{TENANT}/"), "iat": now - 300, "nbf": now - 300,
            "exp": now + HOUR, "appid": CLIENT, "appidacr": "2", "oid": oid, "sub": oid, "tid": TENANT, "ver": "1.0",
            "xms_emulator": true,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        KEY.sign(&Map::new(), &claims).unwrap()
    }

    /// Waits until the counter stands at `count`.
    pub async fn counted(
        &self,
        event: &'static str,
        detail: &'static str,
        count: u64,
    ) -> BTreeMap<(&'static str, &'static str), u64> {
        let waiting = async {
            loop {
                let counts = self.handle.counts();
                if counts.get(&(event, detail)).copied().unwrap_or(0) >= count {
                    return counts;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, waiting).await.expect("the event in time")
    }

    /// Moves the clock on; woken deadlines are looked at meanwhile.
    pub async fn pass(&self, seconds: u64) {
        self.stage.clock.run_for(Duration::from_secs(seconds)).await;
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(SOON, self.running).await.expect("the gate ends in time").unwrap();
    }
}

fn tls() -> (Arc<rustls::ServerConfig>, TlsConnector, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = CertificateDer::from(made.cert.der().to_vec());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    server.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), TlsConnector::from(Arc::new(client)), made.cert.pem())
}
