//! Fault switches: what a Redis with Entra ID does wrong, or is made to do, on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Switches that tests and the emulator's console flip. All off by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateFaults {
    /// Every AUTH waits this long before it is looked at.
    pub slow_auth: Option<Duration>,
    /// Every AUTH closes its connection without a reply.
    pub drop_at_auth: bool,
    /// This many of the next AUTHs are refused although they are good; counts down.
    pub refuse_next_auths: u32,
    /// A re-AUTH that is refused on a live connection gets no reply, as Redis 7.2 to 8.x does while other replies
    /// are pending (redis/redis#15640).
    pub silent_refusal: bool,
}

/// The switches of one gate, shared with whoever flips them.
#[derive(Clone, Debug, Default)]
pub struct FaultSwitches(Arc<Mutex<GateFaults>>);

impl FaultSwitches {
    /// The present positions.
    #[must_use]
    pub fn get(&self) -> GateFaults {
        self.lock().clone()
    }

    /// Puts all switches into these positions.
    pub fn set(&self, faults: GateFaults) {
        *self.lock() = faults;
    }

    /// Takes one of the refusals ordered by `refuse_next_auths`.
    pub(super) fn take_refusal(&self) -> bool {
        let mut faults = self.lock();
        let refuse = faults.refuse_next_auths > 0;
        faults.refuse_next_auths = faults.refuse_next_auths.saturating_sub(1);
        refuse
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, GateFaults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often each event happened, by `(event, detail)`: `("auth", "ok")`, `("auth", "expired")`, `("closed", "idle")`.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<(&'static str, &'static str), u64>>);

impl Tally {
    pub(super) fn count(&self, event: &'static str, detail: &'static str) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *map.entry((event, detail)).or_insert(0) += 1;
    }

    pub(super) fn counts(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
