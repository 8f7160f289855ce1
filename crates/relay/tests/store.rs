//! The embedded store beside a real redis-server 7.0.15: the same commands, the same replies.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test may stop at a broken promise")]

mod support;

use entrant_proto::resp::Value;
use entrant_relay::store::{Store, StoreConfig};
use entrant_testkit::Server;
use support::{RedisServer, Wire, real_time, show, text, words};

/// Replies whose order Redis leaves open.
const UNORDERED: [&str; 9] = ["smembers", "sunion", "sinter", "sdiff", "hgetall", "hkeys", "hvals", "keys", "spop"];

fn store_wire(store: &Store) -> Wire {
    let (near, far) = tokio::io::duplex(64 << 10);
    tokio::spawn(store.clone().serve(far));
    Wire::new(near)
}

fn new_store() -> Store {
    Store::new(StoreConfig::default(), &real_time())
}

/// A reply as it may be compared: what Redis leaves open is put in order.
fn comparable(command: &str, value: Value) -> Value {
    let name = command.split(' ').next().unwrap_or_default().to_ascii_lowercase();
    let sorted = |mut values: Vec<Value>| {
        values.sort_by_key(|value| format!("{value:?}"));
        values
    };
    match value {
        Value::Array(values) if matches!(name.as_str(), "scan" | "sscan" | "hscan") => {
            let mut parts = values.into_iter();
            let cursor = parts.next().unwrap();
            let Some(Value::Array(found)) = parts.next() else { panic!("not a scan reply") };
            let found = if name == "hscan" { pairs(found) } else { found };
            Value::Array(vec![cursor, Value::Array(sorted(found))])
        }
        Value::Array(values) if name == "hgetall" => Value::Array(sorted(pairs(values))),
        Value::Array(values) if UNORDERED.contains(&name.as_str()) => Value::Array(sorted(values)),
        Value::Set(values) => Value::Set(sorted(values)),
        Value::Map(mut map) if name == "hgetall" => {
            map.sort_by_key(|pair| format!("{pair:?}"));
            Value::Map(map)
        }
        other => other,
    }
}

fn pairs(values: Vec<Value>) -> Vec<Value> {
    values.chunks(2).map(|pair| Value::Array(pair.to_vec())).collect()
}

async fn compare(real: &mut Wire, own: &mut Wire, lines: &[&str]) {
    for line in lines {
        let args = words(line);
        let (expected, found) = (real.call(&args).await, own.call(&args).await);
        assert_eq!(show(&comparable(line, found)), show(&comparable(line, expected)), "{line}");
    }
}

const SCRIPT: &str = include_str!("commands.txt");

#[tokio::test]
async fn every_command_answers_as_redis_does_in_both_protocols() {
    let Some(server) = RedisServer::start().await else { return };
    let lines: Vec<&str> = SCRIPT.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    for version in ["2", "3"] {
        let store = new_store();
        let (mut real, mut own) = (server.wire().await, store_wire(&store));
        real.say("FLUSHALL").await;
        real.say(&format!("HELLO {version}")).await;
        own.say(&format!("HELLO {version}")).await;
        compare(&mut real, &mut own, &lines).await;
    }
}

#[tokio::test]
async fn every_command_of_the_list_is_in_the_script() {
    let used: Vec<String> =
        SCRIPT.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join("|").to_ascii_lowercase()).collect();
    // These are compared in tests of their own, or answer differently by nature.
    let elsewhere = [
        "hello",
        "quit",
        "reset",
        "auth",
        "subscribe",
        "unsubscribe",
        "psubscribe",
        "punsubscribe",
        "publish",
        "pubsub",
        "blpop",
        "brpop",
        "multi",
        "exec",
        "discard",
        "watch",
        "unwatch",
        "info",
        "time",
        "acl",
        "config",
        "command",
        "client",
        "cluster",
        "randomkey",
        "spop",
    ];
    for name in Store::commands() {
        let parent = name.split('|').next().unwrap();
        let covered = elsewhere.contains(&parent)
            || used.iter().any(|line| line == name || line.split('|').next() == Some(parent));
        assert!(covered, "{name} is compared with Redis nowhere");
    }
}

