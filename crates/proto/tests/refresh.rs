//! Promises of the refresh machine, over arbitrary replies, faults, clock jumps and lifetimes.

use std::time::Duration;

use entrant_proto::refresh::{Action, Event, Policy, State};
use entrant_types::{Lifetime, Timestamp};
use proptest::prelude::*;

const START: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn life(now: Timestamp, millis: i64) -> Lifetime {
    Lifetime { received: now, refresh_at: None, expires: Timestamp::from_millis(now.millis() + millis) }
}

fn failed() -> Event {
    Event::Failed { retry_after: None, hopeless: false }
}

/// What a provider answers to one fetch.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Token { millis: i64, refresh_in: Option<i64>, unchanged: bool },
    Failed { retry_after: Option<u64>, hopeless: bool },
}

/// What happens during one wait.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    None,
    /// The driver wakes after this share of the wait.
    Early(f64),
    /// Somebody asks for a fresh token after this share of the wait.
    Asked(f64),
    /// After this share of the wait the clock is set by so many milliseconds.
    Jump(f64, i64),
}

fn answer() -> impl Strategy<Value = Answer> {
    let day = 28 * 3_600_000_i64;
    let millis = prop_oneof![-day..day, 0..5_000_i64, Just(0), 1_000..60_000_i64];
    prop_oneof![
        3 => (millis, proptest::option::of(-1_000..day), any::<bool>())
            .prop_map(|(millis, refresh_in, unchanged)| Answer::Token { millis, refresh_in, unchanged }),
        2 => (proptest::option::of(prop_oneof![0..120_u64, any::<u64>()]), any::<bool>())
            .prop_map(|(retry_after, hopeless)| Answer::Failed { retry_after, hopeless }),
    ]
}

fn disturbance() -> impl Strategy<Value = Disturbance> {
    let year = 366 * 86_400_000_i64;
    prop_oneof![
        4 => Just(Disturbance::None),
        1 => (0.0..1.0).prop_map(Disturbance::Early),
        2 => (0.0..1.0).prop_map(Disturbance::Asked),
        1 => (0.0..1.0, -year..year).prop_map(|(share, jump)| Disturbance::Jump(share, jump)),
        1 => (0.0..1.0, -5_000..5_000_i64).prop_map(|(share, jump)| Disturbance::Jump(share, jump)),
    ]
}

/// A driver without a world: it does what the machine says and checks every promise at every step.
struct Drive {
    policy: Policy,
    state: State,
    now: Timestamp,
    /// The clock at the last step, and the time that steps have seen pass: a clock set back shows none.
    seen: Timestamp,
    passed: Duration,
    last_answer: Option<Duration>,
    valid_until: Duration,
    fetches: usize,
}

impl Drive {
    fn new() -> Self {
        Self {
            policy: Policy::default(),
            state: State::new(START),
            now: START,
            seen: START,
            passed: Duration::ZERO,
            last_answer: None,
            valid_until: Duration::ZERO,
            fetches: 0,
        }
    }

    fn step(&mut self, event: Event, jitter: f64) -> Action {
        self.passed += self.seen.until(self.now);
        self.seen = self.now;
        let held_before = self.state.held();
        let (state, action) = self.state.step(&self.policy, event, self.now, jitter);
        self.state = state;
        if let Event::Token { lifetime, .. } = event {
            self.last_answer = Some(self.passed);
            if state.held() == Some(lifetime) {
                self.valid_until = self.passed + lifetime.left(self.now);
            }
        } else if let Event::Failed { .. } = event {
            self.last_answer = Some(self.passed);
        }
        let valid = state.held().is_some_and(|held| held.is_valid(self.now));
        assert_eq!(valid, self.passed < self.valid_until, "what is held after {event:?} is not what was given");
        if !matches!(event, Event::Token { .. }) {
            let left = |held: Option<Lifetime>| held.map(|held| held.expires.millis() - held.received.millis());
            assert_eq!(left(held_before), left(state.held()), "{event:?} changed the held token");
        }
        if let Action::Wait(moment) = action {
            assert!(moment > self.now, "a wait that is over already is a hot loop");
        }
        action
    }

    fn fetch(&mut self, answer: Answer, takes: Duration, jitter: f64) -> Action {
        if let Some(answer) = self.last_answer {
            let apart = self.passed - answer;
            assert!(apart >= self.policy.floor, "two fetches only {apart:?} apart");
        }
        self.fetches += 1;
        self.now = self.now + takes;
        let event = match answer {
            Answer::Token { millis, refresh_in, unchanged } => {
                let mut lifetime = life(self.now, millis);
                lifetime.refresh_at = refresh_in.map(|span| Timestamp::from_millis(self.now.millis() + span));
                Event::Token { lifetime, unchanged }
            }
            Answer::Failed { retry_after, hopeless } => {
                Event::Failed { retry_after: retry_after.map(Duration::from_secs), hopeless }
            }
        };
        self.step(event, jitter)
    }

