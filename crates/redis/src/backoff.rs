//! Waits between attempts to connect: doubled each time, jittered, capped, never given up.

use std::time::Duration;

use entrant_types::Entropy;

const FIRST: Duration = Duration::from_millis(200);
/// Azure rate-limits new connections; half a minute keeps a thousand clients below it.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait: between half of the doubled span and all of it.
    pub(crate) fn next(&mut self, entropy: &dyn Entropy) -> Duration {
        let span = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        span.mul_f64(0.5 + entropy.fraction() / 2.0)
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use entrant_testkit::SeededEntropy;

    use super::*;

    #[test]
    fn waits_grow_to_a_cap_with_jitter_and_never_end() {
        let entropy = SeededEntropy::new(7);
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.next(&entropy)).collect();
        assert!(waits[0] >= FIRST / 2 && waits[0] <= FIRST, "{:?}", waits[0]);
        assert!(waits[20..].iter().all(|wait| *wait >= LONGEST / 2 && *wait <= LONGEST));
        assert!(waits[20..].windows(2).any(|pair| pair[0] != pair[1]), "no jitter");
        backoff.reset();
        assert!(backoff.next(&entropy) <= FIRST);
    }
}