#[test]
fn the_reference_page_lists_exactly_the_commands_there_are() {
    let page = include_str!("../../../docs/reference/embedded-store.md");
    let table = page.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut listed: Vec<String> = table
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .map(|name| name.to_ascii_lowercase().replace(' ', "|"))
        .collect();
    let mut own: Vec<String> = Store::commands().map(str::to_owned).collect();
    // Those with subcommands are listed by them.
    own.retain(|name| !own_parents().contains(&name.as_str()));
    listed.sort();
    own.sort();
    assert_eq!(listed, own);
}

fn own_parents() -> [&'static str; 6] {
    ["acl", "client", "cluster", "command", "config", "pubsub"]
}

#[tokio::test]
async fn arity_keys_categories_and_flags_are_those_of_redis() {
    let Some(server) = RedisServer::start().await else { return };
    let store = new_store();
    let (mut real, mut own) = (server.wire().await, store_wire(&store));
    for name in Store::commands().filter(|name| !name.contains('|')) {
        let (expected, found) =
            (real.say(&format!("COMMAND INFO {name}")).await, own.say(&format!("COMMAND INFO {name}")).await);
        compare_info(name, &found.elements().unwrap()[0], &expected.elements().unwrap()[0]);
    }
}

fn compare_info(name: &str, found: &Value, expected: &Value) {
    let (found, expected) = (found.elements().unwrap(), expected.elements().unwrap());
    // Name, arity, first key, last key, step.
    for at in [0, 1, 3, 4, 5] {
        assert_eq!(found[at], expected[at], "{name}: field {at}");
    }
    let words = |value: &Value| {
        let mut words: Vec<String> = value.elements().unwrap().iter().map(text).collect();
        words.sort();
        words
    };
    assert_eq!(words(&found[6]), words(&expected[6]), "{name}: categories");
    for flag in ["denyoom", "no_auth"] {
        let has = |value: &Value| words(value).iter().any(|own| own == flag);
        assert_eq!(has(&found[2]), has(&expected[2]), "{name}: {flag}");
    }
    for sub in found[9].elements().unwrap() {
        let of = |value: &Value| text(&value.elements().unwrap()[0]);
        let expected = expected[9].elements().unwrap().iter().find(|own| of(own) == of(sub));
        match expected {
            Some(expected) => compare_info(&of(sub), sub, expected),
            None => panic!("{} is not a command of Redis", of(sub)),
        }
    }
}

/// A small generator, so that a failure is found again by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides
    }

    fn of<'a>(&mut self, values: &[&'a str]) -> &'a str {
        values[self.roll(values.len())]
    }
}

/// `k` a key, `f` a field or member, `v` a value, `n` an integer, `s` a score.
const TEMPLATES: &[&str] = &[
    "GET k",
    "SET k v",
    "SET k v NX",
    "SET k v XX GET",
    "SET k v KEEPTTL",
    "SET k v EX 1000",
    "SETNX k v",
    "SETEX k 1000 v",
    "GETSET k v",
    "GETDEL k",
    "GETEX k PERSIST",
    "MGET k k k",
    "MSET k v k v",
    "INCR k",
    "DECR k",
    "INCRBY k n",
    "DECRBY k n",
    "APPEND k v",
    "STRLEN k",
    "GETRANGE k n n",
    "DEL k",
    "UNLINK k k",
    "EXISTS k k",
    "TYPE k",
    "RENAME k k",
    "RENAMENX k k",
    "KEYS k*",
    "EXPIRE k 1000 NX",
    "EXPIRE k n",
    "TTL k",
    "PERSIST k",
    "TOUCH k",
    "HSET k f v",
    "HSET k f v f v",
    "HMSET k f v",
    "HSETNX k f v",
    "HGET k f",
    "HMGET k f f",
    "HGETALL k",
    "HDEL k f",
    "HEXISTS k f",
    "HLEN k",
    "HKEYS k",
    "HVALS k",
    "HINCRBY k f n",
    "HSCAN k 0",
    "LPUSH k v v",
    "RPUSH k v",
    "LPOP k",
    "RPOP k",
    "LPOP k n",
    "RPOP k 2",
    "LLEN k",
    "LRANGE k n n",
    "LINDEX k n",
    "LSET k n v",
    "LREM k n v",
    "LTRIM k n n",
    "LMOVE k k LEFT RIGHT",
    "RPOPLPUSH k k",
    "BLPOP k k 0.001",
    "SADD k f f",
    "SREM k f",
    "SMEMBERS k",
    "SISMEMBER k f",
    "SMISMEMBER k f f",
    "SCARD k",
    "SUNION k k",
    "SINTER k k",
    "SDIFF k k",
    "SSCAN k 0",
    "ZADD k s f",
    "ZADD k NX s f",
    "ZADD k GT CH s f s f",
    "ZADD k INCR s f",
    "ZREM k f",
    "ZSCORE k f",
    "ZCARD k",
    "ZRANGE k n n",
    "ZRANGE k n n REV WITHSCORES",
    "ZRANGE k s s BYSCORE LIMIT 0 2",
    "ZRANGEBYSCORE k -inf s WITHSCORES",
    "ZINCRBY k s f",
    "ZRANK k f",
    "ZCOUNT k (s s",
    "ZREMRANGEBYSCORE k s (s",
    "DBSIZE",
    "SCAN 0 COUNT 1000",
    "ECHO v",
    "SELECT 0",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH k",
    "UNWATCH",
    "FLUSHDB",
    "GET",
    "HSET k f",
    "ZADD k x f",
    "INCRBY k x",
    "NOSUCH k",
    "CLIENT NOSUCH",
    "LRANGE k x 1",
];

