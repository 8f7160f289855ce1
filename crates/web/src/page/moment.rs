//! Moments and spans as a person reads them.

use std::time::Duration;

use askama::Template;
use entrant_types::Timestamp;

/// A moment with how far it is from now.
#[derive(Clone, Debug, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = r#"<time datetime="{{ iso }}">{{ clock }}</time>{% if !relative.is_empty() %} <span class="soft">({{ relative }})</span>{% endif %}"#
)]
pub struct Moment {
    /// `2026-11-22T06:40:12Z`.
    pub iso: String,
    /// `06:40:12 UTC`, with the date when it is another day.
    pub clock: String,
    /// `in 42 min`, `3 s ago`.
    pub relative: String,
}

// What the template writes is escaped there.
impl askama::filters::HtmlSafe for Moment {}

impl Moment {
    /// `at` as seen at `now`.
    #[must_use]
    pub fn new(at: Timestamp, now: Timestamp) -> Self {
        let iso = at.to_string();
        let today = now.to_string();
        let (date, time) = iso.split_once('T').unwrap_or_default();
        let time = time.trim_end_matches('Z');
        let clock = if today.starts_with(date) { format!("{time} UTC") } else { format!("{date} {time} UTC") };
        let relative = if at > now { format!("in {}", span(now.until(at))) } else { ago(at.until(now)) };
        Self { clock, relative, iso }
    }
}

fn ago(past: Duration) -> String {
    if past < Duration::from_secs(1) { "now".to_owned() } else { format!("{} ago", span(past)) }
}

/// The two largest units at most: `59 s`, `42 min`, `3 h 20 min`, `2 d 4 h`.
#[must_use]
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=3599 => format!("{} min", seconds / 60),
        3600..=86_399 => two(seconds / 3600, "h", seconds / 60 % 60, "min"),
        _ => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_a_person_would_say_them() {
        let now = Timestamp::from_secs(1_700_000_000);
        let read = |offset: i64| {
            let moment = Moment::new(Timestamp::from_secs(1_700_000_000 + offset), now);
            (moment.clock, moment.relative)
        };
        assert_eq!(read(0), ("22:13:20 UTC".into(), "now".into()));
        assert_eq!(read(50), ("22:14:10 UTC".into(), "in 50 s".into()));
        assert_eq!(read(-180), ("22:10:20 UTC".into(), "3 min ago".into()));
        assert_eq!(read(12_000), ("2023-11-15 01:33:20 UTC".into(), "in 3 h 20 min".into()));
        assert_eq!(read(-86_400), ("2023-11-13 22:13:20 UTC".into(), "1 d ago".into()));
    }
}
