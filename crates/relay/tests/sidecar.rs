//! The sidecar between unmodified clients and a real redis-server, while tokens are renewed all the time.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at a broken promise")]
#![expect(clippy::disallowed_methods, reason = "a test runs other programs")]

#[path = "../../redis/tests/support/server.rs"]
mod server;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use entrant_credential::{Keeper, KeeperOptions, Outcome, Source};
use entrant_host::{Lapse, LapseClock};
use entrant_relay::sidecar::{Listen, Listener, Sidecar, SidecarConfig, Upstream};
use entrant_testkit::Stage;
use entrant_types::{BoxFuture, Clock, Scope, Timestamp};
use server::{LIMIT, Redis, oid, token};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Tokens that live for eight seconds of the test's clock.
#[derive(Debug)]
struct ShortTokens {
    clock: LapseClock,
    life: Duration,
    given: AtomicU32,
}

impl Source for ShortTokens {
    fn name(&self) -> &str {
        "short"
    }

    fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Outcome> {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.now();
        Box::pin(async move { Outcome::Token(token(1, number, now, now + self.life)) })
    }
}

/// A sidecar in front of a redis-server, in a runtime of its own so that blocking clients can be used.
struct Running {
    server: Redis,
    address: SocketAddr,
    sidecar: Sidecar,
    source: Arc<ShortTokens>,
    shutdown: CancellationToken,
    runtime: Runtime,
}

impl Running {
    /// At sixty-fold time; any token is good for the server.
    fn start(life: Duration) -> Option<Self> {
        let server = Redis::start()?;
        let created = server.admin(&format!("ACL SETUSER {} on nopass ~* &* +@all", oid(1)));
        assert_eq!(created, "+OK\r\n");
        // Only the sidecar's identity may do anything: a command that went out without it would be seen.
        assert_eq!(server.admin("CONFIG SET loglevel warning"), "+OK\r\n");
        let runtime = Runtime::new().unwrap();
        let clock = LapseClock::new(Lapse::parse("60", Timestamp::from_secs(1_700_000_000)).unwrap());
        let mut outside = Stage::new().outside();
        outside.clock = Arc::new(clock);
        let source = Arc::new(ShortTokens { clock, life, given: AtomicU32::new(0) });
        let scope = Scope::new("https://redis.azure.com/.default");
        let (keeper, driver) = Keeper::new(Arc::clone(&source) as _, scope, KeeperOptions::default(), &outside);
        runtime.spawn(driver.run());
        let upstream = Upstream::parse(&format!("127.0.0.1:{}", server.port), None).unwrap();
        let sidecar = Sidecar::build(SidecarConfig::new(upstream), keeper, &outside);
        let listener = runtime.block_on(Listen::parse("127.0.0.1:0").unwrap().bind()).unwrap();
        let Listen::Tcp(address) = listener.address().unwrap() else { panic!("not TCP") };
        let shutdown = CancellationToken::new();
        runtime.spawn(run(sidecar.clone(), listener, shutdown.clone()));
        Some(Self { server, address, sidecar, source, shutdown, runtime })
    }

    fn connect(&self) -> Client {
        Client::to(self.address)
    }

    /// AUTHs that the server has taken.
    fn auths(&self) -> u64 {
        let stats = self.server.admin("INFO commandstats");
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_auth:calls=")).unwrap_or("0,");
        line.split(',').next().unwrap().parse().unwrap()
    }
}

async fn run(sidecar: Sidecar, listener: Listener, shutdown: CancellationToken) {
    sidecar.run(vec![listener], shutdown).await;
}

/// A client that knows nothing of Entra: a socket.
struct Client(TcpStream);

impl Client {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self(stream)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Reads exactly this.
    fn expect(&mut self, reply: &str) {
        let mut read = vec![0; reply.len()];
        if let Err(error) = self.0.read_exact(&mut read) {
            panic!("expected {reply:?}: {error}, got {:?}", String::from_utf8_lossy(&read));
        }
        assert_eq!(String::from_utf8_lossy(&read), reply);
    }

    fn ask(&mut self, line: &str, reply: &str) {
        self.send(format!("{line}\r\n").as_bytes());
        self.expect(reply);
    }

    fn line(&mut self) -> String {
        let mut out = Vec::new();
        let mut byte = [0];
        while !out.ends_with(b"\r\n") {
            self.0.read_exact(&mut byte).unwrap();
            out.extend(byte);
        }
        String::from_utf8(out).unwrap()
    }

    /// Switches to RESP3; the last entry of the reply is an empty list of modules.
    fn hello(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes());
        assert_eq!(self.line(), "%7\r\n");
        while self.line() != "*0\r\n" {}
    }

    fn ends(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 64]), Ok(0) | Err(_))
    }
}

const LONG: Duration = Duration::from_secs(86_400);
const SHORT: Duration = Duration::from_secs(8);