fn random_command(dice: &mut Dice) -> Vec<u8> {
    let template = TEMPLATES[dice.roll(TEMPLATES.len())];
    // FLUSHDB is rarer, or nothing would ever grow.
    let template = if template == "FLUSHDB" && dice.roll(20) > 0 { "PING" } else { template };
    let mut args: Vec<String> = Vec::new();
    for word in template.split(' ') {
        args.push(match word {
            "k" => dice.of(&["k1", "k2", "k3", "k4", "k5"]).to_owned(),
            "f" => dice.of(&["f1", "f2", "f3", "3", ""]).to_owned(),
            "v" => dice.of(&["a", "b", "10", "-3", "", "1.5", "two words"]).to_owned(),
            "n" => dice.of(&["0", "1", "2", "3", "-1", "-2", "-7"]).to_owned(),
            "s" => dice.of(&["0", "1", "1.5", "-2", "3"]).to_owned(),
            "(s" => format!("({}", dice.of(&["0", "1", "2.5"])),
            other => other.to_owned(),
        });
    }
    let mut out = bytes::BytesMut::new();
    entrant_proto::resp::encode_command(&mut out, &args);
    out.to_vec()
}

#[tokio::test]
async fn random_commands_get_the_same_replies_as_from_redis() {
    let Some(server) = RedisServer::start().await else { return };
    for (seed, hello) in [(1, "HELLO 2"), (2, "HELLO 3"), (3, "HELLO 3")] {
        let mut dice = Dice(seed);
        let store = new_store();
        let (mut real, mut own) = (server.wire().await, store_wire(&store));
        real.say("FLUSHALL").await;
        real.say(hello).await;
        own.say(hello).await;
        for batch in 0..400 {
            let commands: Vec<Vec<u8>> = (0..50).map(|_| random_command(&mut dice)).collect();
            let bytes = commands.concat();
            real.send_raw(&bytes).await;
            own.send_raw(&bytes).await;
            for command in &commands {
                let line = entrant_proto::resp::Args::of(command)
                    .map(|arg| String::from_utf8_lossy(&arg).into_owned())
                    .collect::<Vec<_>>()
                    .join(" ");
                let (expected, found) = (real.read().await, own.read().await);
                assert_eq!(
                    show(&loose(&line, found)),
                    show(&loose(&line, expected)),
                    "seed {seed}, batch {batch}: {line}"
                );
            }
        }
    }
}

/// Comparable also inside EXEC, where it is not known which command a reply belongs to.
fn loose(line: &str, value: Value) -> Value {
    if !line.starts_with("EXEC") {
        return comparable(line, value);
    }
    let sort = |value: Value| match value {
        Value::Array(mut inner) => {
            for value in &mut inner {
                if let Value::Array(deeper) = value {
                    deeper.sort_by_key(|value| format!("{value:?}"));
                }
            }
            inner.sort_by_key(|value| format!("{value:?}"));
            Value::Array(inner)
        }
        Value::Set(mut inner) => {
            inner.sort_by_key(|value| format!("{value:?}"));
            Value::Set(inner)
        }
        Value::Map(mut inner) => {
            inner.sort_by_key(|pair| format!("{pair:?}"));
            Value::Map(inner)
        }
        other => other,
    };
    match value {
        Value::Array(values) => Value::Array(values.into_iter().map(sort).collect()),
        other => other,
    }
}

