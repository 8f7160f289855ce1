//! Random commands, sent both to a server directly and to another one through the sidecar, while tokens are renewed
//! all the time: the replies are the same to the byte. `cargo xtask differential COUNT` runs as many as wanted.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may stop at a broken promise, measures, and takes the number of commands from the environment"
)]

mod differential;
#[expect(dead_code, reason = "the harness of all sidecar tests")]
mod sidecar_support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use differential::{SETUP, Script};
use entrant_proto::resp::{ReplyFramer, ReplyLimits};
use entrant_relay::sidecar::{SidecarConfig, Upstream};
use entrant_testkit::Server;
use sidecar_support::server::Redis;
use sidecar_support::{Client, Running};

/// Clients at a time.
const CLIENTS: u64 = 16;
/// In each mode on each server, unless the environment says otherwise.
const COMMANDS: u64 = 10_000;
/// A long run is one on the server of the PATH; the others get this many at most.
const MOST_ON_OTHERS: u64 = 100_000;
/// Two seconds at twenty-fold time: a new token about every 50 ms.
const LIFE: Duration = Duration::from_secs(2);
const PACE: &str = "20";

/// What was compared.
#[derive(Debug, Default)]
struct Compared {
    commands: u64,
    replies: u64,
    connections: u64,
    /// Those that said nothing but what may share.
    stateless: u64,
    /// How long the connections lived, together.
    lived: Duration,
}

#[test]
fn one_to_one_every_reply_is_the_server_s_own_to_the_byte() {
    compare(false);
}

#[test]
fn shared_every_reply_is_the_server_s_own_to_the_byte() {
    compare(true);
}

fn compare(sharing: bool) {
    let wanted = std::env::var("ENTRANT_DIFFERENTIAL").ok().and_then(|count| count.parse().ok()).unwrap_or(COMMANDS);
    for kind in Server::ALL {
        let commands = if kind == Server::Redis { wanted } else { wanted.min(MOST_ON_OTHERS) };
        let (Some(plain), Some(server)) = (Redis::start_server(kind), Redis::start_server(kind)) else { return };
        let upstream = Upstream::parse(&format!("127.0.0.1:{}", server.port), None).unwrap();
        let config = SidecarConfig { sharing, ..SidecarConfig::new(upstream) };
        let running = Running::start_at_pace(PACE, server, LIFE, config, "127.0.0.1:0");
        let direct = SocketAddr::from(([127, 0, 0, 1], plain.port));
        for address in [direct, ([127, 0, 0, 1], running.server.port).into()] {
            for command in SETUP {
                let words: String = command.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
                let mut client = Client::to(address);
                client.send(format!("*{}\r\n{words}", command.len()).as_bytes());
                assert!(client.line().starts_with('$'));
            }
        }
        let before = connected(&running);
        let started = Instant::now();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let through = running.address;
                std::thread::spawn(move || one_client(number, commands / CLIENTS, direct, through))
            })
            .collect();
        let mut all = Compared::default();
        for client in clients {
            let one = client.join().unwrap();
            all.commands += one.commands;
            all.replies += one.replies;
            all.connections += one.connections;
            all.stateless += one.stateless;
            all.lived += one.lived;
        }
        let (took, upstream) = (started.elapsed(), connected(&running) - before);
        let auths = running.auths().saturating_sub(upstream);
        let mode = if sharing { "shared" } else { "1:1" };
        eprintln!(
            "{kind}, {mode}: {} commands, {} replies, {} connections ({upstream} upstream), {auths} re-AUTHs in {:.1} s \
             ({:.1} s of connections)",
            all.commands,
            all.replies,
            all.connections,
            took.as_secs_f64(),
            all.lived.as_secs_f64(),
        );
        // One every 100 ms: on each connection, and where they share on the shared one.
        let over = if sharing { took } else { all.lived };
        assert!(u128::from(auths) >= over.as_millis() / 100, "re-authenticated only {auths} times in {over:?}");
        let own = all.connections - all.stateless / 2;
        assert!(!sharing || upstream < own, "too few shared: {upstream} upstream of {}", all.connections);
    }
}

/// Connections that the server behind the sidecar has taken, but for our own questions.
fn connected(running: &Running) -> u64 {
    let stats = running.server.admin("INFO stats");
    let line = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap();
    line.parse().unwrap()
}

