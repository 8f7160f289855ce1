//! Clients that speak plain text to a Redis that speaks TLS: the sidecar beside other people's proxies, in one run.

mod clients;
mod contenders;
mod gate;
mod ground;
mod load;
mod process;
mod report;
mod runs;

use serde_json::json;

use crate::tokens::Failure;
use contenders::{ALL, Contender, OURS, OURS_SHARED};
use ground::Ground;
use load::SHAPES;
use runs::Runs;

/// Rounds of the load, each of every contender in turn.
const ROUNDS: usize = 3;
/// Seconds of GETs during which tokens are renewed, and how long a token lives then.
const RENEWALS: (usize, u64) = (45, 20);
/// The sidecar has two sockets for a client with a connection of its own, and a process here at most 20,000 in all.
const MANY: [(&str, usize); 2] = [(OURS, 9_900), (OURS_SHARED, 10_000)];

/// Runs everything and writes the page; or one part, whose results are kept beside those of earlier runs.
pub fn run(words: &[&str]) -> Result<(), Failure> {
    let runs = Runs::open()?;
    match words {
        [] => {
            runs.forget()?;
            for _ in 0..ROUNDS {
                load(&runs)?;
            }
            connect(&runs)?;
            memory(&runs)?;
            many(&runs)?;
            renewal(&runs)?;
            through_the_gate(&runs)?;
            report::write(&runs)
        }
        ["load"] => load(&runs),
        ["connect"] => connect(&runs),
        ["memory"] => memory(&runs),
        ["many"] => many(&runs),
        ["renewal"] => renewal(&runs),
        ["gate"] => through_the_gate(&runs),
        ["page"] => report::write(&runs),
        ["forget"] => runs.forget(),
        ["quick", shapes, names @ ..] => quick(shapes, names),
        _ => Err("usage: bench redis [load|connect|memory|many|renewal|gate|page|forget|quick SHAPES WHO…]".into()),
    }
}

/// One round of every contender in every shape.
fn load(runs: &Runs) -> Result<(), Failure> {
    let ground = Ground::start(3600)?;
    let all = everybody(&ground, |_| true)?;
    let round = runs.next_round("load");
    for shape in &SHAPES {
        for contender in &all {
            let found = load::run(contender, shape, &ground, runs.rate(shape.name, contender.name))?;
            runs.keep("load", shape.name, contender.name, round, &found)?;
        }
    }
    Ok(())
}

/// A connection for each command.
fn connect(runs: &Runs) -> Result<(), Failure> {
    let ground = Ground::start(3600)?;
    let all = everybody(&ground, |_| true)?;
    for round in 0..ROUNDS {
        for contender in &all {
            let found = clients::connect(contender, &ground, runs.rate("connect", contender.name))?;
            runs.keep("connect", "connect", contender.name, round, &found)?;
        }
    }
    Ok(())
}

fn memory(runs: &Runs) -> Result<(), Failure> {
    let ground = Ground::start(3600)?;
    for name in ALL.into_iter().filter(|name| !name.starts_with("direct")) {
        runs.keep("memory", "memory", name, 0, &clients::idle(name, &[50, 1000], &ground)?)?;
    }
    Ok(())
}

fn many(runs: &Runs) -> Result<(), Failure> {
    let ground = Ground::start(3600)?;
    for (name, count) in MANY {
        runs.keep("many", "many", name, 0, &clients::idle(name, &[count], &ground)?)?;
    }
    Ok(())
}

fn renewal(runs: &Runs) -> Result<(), Failure> {
    let (seconds, life) = RENEWALS;
    let ground = Ground::start(life)?;
    for (name, _) in MANY {
        runs.keep("renewal", "renewal", name, 0, &clients::renewal(name, seconds, &ground)?)?;
    }
    Ok(())
}

fn through_the_gate(runs: &Runs) -> Result<(), Failure> {
    let ground = Ground::start(3600)?;
    let gate = gate::Gate::start(&ground)?;
    let get = gate::get(&gate, &ground, ROUNDS)?;
    let auth = gate::auth(&gate, &ground)?;
    let verify = runs::openssl_verify()?;
    runs.keep("gate", "gate", "gate", 0, &json!({"get": get, "auth": auth, "verify": verify}))
}

/// One round of a few, printed and not kept: for whoever changes the sidecar.
fn quick(shapes: &str, names: &[&str]) -> Result<(), Failure> {
    let ground = Ground::start(3600)?;
    let all = everybody(&ground, |name| names.is_empty() || names.contains(&name))?;
    for shape in SHAPES.iter().filter(|shape| shapes == "all" || shapes.split(',').any(|name| name == shape.name)) {
        for contender in &all {
            runs::print_line(shape.name, contender.name, &load::run(contender, shape, &ground, None)?);
        }
    }
    Ok(())
}

fn everybody(ground: &Ground, wanted: impl Fn(&str) -> bool) -> Result<Vec<Contender>, Failure> {
    ALL.into_iter().filter(|name| wanted(name)).map(|name| Contender::start(name, ground)).collect()
}
