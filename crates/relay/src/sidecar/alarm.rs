//! A timer that is set anew only when it would ring too late: the moment wanted moves with every byte.

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
        let Some(wanted) = wanted else {
            self.0 = None;
            return false;
        };
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
