//! The moments of one re-AUTH: when it is due, when a gap is made for it, when it is too late to force anything.

use std::time::Duration;

use entrant_types::Timestamp;

/// Azure asks for a new `AUTH` at least three minutes before the token ends (Azure Managed Redis,
/// "Microsoft Entra for authentication", best practices).
const GAP_BEFORE: Duration = Duration::from_secs(180);
/// From here on nothing is forced: a held client would only lose time it still has.
const LAST_BEFORE: Duration = Duration::from_secs(30);
/// Connections that cannot be re-authenticated are replaced over this span, not all at once.
const RETIRE_SPREAD: Duration = Duration::from_secs(60);

/// When the identity of one connection is renewed. Made when a newer token appears; all moments lie between then
/// and the end of the token that the connection has now. Short lives shrink the margins in proportion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From here on the next natural gap is used.
    pub due: Timestamp,
    /// When a connection that cannot take an `AUTH` is replaced or closed.
    pub retire: Timestamp,
    /// From here on a gap is made: the client's next command waits.
    pub gap: Timestamp,
    /// From here on nothing is forced any more.
    pub last: Timestamp,
    /// When the server ends the connection.
    pub expires: Timestamp,
}

impl Window {
    /// Spreads the re-AUTH over `now..expires - 3 min` by `phase` (0.0 to 1.0, drawn once per connection).
    #[must_use]
    pub fn spread(now: Timestamp, expires: Timestamp, phase: f64) -> Self {
        let left = now.until(expires);
        let gap = expires - GAP_BEFORE.min(left / 4);
        let last = expires - LAST_BEFORE.min(left / 16);
        let phase = if phase.is_finite() { phase.clamp(0.0, 1.0) } else { 0.0 };
        let due = now + now.until(gap).mul_f64(phase);
        let retire = gap - RETIRE_SPREAD.min(left / 8).mul_f64(phase);
        Self { due, retire, gap, last, expires }
    }

    /// The same window with its re-AUTH due at `now`, by a gap if there is none.
    #[must_use]
    pub fn at_once(mut self, now: Timestamp) -> Self {
        self.due = self.due.min(now);
        self.gap = self.gap.min(now);
        self
    }

    /// The first of its moments after `now`.
    #[must_use]
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        [self.due, self.retire, self.gap, self.last].into_iter().filter(|moment| *moment > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    #[test]
    fn case_30_sidecar_ten_thousand_connections_spread_evenly_before_three_minutes_are_left() {
        let expires = NOW + Duration::from_secs(900);
        let mut per_minute = [0_u32; 12];
        for index in 0..10_000_u32 {
            let window = Window::spread(NOW, expires, f64::from(index) / 10_000.0);
            assert!(window.due >= NOW && window.due <= expires - GAP_BEFORE);
            per_minute[usize::try_from((window.due.secs() - NOW.secs()) / 60).unwrap()] += 1;
        }
        assert!(per_minute.iter().all(|count| (800..=867).contains(count)), "{per_minute:?}");
    }

    #[test]
    fn a_short_life_shrinks_every_margin_and_keeps_their_order() {
        for left in [0_u64, 1, 2, 10, 60, 179, 240, 3600, 86_400] {
            for phase in [0.0, 0.5, 0.999, f64::NAN, -1.0, 7.0] {
                let window = Window::spread(NOW, NOW + Duration::from_secs(left), phase);
                assert!(window.due <= window.gap && window.gap <= window.last && window.last <= window.expires);
                assert!(window.retire <= window.gap && window.due >= NOW && window.retire >= NOW, "{left} {window:?}");
            }
        }
    }
}
