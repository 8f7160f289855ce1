//! Any sequence of replies, faults, clock jumps and lifetimes: the refresh machine always plans a next step, never
//! fetches twice within the floor, never loses a valid token, and recovers at the first good reply.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use entrant_proto::refresh::{Action, Event, Policy, State};
use entrant_types::{Lifetime, Timestamp};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Step {
    /// The driver waits as it was told, or this many milliseconds if that is less.
    Wait(u32),
    /// The clock is set ahead or back by this many seconds.
    Jump(i16),
    /// Somebody asks for a fresh token.
    Ask,
    /// The fetch under way, if any, brings a token of this life in seconds (0: expired already).
    Token { life: u32, refresh_in: Option<u32>, unchanged: bool },
    /// The fetch under way, if any, fails.
    Fail { retry_after: Option<u16>, hopeless: bool },
}

struct World {
    now: Timestamp,
    state: State,
    action: Action,
    jitter: f64,
    policy: Policy,
    answered: Option<Timestamp>,
}

impl World {
    fn step(&mut self, event: Event) {
        let held = self.state.held();
        let fetching = self.action == Action::Fetch;
        let (state, action) = self.state.step(&self.policy, event, self.now, self.jitter);
        if let (Some(held), Event::Failed { .. }) = (held, event) {
            assert!(state.held().is_some() || !held.is_valid(self.now), "an error displaced a valid token");
        }
        if action == Action::Fetch && !fetching {
            if let Some(answered) = self.answered {
                assert!(answered.until(self.now) >= self.policy.floor, "two fetches within the floor");
            }
        }
        (self.state, self.action) = (state, action);
    }
}

fuzz_target!(|input: (u8, Vec<Step>)| {
    let (jitter, steps) = input;
    let now = Timestamp::from_secs(1_800_000_000);
    let jitter = f64::from(jitter) / 256.0;
    let policy = Policy::default();
    let mut world = World { now, state: State::new(now), action: Action::Fetch, jitter, policy, answered: None };
    for step in steps.into_iter().take(500) {
        match step {
            Step::Wait(millis) => {
                if let Action::Wait(until) = world.action {
                    assert!(world.now.until(until) <= Duration::from_secs(200_000 * 3600), "waits for ever");
                    world.now = (world.now + Duration::from_millis(millis.into())).min(until.max(world.now));
                    world.step(Event::Woke);
                }
            }
            Step::Jump(seconds) => {
                let span = Duration::from_secs(seconds.unsigned_abs().into());
                let back = seconds < 0;
                world.now = if back { world.now - span } else { world.now + span };
                world.answered = world.answered.map(|at| if back { at - span } else { at });
                if let Action::Wait(_) = world.action {
                    world.step(Event::Woke);
                }
            }
            Step::Ask => {
                if let Action::Wait(_) = world.action {
                    world.step(Event::Asked);
                }
            }
            Step::Token { life, refresh_in, unchanged } => {
                if world.action == Action::Fetch {
                    let expires = world.now + Duration::from_secs((life % 100_801).into());
                    let refresh_at = refresh_in.map(|span| world.now + Duration::from_secs(span.into()));
                    let lifetime = Lifetime { received: world.now, refresh_at, expires };
                    world.action = Action::Wait(world.now);
                    world.answered = Some(world.now);
                    world.step(Event::Token { lifetime, unchanged });
                }
            }
            Step::Fail { retry_after, hopeless } => {
                if world.action == Action::Fetch {
                    world.action = Action::Wait(world.now);
                    world.answered = Some(world.now);
                    let retry_after = retry_after.map(|span| Duration::from_secs(span.into()));
                    world.step(Event::Failed { retry_after, hopeless });
                }
            }
        }
    }
    // Recovery: wait as told, then one good reply gives a valid token.
    if let Action::Wait(until) = world.action {
        world.now = world.now.max(until);
        world.step(Event::Woke);
    }
    assert_eq!(world.action, Action::Fetch, "the wait ended and nothing is fetched");
    let lifetime = Lifetime { received: world.now, refresh_at: None, expires: world.now + Duration::from_secs(200_000) };
    world.action = Action::Wait(world.now);
    world.answered = Some(world.now);
    world.step(Event::Token { lifetime, unchanged: false });
    assert_eq!(world.state.held(), Some(lifetime), "a good reply did not recover it");
});
