//! Fault switches: what a Redis with Entra ID does wrong, or is made to do, on demand.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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

/// Asked at every AUTH, beside the switches: for faults that select whom they meet and count how often.
pub trait AuthRules: fmt::Debug + Send + Sync {
    /// What is to go wrong with this AUTH; `user` is whatever the client sent as its name.
    fn at_auth(&self, user: &str) -> GateFaults;

    /// An AUTH has ended.
    fn ended(&self, accepted: bool);
}

/// The switches of one gate, shared with whoever flips them.
#[derive(Clone, Debug, Default)]
pub struct FaultSwitches(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    switches: Mutex<GateFaults>,
    rules: OnceLock<Arc<dyn AuthRules>>,
}

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

    /// Asks these rules too, from now on. The first ones count.
    pub fn follow(&self, rules: Arc<dyn AuthRules>) {
        let _ = self.0.rules.set(rules);
    }

    /// What goes wrong with an AUTH of `user`. Takes one of the refusals ordered by `refuse_next_auths`, unless that
    /// AUTH is never looked at.
    pub(super) fn at_auth(&self, user: &[u8]) -> GateFaults {
        let rules = self.0.rules.get().map(|rules| rules.at_auth(&String::from_utf8_lossy(user))).unwrap_or_default();
        let mut switches = self.lock();
        let drop_at_auth = switches.drop_at_auth || rules.drop_at_auth;
        let ordered = switches.refuse_next_auths.min(u32::from(!drop_at_auth));
        switches.refuse_next_auths -= ordered;
        GateFaults {
            slow_auth: switches.slow_auth.max(rules.slow_auth),
            drop_at_auth,
            refuse_next_auths: ordered.max(rules.refuse_next_auths),
            silent_refusal: switches.silent_refusal || rules.silent_refusal,
        }
    }

    pub(super) fn ended(&self, accepted: bool) {
        if let Some(rules) = self.0.rules.get() {
            rules.ended(accepted);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, GateFaults> {
        self.0.switches.lock().unwrap_or_else(PoisonError::into_inner)
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
