//! Real time, and real time run faster.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use entrant_types::{BoxFuture, Clock, Fault, Timestamp, Whose};

/// The longest single wait. A laptop that slept, or a clock that was set, is noticed within this long.
const LONGEST_STEP: Duration = Duration::from_secs(30);

/// The machine's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the one legal reader of the wall clock")]
        let now = SystemTime::now();
        match now.duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp::default() + since,
            Err(before) => Timestamp::default() - before.duration(),
        }
    }

    #[cfg(target_os = "linux")]
    fn coarse_now(&self) -> Timestamp {
        // The kernel's time of the last tick: no counter is read, which is most of the cost of `now`.
        let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        Timestamp::from_millis(time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000))
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(sleep(*self, moment, 1))
    }
}

/// Waits in steps that re-read `clock`, whose time runs `rate` times as fast as the machine's.
async fn sleep(clock: impl Clock, moment: Timestamp, rate: u32) {
    loop {
        let left = clock.now().until(moment);
        if left.is_zero() {
            return;
        }
        // At least the clock's own resolution, or the last fraction of a millisecond would spin.
        let step = (left / rate).clamp(Duration::from_millis(1), LONGEST_STEP);
        #[expect(clippy::disallowed_methods, reason = "the one legal sleeper; it re-reads the wall clock")]
        tokio::time::sleep(step).await;
    }
}

/// How a clock runs faster: `lapsed = epoch + (real − epoch) × rate`. Printed as `RATE@EPOCH` with the epoch in
/// milliseconds since 1970, which makes another process share the same clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lapse {
    rate: u32,
    epoch: Timestamp,
}

impl Lapse {
    /// A day in a second: beyond it an hour's token lives shorter than a connection takes.
    pub const MAX_RATE: u32 = 86_400;

    /// The factor by which time runs.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// When both clocks showed the same.
    #[must_use]
    pub const fn epoch(&self) -> Timestamp {
        self.epoch
    }

    /// Reads `RATE` (from `now` on) or `RATE@EPOCH`.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, Fault> {
        let (rate, epoch) = match text.split_once('@') {
            None => (text, Some(now)),
            Some((rate, epoch)) => (rate, epoch.parse().ok().map(Timestamp::from_millis)),
        };
        let rate = rate.parse::<u32>().ok().filter(|rate| (1..=Self::MAX_RATE).contains(rate));
        match (rate, epoch) {
            (Some(rate), Some(epoch)) => Ok(Self { rate, epoch }),
            _ => Err(Fault::new(
                Whose::Configuration,
                format!("`{text}` is not a time lapse."),
                format!(
                    "Give a whole number from 1 to {}, such as 60, or the `time_lapse` value of a ready file.",
                    Self::MAX_RATE
                ),
            )),
        }
    }

    fn apply(self, real: Timestamp) -> Timestamp {
        let since = real.millis().saturating_sub(self.epoch.millis());
        Timestamp::from_millis(self.epoch.millis().saturating_add(since.saturating_mul(i64::from(self.rate))))
    }
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.rate, self.epoch.millis())
    }
}

/// The machine's clock, run faster since an epoch.
#[derive(Clone, Copy, Debug)]
pub struct LapseClock {
    lapse: Lapse,
}

impl LapseClock {
    /// A clock with this lapse.
    #[must_use]
    pub const fn new(lapse: Lapse) -> Self {
        Self { lapse }
    }
}

impl Clock for LapseClock {
    fn now(&self) -> Timestamp {
        self.lapse.apply(SystemClock.now())
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(sleep(*self, moment, self.lapse.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_is_at_most_ten_milliseconds_behind() {
        for _ in 0..1000 {
            let (before, coarse, after) = (SystemClock.now(), SystemClock.coarse_now(), SystemClock.now());
            assert!(coarse <= after && before <= coarse + Duration::from_millis(10), "{before} {coarse} {after}");
        }
    }

    #[test]
    fn a_lapse_round_trips_so_that_processes_can_share_it() {
        let now = Timestamp::from_millis(1_700_000_000_123);
        let lapse = Lapse::parse("60", now).unwrap();
        assert_eq!(lapse.to_string(), "60@1700000000123");
        assert_eq!(Lapse::parse(&lapse.to_string(), Timestamp::from_secs(5)).unwrap(), lapse);
    }

    #[test]
    fn lapsed_time_starts_at_the_epoch_and_runs_faster() {
        let epoch = Timestamp::from_secs(1_000);
        let lapse = Lapse::parse("60", epoch).unwrap();
        assert_eq!(lapse.apply(epoch), epoch);
        assert_eq!(lapse.apply(epoch + Duration::from_secs(60)), epoch + Duration::from_secs(3600));
        assert_eq!(lapse.apply(Timestamp::from_secs(999)), Timestamp::from_secs(940), "before the epoch too");
    }

    #[test]
    fn what_is_not_a_lapse_is_refused_with_an_example() {
        for text in ["", "0", "-1", "fast", "60@", "@5", "1.5", "86401", "60@x"] {
            let fault = Lapse::parse(text, Timestamp::default()).unwrap_err();
            assert!(fault.fix.contains("such as 60"), "{text}: {fault}");
        }
    }

    #[tokio::test]
    async fn a_past_moment_does_not_wait() {
        SystemClock.sleep_until(Timestamp::from_secs(1)).await;
    }

    #[tokio::test]
    async fn a_lapsed_sleep_ends_at_its_lapsed_moment() {
        let clock = LapseClock::new(Lapse::parse("86400", SystemClock.now()).unwrap());
        let moment = clock.now() + Duration::from_secs(3600);
        clock.sleep_until(moment).await;
        assert!(clock.now() >= moment);
    }
}
