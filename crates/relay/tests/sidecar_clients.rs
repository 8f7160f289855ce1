//! Other people's clients through the sidecar, unmodified, while a re-AUTH is forced every 100 ms: redis-cli,
//! redis-benchmark, redis-py, node-redis, ioredis (which knows nothing of Entra) and the `redis` crate; with a
//! connection for each client and with shared ones. The scripts stand in `conformance/redis`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may stop at a broken promise, runs other programs, measures, and says what it skips"
)]

#[expect(dead_code, reason = "the harness of all sidecar tests")]
mod sidecar_support;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use entrant_relay::sidecar::{SidecarConfig, Upstream};
use entrant_testkit::Server;
use futures_util::StreamExt as _;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, AsyncConnectionConfig, RedisResult, Value};
use sidecar_support::Running;
use sidecar_support::server::{Redis, oid};

/// Two seconds at twenty-fold time: a new token about every 50 ms, and so a re-AUTH of every connection.
const LIFE: Duration = Duration::from_secs(2);
const PACE: &str = "20";
/// All but its ranges of several hundred elements, which take their time in a build for tests.
const TESTS: &str = "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange_100,mset";
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// In both modes before one kind of server; a re-AUTH came at least every 100 ms where a connection lives on.
fn through_the_sidecar(kind: Server, lives_on: bool, test: impl Fn(&Running)) {
    for sharing in [false, true] {
        let Some(server) = Redis::start_server(kind) else { return };
        let upstream = Upstream::parse(&format!("127.0.0.1:{}", server.port), None).unwrap();
        let config = SidecarConfig { sharing, ..SidecarConfig::new(upstream) };
        let running = Running::start_at_pace(PACE, server, LIFE, config, "127.0.0.1:0");
        let started = Instant::now();
        test(&running);
        let (took, auths) = (started.elapsed(), running.auths());
        let least = if lives_on { took.as_millis() / 100 } else { 10 };
        assert!(u128::from(auths) > least, "only {auths} AUTHs in {took:?}");
    }
}

/// An interpreter or package below `target/conformance/redis`. In CI it must be there.
fn installed(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(WORKSPACE).join("target/conformance/redis").join(path);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is needed: run `cargo xtask install`", path.display());
    eprintln!("skipped: {} is not installed (cargo xtask install)", path.display());
    None
}

