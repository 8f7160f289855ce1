//! An emulator inside another program's tests: many at a time, each its own world.

mod support;

use entrant_emulator::{Effect, Endpoint, FaultRule};
use support::Lab;
use tokio::task::JoinSet;

const REDIS: &str = "https://redis.azure.com";

#[tokio::test]
async fn emulators_side_by_side_share_neither_ports_nor_faults_nor_counters_nor_clocks() {
    let mut starting = JoinSet::new();
    (0..16).for_each(|_| drop(starting.spawn(Lab::new())));
    let labs = starting.join_all().await;
    labs[0]
        .emulator
        .inject(FaultRule::at(Endpoint::AppService, Effect::Status { code: 503, retry_after: None }))
        .unwrap();
    labs[1].emulator.step_clock(3_600_000);
    let mut authorities = std::collections::BTreeSet::new();
    for (index, lab) in labs.iter().enumerate() {
        assert!(authorities.insert(lab.facts.authority.clone()), "{} twice", lab.facts.authority);
        let reply = lab.managed_identity(REDIS, "").await;
        assert_eq!(reply.status, if index == 0 { 503 } else { 200 }, "emulator {index}");
        assert_eq!(lab.emulator.counters().get(Endpoint::AppService), 1, "emulator {index}");
        assert_eq!(lab.emulator.counters().get(Endpoint::Token), 0, "no call: emulator {index}");
    }
    let expires = |reply: support::Reply| reply.json()["expires_on"].as_str().unwrap().parse::<i64>().unwrap();
    let (moved, other) = (labs[1].managed_identity(REDIS, "").await, labs[2].managed_identity(REDIS, "").await);
    assert_eq!(expires(moved) - expires(other), 3600);
}

#[tokio::test]
async fn a_port_is_free_again_after_the_drop() {
    let lab = Lab::new().await;
    let port = url::Url::parse(&lab.facts.imds_url).unwrap().port().unwrap();
    assert_eq!(lab.managed_identity(REDIS, "").await.status, 200);
    drop(lab);
    // The listener is let go by its task, which runs as soon as this one waits.
    for _ in 0..10_000 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    unreachable!("port {port} still answers");
}
