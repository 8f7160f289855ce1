//! Emulator, redis-server, gate, both kinds of sidecar and a managed connection, with a wire between clients and gate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::forwarder::Forwarder;
use crate::load::{Count, client};
use crate::managed;
use crate::memory::resident_mib;
use crate::process::{Entrant, eventually};
use crate::redis_server::RedisServer;

/// Clients of each route.
const CLIENTS: usize = 4;
/// How soon everybody must be served again once the fault is over, on a busy machine in a debug build. The longest
/// wait on the way is 15 s: the sharing sidecar's for an upstream that owes replies.
const RECOVERY: Duration = Duration::from_secs(40);
/// Right replies of one route by which it counts as served.
const SERVED: u64 = 20;
/// More than any of them needs; a leak of one buffer a round would show.
const MOST_MIB: u64 = 256;

/// All of it, under load.
pub(crate) struct Stage {
    pub(crate) emulator: Entrant,
    pub(crate) redis: RedisServer,
    pub(crate) gate: Option<Entrant>,
    gate_port: u16,
    pub(crate) wire: Forwarder,
    /// One upstream connection for each client, and shared ones.
    pub(crate) sidecars: [Entrant; 2],
    routes: [(&'static str, Arc<Count>); 3],
    managed: Option<Runtime>,
    clients: Vec<std::thread::JoinHandle<()>>,
}

impl Stage {
    /// With a clock `lapse` times as fast: a token lives 3600 s of it. `None` where redis-server is not installed.
    pub(crate) fn start(lapse: &str) -> Option<Self> {
        let redis = RedisServer::start()?;
        let emulator = Entrant::start(&["emulator", "--ports", "auto", "--time-lapse", lapse]);
        let (gate, gate_port) = start_gate(&emulator, redis.port, None);
        let wire = Forwarder::to(gate_port);
        let (ready, upstream) = (emulator.ready_file(), format!("localhost:{}", wire.port));
        let arguments = ["redis-proxy", "--ports", "auto", "--attach", &ready, "--upstream", &upstream];
        let sidecars = [Entrant::start(&arguments), Entrant::start(&[&arguments[..], &["--sharing", "on"]].concat())];
        let routes = ["1:1", "sharing", "managed"].map(|name| (name, Arc::new(Count::default())));
        let managed = managed::start(&emulator, wire.port, CLIENTS, &routes[2].1);
        let clients = (0..CLIENTS * 2)
            .map(|at| {
                let route = at % 2;
                let (name, count) = &routes[route];
                client(format!("{name}-{at}"), sidecars[route].port("proxy_port"), Arc::clone(count))
            })
            .collect();
        let gate = Some(gate);
        let mut stage =
            Self { emulator, redis, gate, gate_port, wire, sidecars, routes, managed: Some(managed), clients };
        stage.served("at the start");
        Some(stage)
    }

    /// Every route is served from now on.
    pub(crate) fn served(&mut self, when: &str) {
        let before = self.routes.each_ref().map(|(_, count)| count.right());
        let started = Instant::now();
        for ((name, count), before) in self.routes.iter().zip(before) {
            let served = eventually(RECOVERY, || count.right() >= before + SERVED);
            if started.elapsed() > Duration::from_secs(5) {
                eprintln!("{name} is served {when} after {:.1} s", started.elapsed().as_secs_f32());
            }
            assert!(
                served,
                "{name} is not served {when}: {:?}\n{}\n{}",
                count.errors(),
                self.sidecars.each_ref().map(|sidecar| tail(&sidecar.log())).concat(),
                self.gate.as_ref().map(|gate| tail(&gate.log())).unwrap_or_default()
            );
        }
        eprintln!("{when}: all served after {:.1} s", started.elapsed().as_secs_f32());
        for (name, count) in &self.routes {
            count.none_wrong(name);
        }
        for (name, process) in ["1:1", "sharing", "gate"].iter().zip(self.sidecars.iter().chain(&self.gate)) {
            let resident = resident_mib(process);
            assert!(resident < MOST_MIB, "{name} holds {resident} MiB {when}");
        }
    }

    /// The gate is killed; nobody listens on its port.
    pub(crate) fn kill_gate(&mut self) {
        self.gate = None;
    }

    /// Another gate on the same port.
    pub(crate) fn start_gate(&mut self) {
        self.gate = Some(start_gate(&self.emulator, self.redis.port, Some(self.gate_port)).0);
    }

    /// Stops the load and says what happened.
    pub(crate) fn end(mut self, fault: &str, rounds: u32) {
        for (_, count) in &self.routes {
            count.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        self.clients.drain(..).for_each(|client| client.join().expect("no client has panicked"));
        drop(self.managed.take());
        for (name, count) in &self.routes {
            count.none_wrong(name);
            let failed = count.failed.load(std::sync::atomic::Ordering::Relaxed);
            eprintln!("KILL | {fault} | {rounds} | {name} | {} | {failed} | 0 |", count.right());
            eprintln!("  {:?}", count.errors());
        }
        let resident = self.sidecars.iter().chain(&self.gate).map(|process| resident_mib(process).to_string());
        eprintln!("KILL-MIB | {fault} | {}", resident.collect::<Vec<_>>().join(" | "));
    }
}

fn start_gate(emulator: &Entrant, redis: u16, port: Option<u16>) -> (Entrant, u16) {
    let (ready, backend) = (emulator.ready_file(), format!("redis://127.0.0.1:{redis}"));
    let port = port.map(|port| port.to_string());
    let mut arguments = vec!["redis-gate", "--ports", "auto", "--attach", &ready, "--backend", &backend];
    if let Some(port) = &port {
        arguments.extend(["--gate-port", port]);
    }
    // On a busy machine the emulator may not give its keys within the gate's limit.
    let gate = (0..5).find_map(|_| std::panic::catch_unwind(|| Entrant::start(&arguments)).ok()).expect("a gate");
    let port = gate.port("gate_port");
    (gate, port)
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n") + "\n"
}
