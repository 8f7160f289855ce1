//! Randomness as a value.

use std::fmt;

/// A source of unpredictable bytes: states, nonces, verifiers, session values, jitter.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// Fills `buffer` with unpredictable bytes.
    fn fill(&self, buffer: &mut [u8]);

    /// A number in `0.0..1.0` for jitter and random phase.
    fn fraction(&self) -> f64 {
        let mut bytes = [0_u8; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}
