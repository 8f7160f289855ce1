//! Ten thousand clients at once, each with its own numbers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::memory::resident_mib;
use crate::process::Entrant;
use crate::rounds;

const MANY: usize = 10_000;
/// In CI, where the machine may be small.
const SOME: usize = 1_000;
/// File descriptors that a process needs for itself.
const RESERVE: usize = 300;
/// Threads that play the clients.
const PLAYERS: usize = 8;

/// How many file descriptors a process of ours may have: children inherit it.
fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("the limits of this process");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("the limit of files");
    line.split_whitespace().next().and_then(|soft| soft.parse().ok()).unwrap_or(1024)
}

#[test]
fn ten_thousand_clients_share_and_each_gets_its_own_replies() {
    crowd("10,000 connections, sharing", &["--sharing", "on"], 1, 64);
}

#[test]
fn thousands_of_clients_with_a_connection_each_pass_sidecar_and_gate() {
    crowd("10,000 connections, 1:1 and gate", &[], 2, 256);
}

/// `each` descriptors for a client in one process, `kib` of memory at most.
fn crowd(name: &str, more: &[&str], each: usize, kib: usize) {
    let wanted = if rounds() > 1 { MANY } else { SOME };
    let count = wanted.min(descriptors().saturating_sub(RESERVE) / each);
    let emulator = Entrant::start(&["emulator", "--ports", "auto", "--time-lapse", "4"]);
    let ready = emulator.ready_file();
    let gate = Entrant::start(&["redis-gate", "--ports", "auto", "--attach", &ready, "--backend", "embedded"]);
    let upstream = format!("localhost:{}", gate.port("gate_port"));
    let proxy = ["redis-proxy", "--ports", "auto", "--attach", &ready, "--upstream", &upstream];
    let sidecar = Entrant::start(&[&proxy[..], more].concat());
    let port = sidecar.port("proxy_port");
    for round in 1..=rounds() {
        let started = Instant::now();
        let players: Vec<_> = (0..PLAYERS)
            .map(|player| std::thread::spawn(move || play((player..count).step_by(PLAYERS).collect(), port, round)))
            .collect();
        let played: Vec<(Vec<TcpStream>, u32)> =
            players.into_iter().map(|player| player.join().expect("right replies")).collect();
        let failed: u32 = played.iter().map(|(_, failed)| failed).sum();
        for process in [&sidecar, &gate] {
            let resident = resident_mib(process);
            let most = u64::try_from(count * kib / 1024).expect("a number") + 200;
            assert!(resident < most, "{resident} MiB for {count} clients");
        }
        eprintln!(
            "KILL | {name} | {round} | {count} clients | {} served | {failed} | 0 | {:.1} s, {} MiB sidecar, {} MiB gate",
            count - usize::try_from(failed).expect("a number"),
            started.elapsed().as_secs_f32(),
            resident_mib(&sidecar),
            resident_mib(&gate)
        );
        assert_eq!(failed, 0, "clients failed");
    }
}

/// Connects these clients, all of them, and asks each one twice; how many could not be served.
fn play(numbers: Vec<usize>, port: u16, round: u32) -> (Vec<TcpStream>, u32) {
    let mut failed = 0;
    let mut clients = Vec::new();
    for number in numbers {
        let opened = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            ask(&mut stream, &format!("{round}.{number}"))?;
            Ok((number, stream))
        });
        match opened {
            Ok(client) => clients.push(client),
            Err(_) => failed += 1,
        }
    }
    for (number, stream) in &mut clients {
        failed += u32::from(ask(stream, &format!("{round}.{number}.again")).is_err());
    }
    (clients.into_iter().map(|(_, stream)| stream).collect(), failed)
}

fn ask(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    stream.write_all(format!("ECHO {text}\r\n").as_bytes())?;
    let expected = format!("${}\r\n{text}\r\n", text.len());
    let mut reply = vec![0; expected.len()];
    stream.read_exact(&mut reply)?;
    if reply.starts_with(b"-") {
        return Err(std::io::ErrorKind::Other.into());
    }
    assert_eq!(String::from_utf8_lossy(&reply), expected, "a reply to another client");
    Ok(())
}