#[test]
fn a_client_without_any_credentials_is_served_as_the_sidecar_s_identity() {
    let Some(running) = Running::start(LONG) else { return };
    let mut client = running.connect();
    client.ask("ACL WHOAMI", &format!("$36\r\n{}\r\n", oid(1)));
    client.ask("SET k v", "+OK\r\n");
    client.ask("GET k", "$1\r\nv\r\n");
    client.ask("NOSUCHCOMMAND", "-ERR unknown command 'NOSUCHCOMMAND', with args beginning with: \r\n");
    assert_eq!(running.sidecar.connections(), 1);
    assert!(running.sidecar.health().readiness());
    running.runtime.block_on(running.sidecar.check()).unwrap();
}

#[test]
fn a_client_s_own_credentials_are_answered_and_never_forwarded() {
    let Some(running) = Running::start(LONG) else { return };
    let mut client = running.connect();
    client.send(b"PING\r\nAUTH someone secret\r\nPING\r\nAUTH onlypassword\r\nECHO x\r\n");
    client.expect("+PONG\r\n+OK\r\n+PONG\r\n+OK\r\n$1\r\nx\r\n");
    client.ask("ACL WHOAMI", &format!("$36\r\n{}\r\n", oid(1)));
    client.hello("HELLO 3 AUTH someone secret SETNAME me");
    client.ask("CLIENT GETNAME", "$2\r\nme\r\n");
    client.ask("ACL WHOAMI", &format!("$36\r\n{}\r\n", oid(1)));
    assert_eq!(running.auths(), 1, "only the sidecar's own");
}

#[test]
fn transactions_blocking_scripts_and_inline_commands_pass_while_tokens_are_renewed() {
    let Some(running) = Running::start(SHORT) else { return };
    let mut client = running.connect();
    let mut pusher = running.connect();
    for round in 0..60 {
        client.send(b"MULTI\r\nINCR n\r\n");
        client.expect("+OK\r\n+QUEUED\r\n");
        std::thread::sleep(Duration::from_millis(15));
        client.ask("EXEC", &format!("*1\r\n:{}\r\n", round + 1));
        client.send(b"BLPOP q 5\r\n");
        std::thread::sleep(Duration::from_millis(5));
        pusher.ask("RPUSH q x", ":1\r\n");
        client.expect("*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
        client.ask("EVAL \"return ARGV[1]\" 0 hi", "$2\r\nhi\r\n");
        client.ask("RESET", "+RESET\r\n");
        client.ask("ACL WHOAMI", &format!("$36\r\n{}\r\n", oid(1)));
    }
    assert!(running.auths() > 70, "re-authenticated only {} times", running.auths());
}

#[test]
fn case_05_a_resp3_subscriber_loses_no_message_over_many_re_authentications() {
    let Some(running) = Running::start(SHORT) else { return };
    let mut subscriber = running.connect();
    subscriber.hello("HELLO 3");
    subscriber.ask("SUBSCRIBE c", ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    publish_numbered(&running, |number| {
        let text = format!("{number:05}");
        subscriber.expect(&format!(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\n{text}\r\n"));
    });
    assert!(running.auths() > 5, "re-authenticated only {} times", running.auths());
}

#[test]
fn case_04_a_resp2_subscriber_moves_to_new_connections_and_loses_no_message() {
    let Some(running) = Running::start(SHORT) else { return };
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
    assert!(repeated < 400, "{repeated} messages came twice");
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
fn case_08_after_client_reply_off_everything_still_passes() {
    let Some(running) = Running::start(LONG) else { return };
    let mut client = running.connect();
    client.send(b"CLIENT REPLY OFF\r\nSET k off\r\nAUTH a b\r\nCLIENT REPLY ON\r\n");
    client.expect("+OK\r\n");
    client.ask("GET k", "$3\r\noff\r\n");
    client.ask("AUTH a b", "+OK\r\n");
    client.ask("ACL WHOAMI", &format!("$36\r\n{}\r\n", oid(1)));
}

#[test]
fn a_large_value_streams_through_in_both_directions() {
    let Some(running) = Running::start(LONG) else { return };
    let mut client = running.connect();
    let value = "x".repeat(40 << 20);
    client.send(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", value.len()).as_bytes());
    client.send(value.as_bytes());
    client.send(b"\r\nPING\r\n");
    client.expect("+OK\r\n+PONG\r\n");
    client.send(b"GET k\r\nPING\r\n");
    client.expect(&format!("${}\r\n{value}\r\n+PONG\r\n", value.len()));
}

#[test]
fn bytes_that_are_not_resp_get_redis_s_own_error_after_all_replies() {
    let Some(running) = Running::start(LONG) else { return };
    let mut client = running.connect();
    client.send(b"PING\r\nPING\r\n*1\r\n+x\r\n");
    client.expect("+PONG\r\n+PONG\r\n-ERR Protocol error: expected '$', got '+'\r\n");
    assert!(client.ends());
}

#[test]
fn a_client_that_is_gone_leaves_nothing_behind() {
    let Some(running) = Running::start(LONG) else { return };
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
}

#[test]
fn a_client_is_told_why_it_cannot_be_served() {
    let Some(mut running) = Running::start(LONG) else { return };
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
}

#[test]
fn draining_lets_a_client_finish_and_closes_it_then() {
    let Some(running) = Running::start(LONG) else { return };
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
}

#[test]
fn redis_cli_and_redis_benchmark_pass_through() {
    let Some(running) = Running::start(SHORT) else { return };
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
}
