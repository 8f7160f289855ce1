//! One clock for Entra and managed identity, which a person or test can set forward, back or faster.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entrant_types::outside::BoxFuture;
use entrant_types::{Clock, Timestamp};

/// A clock over another one, with an offset and a rate. Share it ([`crate::Emulator::clock`]) with what should
/// live in the same time.
#[derive(Clone)]
pub(crate) struct EmulatorClock(Arc<Inner>);

struct Inner {
    base: Arc<dyn Clock>,
    setting: Mutex<Setting>,
}

#[derive(Clone, Copy)]
struct Setting {
    /// Where both clocks were when the setting last changed.
    base: Timestamp,
    own: Timestamp,
    rate: f64,
}

impl EmulatorClock {
    pub(crate) fn new(base: Arc<dyn Clock>) -> Self {
        let now = base.now();
        Self(Arc::new(Inner { base, setting: Mutex::new(Setting { base: now, own: now, rate: 1.0 }) }))
    }

    fn setting(&self) -> Setting {
        *self.0.setting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the present by `millis` (negative: back).
    pub(crate) fn step(&self, millis: i64) {
        let (base, own) = (self.0.base.now(), self.now());
        let mut setting = self.0.setting.lock().unwrap_or_else(PoisonError::into_inner);
        *setting =
            Setting { base, own: Timestamp::from_millis(own.millis().saturating_add(millis)), rate: setting.rate };
    }

    /// Runs `rate` times as fast as the clock below, from now on. Clamped to 0.001..=100000.
    pub(crate) fn set_rate(&self, rate: f64) {
        let (base, own) = (self.0.base.now(), self.now());
        let mut setting = self.0.setting.lock().unwrap_or_else(PoisonError::into_inner);
        *setting = Setting { base, own, rate: if rate.is_finite() { rate.clamp(0.001, 100_000.0) } else { 1.0 } };
    }

    /// Milliseconds ahead of the clock below, and the rate.
    pub(crate) fn offset_and_rate(&self) -> (i64, f64) {
        (self.now().millis().saturating_sub(self.0.base.now().millis()), self.setting().rate)
    }
}

impl fmt::Debug for EmulatorClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmulatorClock({:?}, rate {})", self.now(), self.setting().rate)
    }
}

impl Clock for EmulatorClock {
    fn now(&self) -> Timestamp {
        let setting = self.setting();
        let passed = self.0.base.now().millis().saturating_sub(setting.base.millis());
        // At rate 1 no floating-point rounding touches the result.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "milliseconds of a process's life are far below 2^53"
        )]
        let own = if setting.rate == 1.0 { passed } else { (passed as f64 * setting.rate) as i64 };
        Timestamp::from_millis(setting.own.millis().saturating_add(own))
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(async move {
            loop {
                let left = clock.now().until(moment);
                if left.is_zero() {
                    return;
                }
                // Steps of at most half a second of the clock below, so that a step or a new rate is noticed.
                let own =
                    left.div_f64(clock.setting().rate).clamp(Duration::from_millis(1), Duration::from_millis(500));
                clock.0.base.sleep_until(clock.0.base.now() + own).await;
            }
        })
    }
}
