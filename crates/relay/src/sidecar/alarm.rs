//! A timer that is set anew only when it would ring too late: the moment wanted moves with every byte, and between a
//! request and its reply there is none. Setting one costs as much as moving the byte.

use std::fmt;
use std::task::Context;

use entrant_types::{BoxFuture, Clock, Timestamp};

/// Rings at a moment that may move.
#[derive(Default)]
pub(super) struct Alarm(Option<(Timestamp, BoxFuture<'static, ()>)>);

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alarm").field(&self.0.as_ref().map(|(moment, _)| moment)).finish()
    }
}

impl Alarm {
    /// Whether the moment came. Otherwise the task is woken at it, or earlier.
    pub(super) fn poll(&mut self, wanted: Option<Timestamp>, clock: &dyn Clock, cx: &mut Context<'_>) -> bool {
        // A timer that is not wanted now may be in a moment. If it rings meanwhile, nobody listens.
        let Some(wanted) = wanted else { return false };
        loop {
            if self.0.as_ref().is_none_or(|(moment, _)| wanted < *moment) {
                self.0 = Some((wanted, clock.sleep_until(wanted)));
            }
            let Some((moment, timer)) = &mut self.0 else { return false };
            if timer.as_mut().poll(cx).is_pending() {
                return false;
            }
            let due = *moment >= wanted;
            self.0 = None;
            if due {
                return true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Waker;

    use super::*;

    /// Stands still, and counts timers.
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl Clock for Counting {
        fn now(&self) -> Timestamp {
            Timestamp::from_secs(0)
        }

        fn sleep_until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn a_timer_is_set_once_for_moments_that_only_move_away_and_again_for_an_earlier_one() {
        let (clock, mut alarm, mut cx) = (Counting::default(), Alarm::default(), Context::from_waker(Waker::noop()));
        let mut timers = |wanted: Option<i64>| {
            assert!(!alarm.poll(wanted.map(Timestamp::from_secs), &clock, &mut cx));
            clock.0.load(Ordering::Relaxed)
        };
        for wanted in [Some(10), None, Some(11), None, Some(12)] {
            assert_eq!(timers(wanted), 1, "{wanted:?}");
        }
        assert_eq!(timers(Some(9)), 2);
    }
}
