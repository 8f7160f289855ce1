//! One fault after another, each to its end and back.

use std::time::Duration;

use crate::process::pause;
use crate::rounds;
use crate::stage::Stage;

/// A clock this much faster renews tokens every three quarters of a minute while the faults happen.
const LAPSE: &str = "60";

/// Runs `fault` as often as asked, with everybody served before and after.
fn again_and_again(name: &str, lapse: &str, mut fault: impl FnMut(&mut Stage, u32)) {
    let Some(mut stage) = Stage::start(lapse) else { return };
    for round in 1..=rounds() {
        fault(&mut stage, round);
        stage.served(&format!("after {name} {round}"));
    }
    stage.end(name, rounds());
}

#[test]
fn redis_behind_the_gate_is_killed_and_comes_back_empty() {
    again_and_again("Redis killed", LAPSE, |stage, _| {
        stage.redis.kill();
        pause(500);
        stage.redis.start_again();
    });
}

#[test]
fn redis_behind_the_gate_freezes_and_goes_on() {
    again_and_again("Redis frozen", LAPSE, |stage, _| {
        stage.redis.signal("STOP");
        pause(3000);
        stage.redis.signal("CONT");
    });
}

#[test]
fn the_gate_is_killed_and_started_again() {
    again_and_again("gate killed", LAPSE, |stage, _| {
        stage.kill_gate();
        pause(500);
        stage.start_gate();
    });
}

#[test]
fn the_gate_is_restarted_in_good_order() {
    again_and_again("gate restarted", LAPSE, |stage, _| {
        stage.gate.take().expect("a gate").stop();
        stage.start_gate();
    });
}

#[test]
fn the_upstream_freezes_and_goes_on() {
    again_and_again("upstream frozen", LAPSE, |stage, _| {
        let gate = stage.gate.as_ref().expect("a gate");
        gate.signal("STOP");
        pause(3000);
        gate.signal("CONT");
    });
}

#[test]
fn the_upstream_freezes_for_good_and_another_takes_its_place() {
    again_and_again("upstream frozen for good", LAPSE, |stage, _| {
        stage.gate.as_ref().expect("a gate").signal("STOP");
        pause(5000);
        stage.kill_gate();
        stage.start_gate();
    });
}

#[test]
fn connections_fall_silent_in_one_direction() {
    again_and_again("half-open", LAPSE, |stage, _| {
        stage.wire.silence();
        pause(1000);
    });
}

#[test]
fn a_half_open_upstream_dies_and_its_end_is_not_told() {
    again_and_again("half-open, end lost", LAPSE, |stage, _| {
        stage.wire.silence();
        stage.kill_gate();
        stage.start_gate();
    });
}

#[test]
fn bytes_trickle() {
    again_and_again("slow", LAPSE, |stage, _| {
        stage.wire.crawl(true);
        pause(3000);
        stage.wire.crawl(false);
    });
}

#[test]
fn the_identity_endpoint_is_gone_for_two_token_lifetimes() {
    // A lifetime of an hour takes twelve seconds.
    const LIFETIME: Duration = Duration::from_secs(12);
    again_and_again("identity endpoint gone", "300", |stage, _| {
        stage.emulator.signal("STOP");
        std::thread::sleep(LIFETIME * 2);
        stage.emulator.signal("CONT");
    });
}
