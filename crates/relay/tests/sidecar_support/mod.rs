//! A sidecar in front of a real redis-server, on a clock that runs sixty times as fast, and a plain socket client.
#![expect(clippy::panic, reason = "a test may stop at a broken promise")]
#![expect(unreachable_pub, reason = "shared by test programs, each of which is its own crate")]

#[path = "../../../redis/tests/support/server.rs"]
pub mod server;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use entrant_credential::{Keeper, KeeperOptions, Outcome, Source};
use entrant_host::{Lapse, LapseClock};
use entrant_relay::sidecar::{Listen, Listener, Sidecar, SidecarConfig, Upstream};
use entrant_testkit::Stage;
use entrant_types::{BoxFuture, Clock, Code, Fault, Scope, Timestamp, Whose};
use server::{LIMIT, Redis, oid, token};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// A token's life that outlasts a test, and one of which eight pass in a second.
pub const LONG: Duration = Duration::from_secs(86_400);
pub const SHORT: Duration = Duration::from_secs(8);

/// Tokens of one identity, each of a fixed life by the test's clock.
#[derive(Debug)]
pub struct ShortTokens {
    pub clock: LapseClock,
    life: Duration,
    pub given: AtomicU32,
    /// Whether the identity endpoint is out of order.
    pub broken: AtomicBool,
}

impl Source for ShortTokens {
    fn name(&self) -> &str {
        "short"
    }

    fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Outcome> {
        if self.broken.load(Ordering::Relaxed) {
            let fault = Fault::new(Whose::Provider, "the identity endpoint does not answer", "Start it.");
            return Box::pin(async { Outcome::Failed(fault.code(Code::Entrant("endpoint_gone"))) });
        }
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.now();
        Box::pin(async move { Outcome::Token(token(1, number, now, now + self.life)) })
    }
}

/// A sidecar in front of a redis-server, in a runtime of its own so that blocking clients can be used.
pub struct Running {
    pub server: Redis,
    pub address: SocketAddr,
    pub sidecar: Sidecar,
    pub source: Arc<ShortTokens>,
    pub shutdown: CancellationToken,
    pub runtime: Runtime,
    pub sharing: bool,
}

impl Running {
    /// At sixty-fold time; any token is good for the server.
    pub fn start(life: Duration, sharing: bool) -> Option<Self> {
        let server = Redis::start()?;
        let upstream = Upstream::parse(&format!("127.0.0.1:{}", server.port), None).unwrap();
        let config = SidecarConfig { sharing, ..SidecarConfig::new(upstream) };
        Some(Self::start_with(server, life, config, "127.0.0.1:0"))
    }

    pub fn start_with(server: Redis, life: Duration, config: SidecarConfig, listen: &str) -> Self {
        Self::start_at_pace("60", server, life, config, listen)
    }

    /// At a pace of its own: a limit of half a minute for an answer is half a second at sixty-fold time, too little
    /// for a machine that is busy with other people's clients.
    pub fn start_at_pace(pace: &str, server: Redis, life: Duration, config: SidecarConfig, listen: &str) -> Self {
        let created = server.admin(&format!("ACL SETUSER {} on nopass ~* &* +@all", oid(1)));
        assert_eq!(created, "+OK\r\n");
        let runtime = Runtime::new().unwrap();
        let clock = LapseClock::new(Lapse::parse(pace, Timestamp::from_secs(1_700_000_000)).unwrap());
        let mut outside = Stage::new().outside();
        outside.clock = Arc::new(clock);
        let source = Arc::new(ShortTokens { clock, life, given: AtomicU32::new(0), broken: AtomicBool::new(false) });
        let scope = Scope::new("https://redis.azure.com/.default");
        let (keeper, driver) = Keeper::new(Arc::clone(&source) as _, scope, KeeperOptions::default(), &outside);
        runtime.spawn(driver.run());
        let sharing = config.sharing;
        let sidecar = Sidecar::build(config, keeper, &outside);
        let listener = runtime.block_on(Listen::parse(listen).unwrap().bind()).unwrap();
        let address = match listener.address().unwrap() {
            Listen::Tcp(address) => address,
            Listen::Unix(_) => SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let shutdown = CancellationToken::new();
        runtime.spawn(run(sidecar.clone(), listener, shutdown.clone()));
        Self { server, address, sidecar, source, shutdown, runtime, sharing }
    }

    pub fn connect(&self) -> Client {
        Client::to(self.address)
    }

    /// AUTHs that the server has taken.
    pub fn auths(&self) -> u64 {
        let stats = self.server.admin("INFO commandstats");
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_auth:calls=")).unwrap_or("0,");
        line.split(',').next().unwrap().parse().unwrap()
    }
}

async fn run(sidecar: Sidecar, listener: Listener, shutdown: CancellationToken) {
    sidecar.run(vec![listener], shutdown).await;
}

/// Once with a connection for each client, once with shared ones.
pub fn in_both_modes(life: Duration, test: impl Fn(Running)) {
    for sharing in [false, true] {
        let Some(running) = Running::start(life, sharing) else { return };
        test(running);
    }
}

/// A client that knows nothing of Entra: a socket.
pub struct Client(pub TcpStream);

impl Client {
    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self(stream)
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Reads exactly this.
    pub fn expect(&mut self, reply: &str) {
        let mut read = vec![0; reply.len()];
        if let Err(error) = self.0.read_exact(&mut read) {
            panic!("expected {reply:?}: {error}, got {:?}", String::from_utf8_lossy(&read));
        }
        assert_eq!(String::from_utf8_lossy(&read), reply);
    }

    pub fn ask(&mut self, line: &str, reply: &str) {
        self.send(format!("{line}\r\n").as_bytes());
        self.expect(reply);
    }

    pub fn line(&mut self) -> String {
        let mut out = Vec::new();
        let mut byte = [0];
        while !out.ends_with(b"\r\n") {
            self.0.read_exact(&mut byte).unwrap();
            out.extend(byte);
        }
        String::from_utf8(out).unwrap()
    }

    /// Switches to RESP3; the last entry of the reply is an empty list of modules.
    pub fn hello(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes());
        assert_eq!(self.line(), "%7\r\n");
        while self.line() != "*0\r\n" {}
    }

    pub fn ends(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 64]), Ok(0) | Err(_))
    }
}