    fn wait(&mut self, moment: Timestamp, disturbance: Disturbance, jitter: f64) -> Action {
        let (share, event, jump) = match disturbance {
            Disturbance::None => (1.0, Event::Woke, 0),
            Disturbance::Early(share) => (share, Event::Woke, 0),
            Disturbance::Asked(share) => (share, Event::Asked, 0),
            Disturbance::Jump(share, jump) => (share, Event::Woke, jump),
        };
        let slept = self.now + self.now.until(moment).mul_f64(share);
        self.now = Timestamp::from_millis(slept.millis() + jump);
        self.step(event, jitter)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn case_25_and_27_keeper_it_never_stops_never_hurries_never_loses_a_valid_token_and_always_recovers(
        script in prop::collection::vec((answer(), disturbance(), 0_u64..20_000, 0.0..1.0_f64), 0..120),
    ) {
        let mut drive = Drive::new();
        let mut action = drive.step(Event::Woke, 0.5);
        for (answer, disturbance, takes, jitter) in script {
            action = match action {
                Action::Fetch => drive.fetch(answer, Duration::from_millis(takes), jitter),
                Action::Wait(moment) => drive.wait(moment, disturbance, jitter),
            };
        }
        // From here on everything is well again: a fresh token is there by the end of the last wait at most.
        let (fetches, mut steps) = (drive.fetches, 0);
        while drive.fetches == fetches {
            action = match action {
                Action::Fetch => {
                    let good = Answer::Token { millis: 3_600_000, refresh_in: None, unchanged: false };
                    drive.fetch(good, Duration::ZERO, 0.5)
                }
                Action::Wait(moment) => {
                    prop_assert!(drive.now.until(moment) <= HOUR * 26, "a wait of {:?}", drive.now.until(moment));
                    drive.wait(moment, Disturbance::None, 0.5)
                }
            };
            steps += 1;
            prop_assert!(steps < 5, "no fetch in {steps} steps");
        }
        prop_assert!(drive.state.held().is_some_and(|held| held.is_valid(drive.now)));
    }

    #[test]
    fn without_a_valid_token_the_next_try_is_at_most_little_more_than_the_ceiling_away(
        failures in 1_usize..200, hopeless: bool, jitter in 0.0..1.0_f64,
    ) {
        let mut drive = Drive::new();
        let mut action = drive.step(Event::Woke, jitter);
        for _ in 0..failures * 2 {
            action = match action {
                Action::Fetch => drive.fetch(Answer::Failed { retry_after: None, hopeless }, Duration::ZERO, jitter),
                Action::Wait(moment) => {
                    prop_assert!(drive.now.until(moment) <= drive.policy.ceiling.mul_f64(1.2));
                    drive.wait(moment, Disturbance::None, jitter)
                }
            };
        }
    }

    #[test]
    fn an_outage_of_a_fifth_of_the_life_is_never_noticed_by_a_reader(
        secs in 60_u64..100_000, begins in 0.0..1.0_f64, jitter in 0.0..1.0_f64,
    ) {
        let life_millis = secs as i64 * 1000;
        let outage_from = START + seconds(secs).mul_f64(begins);
        let outage_to = outage_from + seconds(secs).mul_f64(0.2);
        let mut drive = Drive::new();
        let mut action = drive.step(Event::Woke, jitter);
        while drive.now < START + seconds(secs) * 3 {
            action = match action {
                Action::Fetch if drive.fetches > 0 && drive.now >= outage_from && drive.now < outage_to => {
                    drive.fetch(Answer::Failed { retry_after: None, hopeless: false }, Duration::ZERO, jitter)
                }
                Action::Fetch => {
                    let fresh = Answer::Token { millis: life_millis, refresh_in: None, unchanged: false };
                    drive.fetch(fresh, Duration::ZERO, jitter)
                }
                Action::Wait(moment) => drive.wait(moment, Disturbance::None, jitter),
            };
            prop_assert!(drive.state.held().is_some_and(|held| held.is_valid(drive.now)));
        }
    }
}

fn with_token(millis: i64) -> (Policy, State, Action) {
    let policy = Policy::default();
    let (state, _) = State::new(START).step(&policy, Event::Woke, START, 0.0);
    let token = Event::Token { lifetime: life(START, millis), unchanged: false };
    let (state, action) = state.step(&policy, token, START, 0.0);
    (policy, state, action)
}

#[test]
fn a_token_is_renewed_after_three_quarters_of_its_life_less_jitter() {
    let (policy, state, action) = with_token(3_600_000);
    assert_eq!(action, Action::Wait(START + seconds(2700)));
    let token = Event::Token { lifetime: life(START + seconds(2700), 3_600_000), unchanged: false };
    let (_, action) = state.step(&policy, token, START + seconds(2700), 1.0);
    assert_eq!(action, Action::Wait(START + seconds(2700) + seconds(2520)));
}

#[test]
fn case_27_keeper_the_share_is_taken_of_what_is_left_at_receipt_not_of_the_whole_life() {
    let (_, _, action) = with_token(100_000);
    assert_eq!(action, Action::Wait(START + seconds(75)));
}

#[test]
fn the_issuers_refresh_in_is_honoured_within_the_life() {
    let at = |refresh_in: u64| {
        let mut lifetime = life(START, 86_400_000);
        lifetime.refresh_at = Some(START + seconds(refresh_in));
        let state = State::new(START);
        state.step(&Policy::default(), Event::Token { lifetime, unchanged: false }, START, 0.0).1
    };
    assert_eq!(at(43_200), Action::Wait(START + seconds(43_200)));
    assert_eq!(at(86_000), Action::Wait(START + seconds(77_760)), "a tenth of the life is left for retries");
}

#[test]
fn retry_after_is_honoured_but_not_beyond_an_hour() {
    let (policy, state, _) = with_token(3_600_000);
    let now = START + seconds(2700);
    let after =
        |wait: Duration| state.step(&policy, Event::Failed { retry_after: Some(wait), hopeless: false }, now, 0.0).1;
    assert_eq!(after(seconds(300)), Action::Wait(now + seconds(300)));
    assert_eq!(after(Duration::MAX), Action::Wait(now + HOUR));
    let (throttled, _) =
        state.step(&policy, Event::Failed { retry_after: Some(seconds(300)), hopeless: false }, now, 0.0);
    let (_, action) = throttled.step(&policy, Event::Asked, now + seconds(1), 0.0);
    assert_eq!(action, Action::Wait(now + seconds(300)), "asking does not break a Retry-After");
}

#[test]
fn failures_double_the_wait_up_to_the_ceiling() {
    let policy = Policy::default();
    let (mut state, mut now, mut waits) = (State::new(START), START, Vec::new());
    for _ in 0..9 {
        let action;
        (state, action) = state.step(&policy, failed(), now, 0.5);
        let Action::Wait(moment) = action else { panic!("fetched without a wait") };
        waits.push(now.until(moment).as_secs());
        now = moment;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn a_hopeless_failure_is_retried_at_the_slowest_pace() {
    let hopeless = Event::Failed { retry_after: None, hopeless: true };
    let (_, action) = State::new(START).step(&Policy::default(), hopeless, START, 0.5);
    assert_eq!(action, Action::Wait(START + seconds(60)));
}

#[test]
fn case_26_keeper_the_token_already_held_is_asked_for_again_without_a_hot_loop() {
    let (policy, mut state, _) = with_token(600_000);
    let mut now = START + seconds(450);
    for expected in [1, 2, 4, 8, 13] {
        let same = Event::Token { lifetime: life(START, 600_000), unchanged: true };
        let action;
        (state, action) = state.step(&policy, same, now, 0.5);
        let Action::Wait(moment) = action else { panic!("fetched without a wait") };
        assert_eq!(now.until(moment).as_secs(), expected);
        assert_eq!(state.held(), Some(life(START, 600_000)));
        now = moment;
    }
}

#[test]
fn a_token_that_ends_sooner_than_the_held_one_is_taken_only_when_asked_for() {
    let (policy, state, _) = with_token(3_600_000);
    let now = START + seconds(10);
    let shorter = Event::Token { lifetime: life(now, 60_000), unchanged: false };
    let (kept, _) = state.step(&policy, shorter, now, 0.0);
    assert_eq!(kept.held(), Some(life(START, 3_600_000)));
    let (asked, action) = state.step(&policy, Event::Asked, now, 0.0);
    assert_eq!(action, Action::Fetch);
    let (taken, _) = asked.step(&policy, shorter, now, 0.0);
    assert_eq!(taken.held(), Some(life(now, 60_000)));
}

#[test]
fn an_expired_answer_is_never_held() {
    let policy = Policy::default();
    let stale = Event::Token { lifetime: life(START, -1), unchanged: false };
    let (state, action) = State::new(START).step(&policy, stale, START, 0.5);
    assert_eq!((state.held(), action), (None, Action::Wait(START + seconds(1))));
}

#[test]
fn a_clock_set_back_by_a_year_delays_nothing() {
    let (policy, state, _) = with_token(3_600_000);
    let year_ago = START - seconds(366 * 86_400);
    let (state, action) = state.step(&policy, Event::Woke, year_ago, 0.0);
    assert_eq!(action, Action::Wait(year_ago + seconds(2700)));
    assert_eq!(state.held().map(|held| held.expires), Some(year_ago + HOUR));
}

#[test]
fn a_suspended_machine_fetches_as_soon_as_it_wakes() {
    let (policy, state, _) = with_token(3_600_000);
    let (_, action) = state.step(&policy, Event::Woke, START + seconds(50_000), 0.0);
    assert_eq!(action, Action::Fetch);
}

#[test]
fn a_policy_of_nonsense_stops_nothing() {
    for number in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300] {
        let policy = Policy {
            ratio: number,
            spread: number,
            fraction: number,
            ceiling: Duration::MAX,
            floor: Duration::from_millis(1),
        };
        let (state, _) = State::new(START).step(&policy, failed(), START, number);
        let token = Event::Token { lifetime: life(START, i64::MAX / 2), unchanged: false };
        let (state, action) = state.step(&policy, token, START, number);
        assert!(matches!(action, Action::Wait(_)) && state.held().is_some(), "{number}");
    }
}