/// One client after the other, each with a connection to either server that lives for some batches.
fn one_client(number: u64, commands: u64, direct: SocketAddr, through: SocketAddr) -> Compared {
    let mut script = Script::new(number);
    let mut compared = Compared::default();
    while compared.commands < commands {
        script.connect();
        let stateless = script.random.one_in(2);
        let batches = if script.random.one_in(8) { 400 } else { 1 + script.random.below(40) };
        let (mut direct, mut through) = (Client::to(direct), Client::to(through));
        let started = Instant::now();
        compared.connections += 1;
        compared.stateless += u64::from(stateless);
        if script.random.one_in(2) {
            both(&mut script, &mut direct, &mut through, vec!["HELLO 3".into()], b"HELLO 3\r\n", &mut compared);
        }
        let mut before = Vec::new();
        for _ in 0..batches {
            if compared.commands >= commands {
                break;
            }
            let mut bytes = Vec::new();
            let batch = script.batch(stateless, &mut bytes);
            // A failure often shows itself after the command that made it.
            let lines = [std::mem::take(&mut before), vec!["--".to_owned()], batch.clone()].concat();
            before = batch;
            if !stateless {
                // Out of any transaction, SKIP and subscription.
                bytes.extend_from_slice(
                    b"PING\r\nPING\r\nDISCARD\r\nUNSUBSCRIBE\r\nPUNSUBSCRIBE\r\nSUNSUBSCRIBE\r\nPING\r\n",
                );
            }
            both(&mut script, &mut direct, &mut through, lines, &bytes, &mut compared);
        }
        compared.lived += started.elapsed();
        end(&mut script, &mut direct, &mut through);
    }
    compared
}

/// The same bytes to both, in pieces of any size, and the replies compared.
fn both(
    script: &mut Script,
    direct: &mut Client,
    through: &mut Client,
    lines: Vec<String>,
    bytes: &[u8],
    compared: &mut Compared,
) {
    compared.commands +=
        lines.len().saturating_sub(lines.iter().position(|line| line == "--").map_or(0, |at| at + 1)) as u64;
    // A mark that no value contains.
    let mark = format!("mark-{}", compared.commands);
    let mut bytes = bytes.to_vec();
    bytes.extend_from_slice(format!("*2\r\n$4\r\nECHO\r\n${}\r\n{mark}\r\n", mark.len()).as_bytes());
    let cut = if script.random.one_in(3) { script.random.below(bytes.len() as u64) } else { 0 };
    let (first, second) = bytes.split_at(usize::try_from(cut).unwrap());
    for part in [first, second] {
        direct.0.write_all(part).unwrap();
        through.0.write_all(part).unwrap();
    }
    let (expected, got) =
        (read_to(direct, &mark, "directly", &lines), read_to(through, &mark, "through the sidecar", &lines));
    compared.replies += expected.len() as u64;
    let differs = expected.iter().zip(&got).position(|(expected, got)| mask(expected) != mask(got));
    let show = |frames: &[Vec<u8>], at: usize| frames.get(at).map(|frame| String::from_utf8_lossy(frame).into_owned());
    if let Some(at) = differs.or_else(|| (expected.len() != got.len()).then_some(expected.len().min(got.len()))) {
        assert_eq!(show(&expected, at), show(&got, at), "reply {at} of {lines:#?}");
    }
}

/// The end of a connection: the client leaves, says so, or stops speaking the protocol.
fn end(script: &mut Script, direct: &mut Client, through: &mut Client) {
    let last: &[u8] = match script.random.below(4) {
        0 => b"GET k\r\nQUIT\r\n",
        1 => b"PING\r\n*1\r\n+x\r\n",
        2 => b"ECHO end\r\n*2\r\n$4\r\nECHO\r\n$-7\r\n",
        _ => return,
    };
    let rest = |stream: &mut TcpStream| {
        stream.write_all(last).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    assert_eq!(rest(&mut direct.0), rest(&mut through.0), "{:?}", String::from_utf8_lossy(last));
}

/// Everything up to the reply of a final `ECHO mark`.
fn read_to(client: &mut Client, mark: &str, way: &str, lines: &[String]) -> Vec<Vec<u8>> {
    let (mut framer, mut bytes, mut frames) = (ReplyFramer::new(ReplyLimits::RELAY), Vec::new(), Vec::new());
    let end = format!("${}\r\n{mark}\r\n", mark.len()).into_bytes();
    let (mut frame, mut at) = (Vec::new(), 0);
    loop {
        while let Some(piece) = framer.next(&bytes[at..]).unwrap() {
            frame.extend_from_slice(&bytes[at..at + piece.len]);
            at += piece.len;
            if !piece.last {
                continue;
            }
            let whole = std::mem::take(&mut frame);
            if whole == end {
                assert_eq!(at, bytes.len(), "more than was asked for");
                return frames;
            }
            frames.push(whole);
        }
        bytes.drain(..std::mem::take(&mut at));
        let mut chunk = [0; 16 << 10];
        let read = client.0.read(&mut chunk);
        let read = read.unwrap_or_else(|error| panic!("{way}: {error} after {} replies to {lines:#?}", frames.len()));
        assert_ne!(read, 0, "closed {way} after {} replies to {lines:#?}", frames.len());
        bytes.extend_from_slice(&chunk[..read]);
    }
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
