//! Random commands, sent both to a redis-server directly and to another one through the sidecar, while tokens are
//! renewed all the time: the replies are the same to the byte.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]
#![expect(clippy::disallowed_methods, reason = "the number of commands is taken from the environment")]

#[expect(dead_code, reason = "the harness of all sidecar tests")]
mod sidecar_support;

use std::io::{Read as _, Write as _};
use std::time::Duration;

use entrant_proto::resp::{ReplyFramer, ReplyLimits};
use sidecar_support::server::Redis;
use sidecar_support::{Client, Running};

/// A small generator: the run is the same every time, and its seed stands here.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        // xorshift64*, S. Vigna 2016.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// Commands whose replies depend on nothing but the commands before. `K` is a key, `N` a number, `V` a value.
const COMMANDS: &[&str] = &[
    "GET K",
    "SET K V",
    "SET K N",
    "INCR K",
    "APPEND K V",
    "STRLEN K",
    "DEL K",
    "EXISTS K K",
    "TYPE K",
    "GETRANGE K 0 5",
    "MSET K V K N",
    "MGET K K K",
    "LPUSH K V N",
    "RPUSH K V",
    "LPOP K",
    "LRANGE K 0 -1",
    "LLEN K",
    "HSET K f V",
    "HGET K f",
    "HGETALL K",
    "ZADD K N m",
    "ZRANGE K 0 -1 WITHSCORES",
    "SADD K N",
    "SCARD K",
    "SISMEMBER K N",
    "EXPIRE K 1000",
    "PERSIST K",
    "MULTI",
    "MULTI",
    "EXEC",
    "EXEC",
    "EXEC",
    "DISCARD",
    "WATCH K",
    "UNWATCH",
    "PING",
    "PING V",
    "ECHO V",
    "SELECT 0",
    "SELECT 1",
    "SELECT 99",
    "NOSUCH K",
    "GET",
    "SET K",
    "EVAL return{1,{2,'x'},false} 0",
    "EVAL return(redis.call('get',KEYS[1])) 1 K",
    "BLPOP K 0.01",
    "XADD K N-1 f V",
    "XRANGE K - +",
    "CLIENT SETNAME V",
    "CLIENT GETNAME",
    "CLIENT REPLY SKIP",
    "CLIENT REPLY ON",
    "CLIENT CACHING YES",
    "ASKING",
    "HELLO 2",
    "HELLO 3",
    "HELLO 9",
    "OBJECT ENCODING K",
    "BITCOUNT K",
    "SETBIT K N 1",
    "DUMP nokey",
    "COPY K K",
    "RENAME K K",
    "GETDEL K",
    "SORT K ALPHA",
    "LPOS K V",
    "SUBSTR K 0 3",
    "AUTH",
];

/// What a connection would be given up for, counting becoming impossible: the protocol changed inside MULTI, or a
/// SKIP before anything but an ordinary command or an error. Those cases have tests of their own.
fn next(random: &mut Random, multi: &mut bool, skip: &mut u8) -> &'static str {
    loop {
        let template = match *skip {
            0 => random.pick(COMMANDS),
            1 => "PING V",
            _ => "SET K V",
        };
        *skip = skip.saturating_sub(1);
        match template {
            "MULTI" => *multi = true,
            "EXEC" | "DISCARD" => *multi = false,
            "CLIENT REPLY SKIP" if !*multi => *skip = 2,
            _ if *multi && (template.starts_with("HELLO") || template.starts_with("CLIENT REPLY")) => continue,
            _ => {}
        }
        return template;
    }
}

fn encode(random: &mut Random, template: &str, out: &mut Vec<u8>) -> String {
    let words: Vec<String> = template
        .split(' ')
        .map(|word| match word {
            "K" => format!("key{}", random.below(12)),
            "V" => random.pick(&["value", "", "a\r\nb", "$5\r\nfake\r\n", "+OK\r\n", "12"]).to_owned(),
            "N" => random.below(50).to_string(),
            "N-1" => format!("{}-1", random.below(500)),
            word => word.to_owned(),
        })
        .collect();
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in &words {
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    words.join(" ")
}

/// Everything up to the reply of a final `ECHO mark`.
fn read_to(client: &mut Client, mark: &str) -> Vec<Vec<u8>> {
    let (mut framer, mut bytes, mut frames) = (ReplyFramer::new(ReplyLimits::RELAY), Vec::new(), Vec::new());
    let end = format!("${}\r\n{mark}\r\n", mark.len()).into_bytes();
    loop {
        while let Some(piece) = framer.next(&bytes).unwrap() {
            let frame: Vec<u8> = bytes.drain(..piece.len).collect();
            if frame == end {
                return frames;
            }
            frames.push(frame);
        }
        let mut chunk = [0; 16 << 10];
        let read = client.0.read(&mut chunk).unwrap();
        assert_ne!(read, 0, "closed");
        bytes.extend_from_slice(&chunk[..read]);
    }
}

#[test]
fn replies_through_the_sidecar_are_the_server_s_own_to_the_byte() {
    let commands: u64 =
        std::env::var("ENTRANT_DIFFERENTIAL").ok().and_then(|count| count.parse().ok()).unwrap_or(10_000);
    let Some(plain) = Redis::start() else { return };
    // Two seconds of the test's clock: a new token every 25 ms.
    let Some(running) = Running::start(Duration::from_secs(2), false) else { return };
    let mut direct = Client::to(([127, 0, 0, 1], plain.port).into());
    let mut through = running.connect();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut sent, mut batch) = (0, 0);
    while sent < commands {
        let (mut bytes, mut multi, mut skip) = (Vec::new(), false, 0);
        let lines: Vec<String> = (0..=random.below(20))
            .map(|_| {
                let template = next(&mut random, &mut multi, &mut skip);
                encode(&mut random, template, &mut bytes)
            })
            .collect();
        sent += lines.len() as u64;
        batch += 1;
        // Out of any transaction and SKIP, and a mark that no value contains.
        let mark = format!("mark-{batch}");
        bytes.extend_from_slice(b"PING\r\nPING\r\nDISCARD\r\nPING\r\n");
        bytes.extend_from_slice(format!("*2\r\n$4\r\nECHO\r\n${}\r\n{mark}\r\n", mark.len()).as_bytes());
        direct.0.write_all(&bytes).unwrap();
        through.0.write_all(&bytes).unwrap();
        let (expected, got) = (read_to(&mut direct, &mark), read_to(&mut through, &mark));
        let differs = expected.iter().zip(&got).position(|(expected, got)| mask(expected) != mask(got));
        let show =
            |frames: &[Vec<u8>], at: usize| frames.get(at).map(|frame| String::from_utf8_lossy(frame).into_owned());
        if let Some(at) = differs.or_else(|| (expected.len() != got.len()).then_some(expected.len().min(got.len()))) {
            assert_eq!(show(&expected, at), show(&got, at), "reply {at} of {lines:#?}");
        }
        assert_eq!(expected.len(), got.len(), "{lines:#?}");
    }
    let auths = running.auths();
    assert!(auths > commands / 2000, "re-authenticated only {auths} times in {commands} commands");
}

/// `HELLO`'s reply holds the connection's number, which differs by nature.
fn mask(frame: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(frame);
    match text.split_once("$2\r\nid\r\n:") {
        Some((before, after)) if text.contains("\r\nproto\r\n") => {
            let rest = after.split_once("\r\n").map_or("", |(_, rest)| rest);
            format!("{before}{rest}").into_bytes()
        }
        _ => frame.to_vec(),
    }
}
