//! Many clients: idle ones, ten thousand, one for each command, and some that watch their latency at a renewal.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::contenders::{Contender, OURS_SHARED, sidecar};
use super::ground::{Ground, http, ready_file};
use super::load::measure;
use super::process::{Program, memory};
use crate::tokens::{Failure, speed::median};

/// How long a client that was accepted may wait for its first reply.
const PATIENCE: Duration = Duration::from_secs(60);
/// Clients that watch their latency.
const WATCHERS: usize = 16;

/// A connection for each command, twenty at a time.
pub fn connect(contender: &Contender, ground: &Ground, known: Option<f64>) -> Result<Value, Failure> {
    let run = |requests: f64| {
        let mut command = Command::new("redis-benchmark");
        command.args(["-p", &contender.port.to_string(), "-t", "set", "-d", "64", "--csv", "-k", "0", "-c", "20"]);
        command.args(["-n", &format!("{requests:.0}")]);
        if contender.tls {
            command.args(["-h", "localhost", "--tls", "--sni", "localhost", "--cacert"]);
            command.arg(ground.folder.join("ca.pem"));
        }
        measure(command, contender, ground, requests)
    };
    let rate = match known {
        Some(rate) => rate,
        None => super::load::number(&run(500.0)?, "rate"),
    };
    run((rate * 2.2).max(500.0))
}

/// Memory of the process between, empty and with idle clients that have each had a reply, in MiB.
pub fn idle(name: &'static str, counts: &[usize], ground: &Ground) -> Result<Value, Failure> {
    let contender = Contender::start(name, ground)?;
    let pid = contender.pid().ok_or("nothing stands between")?;
    let empty = memory(pid);
    let (mut clients, mut found) = (Vec::new(), Vec::new());
    for count in counts {
        let started = Instant::now();
        open(contender.port, *count, &mut clients)?;
        let seconds = started.elapsed().as_secs_f64();
        std::thread::sleep(Duration::from_secs(2));
        let (all, own) = memory(pid);
        found.push(json!({"clients": count, "memory": all, "own": own, "seconds": seconds}));
    }
    let served = ask_all(&mut clients)?;
    Ok(json!({"empty": empty.0, "empty_own": empty.1, "idle": found, "served": served}))
}

/// Opens connections until there are `count`, a hundred at a time, each answered once.
fn open(port: u16, count: usize, clients: &mut Vec<TcpStream>) -> Result<(), Failure> {
    while clients.len() < count {
        let from = clients.len();
        for _ in 0..(count - from).min(100) {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            clients.push(stream);
        }
        ask_all(&mut clients[from..])?;
    }
    Ok(())
}

/// Everybody asks, then everybody gets the reply; how many did.
fn ask_all(clients: &mut [TcpStream]) -> Result<usize, Failure> {
    for client in clients.iter_mut() {
        client.write_all(b"*2\r\n$6\r\nEXISTS\r\n$4\r\nnone\r\n")?;
    }
    let mut served = 0;
    for client in clients.iter_mut() {
        let mut reply = [0; 4];
        client.read_exact(&mut reply)?;
        served += usize::from(&reply == b":0\r\n");
    }
    Ok(served)
}

/// Latency of GET second by second while tokens are renewed: p99 of a second in which the sidecar authenticated
/// again beside that of the others.
pub fn renewal(name: &'static str, seconds: usize, ground: &Ground) -> Result<Value, Failure> {
    let ready = ground.folder.join("renewal.json");
    let _ = std::fs::remove_file(&ready);
    let mut command = sidecar(ground, name == OURS_SHARED);
    let program = Program::start(command.arg("--ready-file").arg(&ready), &ground.folder.join("renewal.log"))?;
    let facts = ready_file(&ready)?;
    let port = facts["proxy_port"].as_u64().and_then(|port| u16::try_from(port).ok()).ok_or("no proxy_port")?;
    let admin = facts["admin_url"].as_str().unwrap_or_default().trim_start_matches("http://").to_owned();
    let (stop, times) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let watchers: Vec<_> = (0..WATCHERS)
        .map(|_| {
            let (stop, times) = (stop.clone(), times.clone());
            std::thread::spawn(move || watch(port, &stop, &times))
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    let (mut calm, mut busy, mut renewals) = (Vec::new(), Vec::new(), 0.0);
    let mut before = reauths(&admin)?;
    lock(&times).clear();
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        let mut found: Vec<f64> = std::mem::take(&mut *lock(&times));
        let now = reauths(&admin)?;
        found.sort_by(f64::total_cmp);
        let p99 = found.get(found.len() * 99 / 100).copied().unwrap_or(f64::NAN);
        if now > before {
            busy.push(p99)
        } else {
            calm.push(p99)
        }
        renewals += now - before;
        before = now;
    }
    stop.store(true, Ordering::Relaxed);
    let lost = watchers.into_iter().map(|watcher| watcher.join().unwrap_or(1)).sum::<usize>();
    drop(program);
    if busy.is_empty() || calm.is_empty() {
        return Err(format!("{name}: {renewals} renewals, {} calm seconds", calm.len()).into());
    }
    let counts = (busy.len(), calm.len());
    let (busy, calm) = (median(busy), median(calm));
    Ok(
        json!({"renewals": renewals, "lost": lost, "busy": busy, "calm": calm, "ratio": busy / calm, "seconds": [counts.0, counts.1]}),
    )
}

fn lock(times: &Mutex<Vec<f64>>) -> std::sync::MutexGuard<'_, Vec<f64>> {
    times.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// GETs one after another until told to stop; how often that went wrong.
fn watch(port: u16, stop: &AtomicBool, times: &Mutex<Vec<f64>>) -> usize {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return 1 };
    let _ = stream.set_nodelay(true);
    let mut reply = [0; 256];
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let asked = stream.write_all(b"*2\r\n$3\r\nGET\r\n$4\r\nnone\r\n").and_then(|()| stream.read(&mut reply));
        if !matches!(asked, Ok(read) if &reply[..read] == b"$-1\r\n") {
            return 1;
        }
        lock(times).push(started.elapsed().as_secs_f64() * 1000.0);
    }
    0
}

/// Confirmed re-AUTHs so far.
fn reauths(admin: &str) -> Result<f64, Failure> {
    let text = http(admin, "/metrics", "")?;
    let lines = text.lines().filter(|line| line.contains("kind=\"reauth\"") && line.contains("result=\"ok\""));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}