fn succeeded(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

fn node(script: &str) {
    let Some(folder) = installed("node") else { return };
    assert!(folder.join("node_modules").is_dir());
    through_the_sidecar(Server::Redis, true, |running| {
        // Node finds packages from where a script is.
        let output = Command::new("node").arg(folder.join(script)).arg(running.address.port().to_string()).output();
        let text = succeeded(&output.unwrap());
        assert!(text.lines().count() >= 18, "some cases did not run: {text}");
    });
}

#[test]
fn node_redis_passes_unmodified() {
    node("node_redis.mjs");
}

#[test]
fn ioredis_which_knows_nothing_of_entra_passes_unmodified() {
    node("ioredis.mjs");
}

#[test]
fn redis_py_passes_unmodified() {
    let Some(interpreter) = installed("python/bin/python") else { return };
    through_the_sidecar(Server::Redis, true, |running| {
        let script = PathBuf::from(WORKSPACE).join("conformance/redis/python/redis_py.py");
        let output = Command::new(&interpreter).arg(script).arg(running.address.port().to_string()).output();
        let text = succeeded(&output.unwrap());
        assert!(text.lines().count() >= 20, "some cases did not run: {text}");
    });
}

#[test]
fn redis_cli_passes_with_commands_from_a_pipe_in_both_protocols() {
    through_the_sidecar(Server::Redis, false, |running| {
        let port = running.address.port().to_string();
        let cli = |arguments: &[&str], input: &str| {
            let input = format!("printf '{input}' | exec redis-cli -p {port} {}", arguments.join(" "));
            let output = Command::new("sh").args(["-c", &input]).output().unwrap();
            succeeded(&output)
        };
        for protocol in ["-2", "-3"] {
            let names = ["--user", "anybody", "--pass", "anything", "--no-auth-warning", protocol];
            assert_eq!(cli(&names, "ACL WHOAMI\\nSELECT 2\\nSET k v\\nGET k\\n"), format!("{}\nOK\nOK\nv\n", oid(1)));
            let transaction =
                "SET n 0\\nMULTI\\nINCR n\\nINCR n\\nEXEC\\nEVAL \"return ARGV[1]\" 0 hi\\nBLPOP none 0.3\\nGET n\\n";
            assert_eq!(cli(&[protocol], transaction), "OK\nOK\nQUEUED\nQUEUED\n1\n2\nhi\n\n2\n");
            // One connection for more than a second: most of redis-cli's end before the next token is there.
            let counted: String = (1..=12).map(|tick| format!("{tick}\n")).collect();
            assert_eq!(cli(&[protocol, "-r", "12", "-i", "0.1", "INCR", &format!("tick{protocol}")], ""), counted);
        }
        let mass: String = (0..2000).map(|number| format!("SET mass{number} {number}\\r\\n")).collect();
        let said = cli(&["--pipe"], &mass);
        assert!(said.contains("errors: 0, replies: 2000"), "{said}");
    });
}

#[test]
fn redis_benchmark_runs_its_tests() {
    through_the_sidecar(Server::Redis, true, |running| {
        let port = running.address.port().to_string();
        for more in [&["-P", "16"][..], &["-3", "-c", "50"]] {
            let output = Command::new("redis-benchmark")
                .args([
                    "-p", &port, "-n", "2000", "-q", "-r", "100", "--user", "anybody", "-a", "anything", "-t", TESTS,
                ])
                .args(more)
                .output();
            let text = succeeded(&output.unwrap());
            assert!(text.contains("MSET (10 keys): ") && !text.contains("rror"), "{text}");
        }
    });
}

#[test]
fn the_redis_crate_passes_unmodified_on_every_server() {
    for kind in Server::ALL {
        through_the_sidecar(kind, true, |running| {
            running.runtime.block_on(async {
                for protocol in ["resp2", "resp3"] {
                    redis_crate(running.address.port(), protocol).await.unwrap();
                }
            });
        });
    }
}

async fn redis_crate(port: u16, protocol: &str) -> RedisResult<()> {
    let url = format!("redis://anybody:anything@127.0.0.1:{port}/?protocol={protocol}");
    let client = redis::Client::open(url)?;
    let mut connection = connect(&client).await?;
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(500) {
        let _: () = connection.set("crate:k", "v").await?;
        assert_eq!(connection.get::<_, String>("crate:k").await?, "v");
        let both: (i64, i64) = redis::pipe()
            .atomic()
            .set("crate:n", 0)
            .ignore()
            .incr("crate:n", 1)
            .incr("crate:n", 1)
            .query_async(&mut connection)
            .await?;
        assert_eq!(both, (1, 2));
        let answer: i64 = redis::cmd("EVAL")
            .arg("return redis.call('incr', KEYS[1])")
            .arg(1)
            .arg("crate:n")
            .query_async(&mut connection)
            .await?;
        assert_eq!(answer, 3);
        let mut pipeline = redis::pipe();
        (0..200).for_each(|number| {
            pipeline.cmd("ECHO").arg(number);
        });
        let replies: Vec<i64> = pipeline.query_async(&mut connection).await?;
        assert!(replies.into_iter().eq(0..200));
    }
    blocking(&client).await?;
    subscriber(&client, &mut connection).await
}

/// Half a second, the crate's own limit for an answer, is too little for a block.
async fn connect(client: &redis::Client) -> RedisResult<MultiplexedConnection> {
    let patient = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(20)));
    client.get_multiplexed_async_connection_with_config(&patient).await
}

/// A block that outlasts several re-AUTHs.
async fn blocking(client: &redis::Client) -> RedisResult<()> {
    let (mut waiting, mut pusher) = (connect(client).await?, connect(client).await?);
    let popped: Value = redis::cmd("BLPOP").arg("crate:none").arg(0.4).query_async(&mut waiting).await?;
    assert_eq!(popped, Value::Nil);
    let push = async {
        let pause: Value = redis::cmd("BLPOP").arg("crate:none").arg(0.4).query_async(&mut pusher).await?;
        assert_eq!(pause, Value::Nil);
        pusher.rpush::<_, _, ()>("crate:q", "x").await
    };
    let mut pop = redis::cmd("BLPOP");
    pop.arg("crate:q").arg(10);
    let (popped, pushed): (RedisResult<(String, String)>, _) = tokio::join!(pop.query_async(&mut waiting), push);
    pushed?;
    assert_eq!(popped?, ("crate:q".to_owned(), "x".to_owned()));
    Ok(())
}

/// Numbered messages to the crate's own subscriber; none is missing.
async fn subscriber(client: &redis::Client, publisher: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut subscriber = client.get_async_pubsub().await?;
    subscriber.subscribe("crate:c").await?;
    let (_sink, mut stream) = subscriber.split();
    let mut last = -1;
    for number in 0..500_i64 {
        publisher.publish::<_, _, ()>("crate:c", number).await?;
        while last < number {
            let message = stream.next().await;
            let got: i64 = message.unwrap().get_payload()?;
            assert!(got <= last + 1, "{got} after {last}: a message is missing");
            last = last.max(got);
        }
    }
    Ok(())
}
