//! A clock that moves only when the test says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entrant_types::{BoxFuture, Clock, Timestamp};
use tokio::sync::{oneshot, watch};

/// How often a moving clock lets woken tasks run before it looks for new sleepers. A task that needs more turns than
/// this between waking and sleeping again waits on something else than the clock, and the test must await that.
const TURNS: usize = 64;

/// Time as a value in the test's hand. A sleeper counts from the call of `sleep_until`, before its first poll.
#[derive(Debug)]
pub struct ManualClock {
    state: Arc<Mutex<State>>,
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    next_id: u64,
    /// By moment, then by order of arrival: the order of waking.
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
}

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Arc<Self> {
        let state = State { now: start, next_id: 0, sleepers: BTreeMap::new() };
        Arc::new(Self { state: Arc::new(Mutex::new(state)), changes: watch::Sender::new(()) })
    }

    /// Jumps to `moment`, also backwards, and wakes whoever slept until then: what a suspend or a set clock looks like.
    pub fn set(&self, moment: Timestamp) {
        let mut state = lock(&self.state);
        state.now = moment;
        let later = state.sleepers.split_off(&(moment, u64::MAX));
        for (_, sleeper) in std::mem::replace(&mut state.sleepers, later) {
            // A sleeper that was dropped meanwhile needs no waking.
            let _ = sleeper.send(());
        }
    }

    /// Jumps by `span`.
    pub fn advance(&self, span: Duration) {
        self.set(self.now() + span);
    }

    /// The moments that somebody sleeps until, earliest first.
    #[must_use]
    pub fn sleepers(&self) -> Vec<Timestamp> {
        let state = lock(&self.state);
        state.sleepers.iter().filter(|(_, waker)| !waker.is_closed()).map(|((moment, _), _)| *moment).collect()
    }

    /// Waits until somebody sleeps; the earliest moment slept until.
    pub async fn sleeper(&self) -> Timestamp {
        self.wait_for(|sleepers| sleepers.first().copied()).await
    }

    /// Waits until somebody sleeps until exactly `moment`.
    pub async fn sleeper_until(&self, moment: Timestamp) {
        self.wait_for(|sleepers| sleepers.contains(&moment).then_some(())).await;
    }

    /// Waits until somebody sleeps, then jumps to that moment, which is returned.
    pub async fn step(&self) -> Timestamp {
        let moment = self.sleeper().await;
        self.set(moment.max(self.now()));
        self.turns().await;
        moment
    }

    /// Moves to `moment` by way of every sleeper before it, letting the woken run in between.
    pub async fn run_to(&self, moment: Timestamp) {
        loop {
            self.turns().await;
            match self.sleepers().first() {
                Some(next) if *next <= moment => self.set((*next).max(self.now())),
                _ => break,
            }
        }
        self.set(moment);
        self.turns().await;
    }

    /// Moves on by `span` by way of every sleeper.
    pub async fn run_for(&self, span: Duration) {
        self.run_to(self.now() + span).await;
    }

    async fn turns(&self) {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
    }

    async fn wait_for<T>(&self, found: impl Fn(&[Timestamp]) -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        loop {
            if let Some(found) = found(&self.sleepers()) {
                return found;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        lock(&self.state).now
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        let (waker, woken) = oneshot::channel();
        {
            let mut state = lock(&self.state);
            if moment <= state.now {
                return Box::pin(std::future::ready(()));
            }
            let id = state.next_id;
            state.next_id += 1;
            state.sleepers.insert((moment, id), waker);
        }
        self.changes.send_replace(());
        let state = Arc::clone(&self.state);
        Box::pin(async move {
            if woken.await.is_err() {
                // The clock itself is gone: nothing will ever be due.
                std::future::pending::<()>().await;
            }
            drop(state);
        })
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_000);

    #[tokio::test]
    async fn time_stands_still_until_told() {
        let clock = ManualClock::at(START);
        clock.sleep_until(START).await;
        assert_eq!(clock.now(), START);
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), Timestamp::from_secs(1_005));
    }

    #[tokio::test]
    async fn sleepers_are_seen_and_woken_in_order_of_their_moments() {
        let clock = ManualClock::at(START);
        let order = Arc::new(Mutex::new(Vec::new()));
        for seconds in [30, 10, 20] {
            let (sleep, order) = (clock.sleep_until(START + Duration::from_secs(seconds)), Arc::clone(&order));
            tokio::spawn(async move {
                sleep.await;
                order.lock().unwrap().push(seconds);
            });
        }
        assert_eq!(clock.sleeper().await, START + Duration::from_secs(10));
        clock.sleeper_until(START + Duration::from_secs(30)).await;
        assert_eq!(clock.step().await, START + Duration::from_secs(10));
        assert_eq!(*order.lock().unwrap(), [10]);
        clock.run_for(Duration::from_secs(60)).await;
        assert_eq!(*order.lock().unwrap(), [10, 20, 30]);
    }

    #[tokio::test]
    async fn running_on_wakes_a_loop_every_time_and_jumping_wakes_it_once() {
        let clock = ManualClock::at(START);
        let (count, ticks) = watch::channel(0);
        let looping = Arc::clone(&clock);
        tokio::spawn(async move {
            loop {
                looping.sleep_until(looping.now() + Duration::from_secs(10)).await;
                count.send_modify(|count| *count += 1);
            }
        });
        clock.run_for(Duration::from_secs(100)).await;
        assert_eq!(*ticks.borrow(), 10);
        clock.advance(Duration::from_secs(100));
        clock.turns().await;
        assert_eq!(*ticks.borrow(), 11);
    }

    #[tokio::test]
    async fn a_dropped_sleeper_is_no_sleeper() {
        let clock = ManualClock::at(START);
        drop(clock.sleep_until(Timestamp::from_secs(2_000)));
        assert!(clock.sleepers().is_empty());
    }
}
