//! Times in HTTP headers: `Date` and `Retry-After` (RFC 9110 §5.6.7, §10.2.3).

use std::time::Duration;

use entrant_types::Timestamp;
use entrant_types::outside::HttpReply;

use super::seconds::civil;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// An IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT`.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let day = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year = words.next()?.parse().ok()?;
    let mut clock = words.next()?.splitn(3, ':');
    let (hour, minute, second) =
        (clock.next()?.parse().ok()?, clock.next()?.parse().ok()?, clock.next()?.parse().ok()?);
    (words.next()? == "GMT").then_some(())?;
    civil(year, month, day, hour, minute, second)
}

/// An IMF-fixdate of a moment between the years 1970 and 9999.
#[must_use]
pub fn format(moment: Timestamp) -> String {
    let weekday =
        ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][moment.secs().div_euclid(86_400).rem_euclid(7) as usize];
    let text = moment.to_string();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let month = part(5, 7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1))).unwrap_or(&"Jan");
    format!("{weekday}, {} {month} {} {} GMT", part(8, 10), part(0, 4), part(11, 19))
}

/// How long a reply asks to wait: `Retry-After` as seconds or as a date seen from `now`.
#[must_use]
pub fn retry_after(reply: &HttpReply, now: Timestamp) -> Option<Duration> {
    let text = reply.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    // The sender's date is by the sender's clock, so measure it from the sender's present.
    Some(date(reply).unwrap_or(now).until(parse(text)?))
}

/// The reply's `Date`.
#[must_use]
pub fn date(reply: &HttpReply) -> Option<Timestamp> {
    parse(reply.header("date")?)
}

/// By how many milliseconds the sender's clock is ahead of ours (negative: behind), from its `Date` header;
/// zero within the header's resolution and an ordinary delay of the network (2 s).
#[must_use]
pub fn skew_millis(reply: &HttpReply, now: Timestamp) -> Option<i64> {
    let skew = date(reply)?.millis().saturating_sub(now.millis());
    Some(if (-2000..=2000).contains(&skew) { 0 } else { skew })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(headers: &[(&str, &str)]) -> HttpReply {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        HttpReply { status: 429, headers, body: Vec::new() }
    }

    #[test]
    fn the_date_of_rfc_9110_is_read() {
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Timestamp::from_secs(784_111_777)));
        for text in ["", "Sun", "Sun, 06 Nov 1994", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(format(Timestamp::from_secs(784_111_777)), "Sun, 06 Nov 1994 08:49:37 GMT");
        for seconds in [0, 951_782_400, 1_767_225_599, 4_102_444_800] {
            let moment = Timestamp::from_secs(seconds);
            assert_eq!(parse(&format(moment)), Some(moment));
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_senders_own_clock() {
        let now = Timestamp::from_secs(0);
        assert_eq!(retry_after(&reply(&[("retry-after", "7")]), now), Some(Duration::from_secs(7)));
        let dated =
            reply(&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"), ("date", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        assert_eq!(retry_after(&dated, now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after(&reply(&[("retry-after", "-1")]), now), None);
        assert_eq!(retry_after(&reply(&[]), now), None);
    }

    #[test]
    fn skew_is_the_senders_date_less_ours() {
        let dated = reply(&[("date", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        assert_eq!(skew_millis(&dated, Timestamp::from_secs(784_111_777 - 300)), Some(300_000));
        assert_eq!(skew_millis(&dated, Timestamp::from_secs(784_111_777 + 60)), Some(-60_000));
        assert_eq!(skew_millis(&dated, Timestamp::from_secs(784_111_778)), Some(0));
        assert_eq!(skew_millis(&reply(&[]), Timestamp::from_secs(0)), None);
    }
}
