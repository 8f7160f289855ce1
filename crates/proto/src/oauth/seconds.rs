//! Numbers of seconds as endpoints really send them: JSON numbers, strings of digits, floats, dates.

use entrant_types::Timestamp;
use serde_json::Value;

/// Ten years: anything longer is a mistake of the sender, and must not overflow what is computed from it.
const MOST: f64 = 315_360_000.0;

/// A span in seconds from a number or a string; negative spans are zero.
pub(crate) fn span(value: Option<&Value>) -> Option<u64> {
    let seconds = number(value?)?;
    Some(seconds.clamp(0.0, MOST) as u64)
}

/// A moment from Unix seconds (number or string), or from the dates of the 2017 App Service protocol,
/// `9/14/2017 00:00:00 PM +00:00` and `09/14/2017 00:00:00 +00:00`.
pub(crate) fn moment(value: Option<&Value>) -> Option<Timestamp> {
    let value = value?;
    if let Some(seconds) = number(value) {
        return seconds.is_finite().then(|| Timestamp::from_secs(seconds.clamp(0.0, 1e11) as i64));
    }
    date(value.as_str()?)
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (!number.is_nan()).then_some(number)
}

fn date(text: &str) -> Option<Timestamp> {
    let mut words = text.split_whitespace();
    let mut day = words.next()?.split('/');
    let (month, dom, year) = (int(day.next()?)?, int(day.next()?)?, int(day.next()?)?);
    let mut clock = words.next()?.split(':');
    let (mut hour, minute, second) = (int(clock.next()?)?, int(clock.next()?)?, int(clock.next()?)?);
    let zone = match words.next()? {
        "PM" => {
            hour = if hour < 12 { hour + 12 } else { hour };
            words.next()?
        }
        "AM" => {
            hour %= 12;
            words.next()?
        }
        zone => zone,
    };
    (zone == "+00:00").then_some(())?;
    civil(year, month, dom, hour, minute, second)
}

/// A moment such as `2026-01-02T03:04:05Z` (RFC 3339 §5.6); only UTC, fractions of a second are dropped.
#[must_use]
pub fn rfc_3339(text: &str) -> Option<Timestamp> {
    let (day, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let mut day = day.splitn(3, '-');
    let (year, month, dom) = (int(day.next()?)?, int(day.next()?)?, int(day.next()?)?);
    let mut clock = clock.split('.').next()?.splitn(3, ':');
    civil(year, month, dom, int(clock.next()?)?, int(clock.next()?)?, int(clock.next()?)?)
}

fn int(text: &str) -> Option<i64> {
    (text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// A moment from a civil date and time in UTC (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
pub(crate) fn civil(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> Option<Timestamp> {
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !valid {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (shifted / 400, shifted % 400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(Timestamp::from_secs(days * 86_400 + hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spans_come_as_numbers_strings_and_floats() {
        for value in [json!(3599), json!("3599"), json!(3599.7), json!("3599.0"), json!(" 3599 ")] {
            assert_eq!(span(Some(&value)), Some(3599), "{value}");
        }
        for value in [json!(null), json!(""), json!("soon"), json!([]), json!("NaN")] {
            assert_eq!(span(Some(&value)), None, "{value}");
        }
        assert_eq!(span(Some(&json!(-5))), Some(0));
        assert_eq!(span(Some(&json!(1e300))), Some(315_360_000));
        assert_eq!(span(None), None);
    }

    #[test]
    fn an_rfc_3339_moment_is_read_in_utc_only() {
        assert_eq!(rfc_3339("2026-01-01T00:00:00Z"), Some(Timestamp::from_secs(1_767_225_600)));
        assert_eq!(rfc_3339("2026-01-01T00:00:00.1234567Z"), Some(Timestamp::from_secs(1_767_225_600)));
        for text in ["2026-01-01", "2026-01-01T00:00:00+02:00", "2026-13-01T00:00:00Z", ""] {
            assert_eq!(rfc_3339(text), None, "{text}");
        }
    }

    #[test]
    fn moments_come_as_unix_seconds_and_as_dates() {
        let at = Timestamp::from_secs(1_560_999_478);
        for value in [
            json!(1_560_999_478),
            json!("1560999478"),
            json!("06/20/2019 02:57:58 +00:00"),
            json!("6/20/2019 2:57:58 AM +00:00"),
        ] {
            assert_eq!(moment(Some(&value)), Some(at), "{value}");
        }
        assert_eq!(moment(Some(&json!("6/20/2019 2:57:58 PM +00:00"))), Some(Timestamp::from_secs(1_561_042_678)));
        for value in [json!("20 June"), json!("6/20/2019 2:57:58 +02:00"), json!("13/45/2019 2:57:58 +00:00")] {
            assert_eq!(moment(Some(&value)), None, "{value}");
        }
    }
}
