//! Who may use the sidecar, and when it works: local password, permissions of a Unix socket, rest without clients,
//! and connections that outlive the server's patience with idle ones.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

#[expect(dead_code, reason = "the harness of all sidecar tests")]
mod sidecar_support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use entrant_credential::{Keeper, KeeperOptions};
use entrant_relay::sidecar::{Listen, Sidecar, SidecarConfig, Upstream};
use entrant_testkit::Stage;
use entrant_types::{Clock as _, Scope, Secret};
use sidecar_support::server::{Endpoint, Redis, oid, token};
use sidecar_support::{Client, LONG, Running, SHORT};
use tokio_util::sync::CancellationToken;

const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";
const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";

fn with(change: impl Fn(&mut SidecarConfig), life: Duration, test: impl Fn(Running)) {
    for sharing in [false, true] {
        let Some(server) = Redis::start() else { return };
        let upstream = Upstream::parse(&format!("127.0.0.1:{}", server.port), None).unwrap();
        let mut config = SidecarConfig { sharing, ..SidecarConfig::new(upstream) };
        change(&mut config);
        test(Running::start_with(server, life, config, "127.0.0.1:0"));
    }
}

#[test]
fn with_a_local_password_only_who_knows_it_gets_the_identity() {
    let password = |config: &mut SidecarConfig| config.client_password = Some(Secret::new("open sesame".to_owned()));
    with(password, SHORT, |running| {
        let mut client = running.connect();
        client.ask("GET k", NOAUTH);
        client.ask("HELLO 3", NOAUTH);
        client.ask("AUTH sesame", WRONGPASS);
        assert_eq!(running.auths(), 0, "nothing has gone any further");
        // In one go with what follows.
        client.send(b"*2\r\n$4\r\nAUTH\r\n$11\r\nopen sesame\r\nSET k v\r\nGET k\r\n");
        client.expect("+OK\r\n+OK\r\n$1\r\nv\r\n");
        client.ask("ACL WHOAMI", &format!("$36\r\n{}\r\n", oid(1)));

        let mut hello = running.connect();
        hello.hello("HELLO 3 AUTH anybody \"open sesame\" SETNAME me");
        hello.ask("CLIENT GETNAME", "$2\r\nme\r\n");
        hello.ask("ACL WHOAMI", &format!("$36\r\n{}\r\n", oid(1)));

        let mut guessing = running.connect();
        for _ in 0..3 {
            guessing.ask("AUTH guess", WRONGPASS);
        }
        assert!(guessing.ends(), "who guesses has to come again");
        let mut leaving = running.connect();
        leaving.ask("QUIT", "+OK\r\n");
        assert!(leaving.ends());
        let mut garbled = running.connect();
        garbled.ask("*1\r\n+x", "-ERR Protocol error: expected '$', got '+'\r\n");
        assert!(garbled.ends());
        let mut large = running.connect();
        large.ask("*1\r\n$20000", "-ERR Protocol error: unauthenticated bulk length\r\n");
        assert!(large.ends());
    });
}

#[test]
fn a_unix_socket_is_its_owner_s_alone_unless_others_are_let_in() {
    use std::os::unix::fs::PermissionsExt as _;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let path = std::env::temp_dir().join(format!("entrant-sidecar-mode-{}.sock", std::process::id()));
    let listen = Listen::parse(&format!("unix:{}", path.display())).unwrap();
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let listener = runtime.block_on(listen.bind()).unwrap();
    assert_eq!(mode(), 0o600);
    drop(listener);
    let _listener = runtime.block_on(listen.bind_for(0o660)).unwrap();
    assert_eq!(mode(), 0o660);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_lazy_refresh_no_token_is_got_or_renewed_while_there_is_no_client() {
    let Some(server) = Redis::start() else { return };
    assert_eq!(server.admin(&format!("ACL SETUSER {} on nopass ~* &* +@all", oid(1))), "+OK\r\n");
    let stage = Stage::new();
    let endpoint = Arc::new(Endpoint::default());
    let give = |number| {
        let now = stage.clock.now();
        endpoint.give(token(1, number, now, now + Duration::from_secs(3600)));
    };
    give(1);
    let scope = Scope::new("https://redis.azure.com/.default");
    let (keeper, driver) = Keeper::new(Arc::clone(&endpoint) as _, scope, KeeperOptions::default(), &stage.outside());
    let upstream = Upstream::parse(&format!("127.0.0.1:{}", server.port), None).unwrap();
    let config = SidecarConfig { lazy_refresh: true, ..SidecarConfig::new(upstream) };
    let sidecar = Sidecar::build(config, keeper, &stage.outside());
    let listener = Listen::parse("127.0.0.1:0").unwrap().bind().await.unwrap();
    let Ok(Listen::Tcp(address)) = listener.address() else { unreachable!("it is TCP") };
    let (serving, resting) = (sidecar.clone(), sidecar.clone());
    tokio::spawn(async move { serving.run(vec![listener], CancellationToken::new()).await });
    tokio::spawn(async move { resting.while_used(driver.run()).await });
    let visit = |sidecar: Sidecar| async move {
        tokio::task::spawn_blocking(move || Client::to(address).ask("PING", "+PONG\r\n")).await.unwrap();
        while sidecar.connections() > 0 {
            tokio::task::yield_now().await;
        }
    };

    while !sidecar.health().startup {
        tokio::task::yield_now().await;
    }
    // Long after a token would have been got, renewed and ended.
    stage.clock.run_for(Duration::from_secs(7200)).await;
    assert_eq!(endpoint.calls(), 0);
    assert!(sidecar.health().readiness(), "who has no client needs no token to be ready for one");
    give(2);
    visit(sidecar.clone()).await;
    let first = endpoint.calls();
    assert!(first >= 1, "the first client's token");
    stage.clock.run_for(Duration::from_secs(7200)).await;
    assert_eq!(endpoint.calls(), first, "resting");
    give(3);
    visit(sidecar.clone()).await;
    assert!(endpoint.calls() > first, "the first token had ended");
}

#[test]
fn case_34_sidecar_an_idle_client_outlives_ten_minutes_because_the_sidecar_asks_in_between() {
    // The server's limit is in real seconds; at this pace the sidecar asks every two and a half.
    for access in ["+@all", "+@read"] {
        let Some(server) = Redis::start_with(&["--timeout".to_owned(), "4".to_owned()]) else { return };
        let upstream = Upstream::parse(&format!("127.0.0.1:{}", server.port), None).unwrap();
        let running = Running::start_at_pace("120", server, LONG, SidecarConfig::new(upstream), "127.0.0.1:0");
        running.server.admin(&format!("ACL SETUSER {} reset on nopass ~* {access}", oid(1)));
        let mut client = running.connect();
        client.ask("GET k", "$-1\r\n");
        let clock = &running.source.clock;
        running.runtime.block_on(clock.sleep_until(clock.now() + Duration::from_secs(660)));
        client.ask("GET k", "$-1\r\n");
        let pings = running.server.admin("INFO commandstats");
        assert!(pings.contains("cmdstat_ping:calls="), "{access}: {pings}");
        assert_eq!(running.source.given.load(Ordering::Relaxed), 1, "no renewal has kept it alive");
    }
}