/// Two connections to either server; the transcript of both.
async fn transcript(mut one: Wire, mut two: Wire, steps: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for step in steps {
        let (who, rest) = step.split_once(' ').unwrap();
        let wire = if who.starts_with('1') { &mut one } else { &mut two };
        let said = match who.trim_start_matches(['1', '2']) {
            "" => show(&wire.say(rest).await),
            ">" => {
                wire.send(&words(rest)).await;
                continue;
            }
            "<" => show(&wire.read().await),
            other => panic!("{other}"),
        };
        lines.push(format!("{step}: {said}"));
    }
    lines
}

async fn same_story(server: &RedisServer, steps: &[&str]) {
    let store = new_store();
    server.wire().await.say("FLUSHALL").await;
    let expected = transcript(server.wire().await, server.wire().await, steps).await;
    let found = transcript(store_wire(&store), store_wire(&store), steps).await;
    same(&found, &expected);
}

fn same(found: &[String], expected: &[String]) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

#[tokio::test]
async fn transactions_and_watched_keys_go_as_in_redis() {
    let Some(server) = RedisServer::start().await else { return };
    same_story(
        &server,
        &[
            "1 MULTI",
            "1 SET a 1",
            "1 INCR a",
            "1 LPUSH a x",
            "1 GET a",
            "1 EXEC",
            "1 WATCH a",
            "2 SET a 9",
            "1 MULTI",
            "1 SET a 2",
            "1 EXEC",
            "1 GET a",
            "1 WATCH nokey",
            "2 SET nokey 1",
            "2 DEL nokey",
            "1 MULTI",
            "1 PING",
            "1 EXEC",
            "1 WATCH a",
            "2 HDEL nohash f",
            "2 GET a",
            "1 MULTI",
            "1 GET a",
            "1 EXEC",
            "1 MULTI",
            "1 NOSUCH",
            "1 SET a 3",
            "1 EXEC",
            "1 MULTI",
            "1 SET a",
            "1 EXEC",
            "1 MULTI",
            "1 MULTI",
            "1 WATCH a",
            "1 DISCARD",
            "1 DISCARD",
            "1 EXEC",
            "1 WATCH a",
            "1 UNWATCH",
            "2 SET a 5",
            "1 MULTI",
            "1 GET a",
            "1 EXEC",
            "1 MULTI",
            "1 BLPOP nolist 0",
            "1 EXEC",
            "1 SELECT 3",
            "1 SET a three",
            "2 GET a",
            "1 WATCH a",
            "2 SET a zero",
            "1 MULTI",
            "1 GET a",
            "1 EXEC",
        ],
    )
    .await;
}

#[tokio::test]
async fn blocked_clients_are_served_as_in_redis() {
    let Some(server) = RedisServer::start().await else { return };
    same_story(
        &server,
        &[
            "1> BLPOP a b 0",
            "2 RPUSH b x y",
            "1< .",
            "2 LRANGE b 0 -1",
            "1> BRPOP b c 0",
            "1< .",
            "2 EXISTS b",
            "1> BLPOP q 0",
            "2 MULTI",
            "2 RPUSH q 1",
            "2 RPUSH q 2",
            "2 EXEC",
            "1< .",
            "2 LRANGE q 0 -1",
            "1> BLPOP n 0.05",
            "1< .",
            "1> BLPOP w 0",
            "2 SET w string",
            "2 DEL w",
            "2 LPUSH w late",
            "1< .",
            "2 SET s 1",
            "1 BLPOP s 1",
            "1 BLPOP x -1",
            "1 BLPOP x nan",
            "1 BRPOP x y",
            "1> BLPOP first 0",
            "1> PING",
            "2 LPUSH first v",
            "1< .",
            "1< .",
        ],
    )
    .await;
}

#[tokio::test]
async fn subscribers_hear_the_same_as_in_redis_in_both_protocols() {
    let Some(server) = RedisServer::start().await else { return };
    let steps = [
        "1> SUBSCRIBE a b",
        "1< .",
        "1< .",
        "2 PUBLISH a hello",
        "1< .",
        "1> PSUBSCRIBE a*",
        "1< .",
        "2 PUBLISH a twice",
        "1< .",
        "1< .",
        "2 PUBLISH nobody x",
        "1 PING",
        "1 PING text",
        "1 GET k",
        "2 PUBSUB CHANNELS b*",
        "2 PUBSUB NUMSUB a c",
        "2 PUBSUB NUMPAT",
        "1> UNSUBSCRIBE a",
        "1< .",
        "1> UNSUBSCRIBE",
        "1< .",
        "1> PUNSUBSCRIBE",
        "1< .",
        "1> UNSUBSCRIBE",
        "1< .",
        "1 GET k",
        "1> SUBSCRIBE c",
        "1< .",
        "1 RESET",
        "1 PING",
    ];
    same_story(&server, &steps).await;
    let with_hello: Vec<&str> = steps.to_vec();
    let store = new_store();
    let mut transcripts = Vec::new();
    for wires in [(server.wire().await, server.wire().await), (store_wire(&store), store_wire(&store))] {
        let (mut one, two) = wires;
        one.say("HELLO 3").await;
        transcripts.push(transcript(one, two, &with_hello).await);
    }
    same(&transcripts[1], &transcripts[0]);
}

#[tokio::test]
async fn users_and_access_strings_are_enforced_as_in_redis() {
    let Some(server) = RedisServer::start().await else { return };
    let mut steps = vec!["1 ACL SETUSER u reset on >p +@read ~cache:* &news:*", "2 AUTH u wrong", "2 AUTH u p"];
    let tries = [
        "2 GET cache:1",
        "2 GET other",
        "2 MGET cache:1 other",
        "2 SET cache:1 v",
        "2 PING",
        "2 ECHO x",
        "2 SELECT 1",
        "2 CLIENT SETNAME x",
        "2 INFO",
        "2 ACL WHOAMI",
        "2 KEYS *",
        "2 CONFIG GET save",
        "2 MULTI",
        "2 SUBSCRIBE x",
    ];
    steps.extend(tries);
    steps.extend([
        "1 ACL SETUSER u +@all allkeys",
        "2 SET other v",
        "2 ACL WHOAMI",
        "2 PUBLISH news:1 x",
        "2 PUBLISH x y",
    ]);
    steps.extend([
        "1 ACL SETUSER u nonsense",
        "1 ACL SETUSER u +@nonsense",
        "1 ACL SETUSER u ~x",
        "1 ACL SETUSER u <q",
    ]);
    steps.extend(["2 MULTI", "2 SET a 1", "1 ACL SETUSER u -set", "2 EXEC", "2 SET a 1"]);
    steps.extend([
        "1 ACL SETUSER v on >p +@all -@dangerous ~* &*",
        "2 AUTH v p",
        "2 FLUSHALL",
        "2 DBSIZE",
        "2 RESET",
        "2 ACL WHOAMI",
    ]);
    same_story(&server, &steps).await;
}

#[tokio::test]
async fn deleting_a_user_closes_its_connections() {
    let store = new_store();
    let (mut admin, mut user) = (store_wire(&store), store_wire(&store));
    admin.say("ACL SETUSER u on >p +@all ~* &*").await;
    assert_eq!(text(&user.say("AUTH u p").await), "OK");
    assert_eq!(text(&admin.say("ACL DELUSER u default2").await), "1");
    user.closed().await;
}

#[tokio::test]
async fn a_full_store_refuses_writes_and_still_answers_reads() {
    let store = Store::new(StoreConfig { max_bytes: 100_000 }, &real_time());
    let mut wire = store_wire(&store);
    let value = "x".repeat(10_000);
    let replies: Vec<String> = {
        let mut replies = Vec::new();
        for at in 0..20 {
            replies.push(text(&wire.call(&["SET", &format!("k{at}"), &value]).await));
        }
        replies
    };
    assert_eq!(replies[0], "OK");
    assert!(replies[19].starts_with("-OOM"), "{}", replies[19]);
    assert_eq!(text(&wire.say("STRLEN k0").await), "10000");
    assert_eq!(text(&wire.say("DEL k0 k1 k2 k3").await), "4");
    assert_eq!(text(&wire.say("SET k0 small").await), "OK");
    let huge = "x".repeat(200_000);
    wire.send_into_refusal(&["SET", "huge", &huge]).await;
    assert_eq!(text(&wire.read().await), "-ERR Protocol error: invalid bulk length");
    wire.closed().await;
}

#[tokio::test]
async fn keys_end_by_the_clock_that_was_handed_in() {
    let stage = entrant_testkit::Stage::new();
    let store = Store::new(StoreConfig::default(), &stage.outside());
    let mut wire = store_wire(&store);
    wire.say("SET k v EX 100").await;
    stage.clock.advance(std::time::Duration::from_secs(99));
    assert_eq!(text(&wire.say("TTL k").await), "1");
    stage.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(text(&wire.say("GET k").await), "(nil)");
    assert_eq!(text(&wire.say("DBSIZE").await), "0");
    wire.send(&words("BLPOP list 30")).await;
    let moment = stage.clock.sleeper().await;
    stage.clock.set(moment);
    assert_eq!(wire.read().await, Value::Null);
}

#[tokio::test]
async fn replies_can_be_switched_off_and_skipped() {
    let Some(server) = RedisServer::start().await else { return };
    let store = new_store();
    for mut wire in [server.wire().await, store_wire(&store)] {
        wire.send_raw(
            b"CLIENT REPLY SKIP\r\nSET a 1\r\nGET a\r\nCLIENT REPLY OFF\r\nGET a\r\nCLIENT REPLY ON\r\nPING\r\n",
        )
        .await;
        let replies = [text(&wire.read().await), text(&wire.read().await), text(&wire.read().await)];
        assert_eq!(replies, ["1", "OK", "PONG"]);
    }
}

#[tokio::test]
async fn malformed_requests_are_answered_as_redis_answers_them() {
    let Some(server) = RedisServer::start().await else { return };
    for bytes in [
        &b"*x\r\n"[..],
        b"*1\r\n:1\r\n",
        b"*1\r\n$x\r\n",
        b"*1\r\n$-1\r\n",
        b"GET \"k\r\n",
        b"*0\r\nPING\r\n*x\r\n",
        b"*2147483648\r\n",
        b"*2\r\n$4\r\nECHO\r\n$99999999999\r\n",
    ] {
        let store = new_store();
        let (mut real, mut own) = (server.wire().await, store_wire(&store));
        real.send_raw(bytes).await;
        own.send_raw(bytes).await;
        let mut replies = (Vec::new(), Vec::new());
        while let Some(value) = real.next().await {
            replies.0.push(value);
        }
        while let Some(value) = own.next().await {
            replies.1.push(value);
        }
        assert_eq!(replies.1, replies.0, "{}", String::from_utf8_lossy(bytes));
    }
}

/// Replies as far as two servers must agree on them: of errors the code, and of protocol errors the text.
fn agreed(value: &Value) -> String {
    let shown = show(value);
    if shown.starts_with("-ERR Protocol error") || !shown.starts_with('-') { shown } else { shown[..4].to_owned() }
}

#[tokio::test]
async fn damaged_requests_are_cut_into_the_same_commands_as_by_redis() {
    const DAMAGE: &[u8] = b"*$0123456789-\r\n \"'ab";
    let mut compared = 0;
    for kind in [Server::Redis, Server::Redis8] {
        let Some(server) = RedisServer::start_server(kind).await else { continue };
        let mut dice = Dice(4);
        for _ in 0..400 {
            let mut bytes = Vec::new();
            for at in 0..4 {
                bytes.extend(format!("*2\r\n$4\r\nECHO\r\n$1\r\n{at}\r\n").into_bytes());
                bytes.extend_from_slice(b"ECHO \"in line\"\r\n");
            }
            for _ in 0..=dice.roll(2) {
                let at = dice.roll(bytes.len());
                bytes[at] = DAMAGE[dice.roll(DAMAGE.len())];
            }
            let store = new_store();
            let (mut real, mut own) = (server.wire().await, store_wire(&store));
            real.send_raw(&bytes).await;
            own.send_raw(&bytes).await;
            let expected: Vec<_> = real.rest().await.iter().map(agreed).collect();
            let mut found: Vec<_> = own.rest().await.iter().map(agreed).collect();
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            if found.last().is_some_and(|last| last.ends_with("missing CRLF")) {
                // Redis skips two bytes behind a length or a string without looking at them; this codec looks.
                found.pop();
                assert_eq!(found, expected[..found.len()], "{shown:?}");
            } else {
                assert_eq!(found, expected, "{shown:?}");
                compared += 1;
            }
        }
        assert!(compared > 200, "most damage is judged alike");
    }
}
