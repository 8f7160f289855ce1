//! Lines and numbers: the pieces both framers are made of.

use super::error::ProtocolError;

/// A length line such as `*3` or `$512`: 20 digits, type byte, CR LF, and room to see that it is too long.
pub(super) const HEADER_BYTES: usize = 32;

/// One line up to CR LF.
pub(super) enum Line<'a> {
    /// No line end yet; what was looked at need not be looked at again.
    Unfinished,
    /// The text without its line end. The line takes `text.len() + 2` bytes.
    Text(&'a [u8]),
}

/// Looks for CR LF in `bytes` from `from` on; the text before the CR may have at most `limit` bytes.
pub(super) fn line(bytes: &[u8], from: usize, limit: usize) -> Result<Option<Line<'_>>, ProtocolError> {
    let window = bytes.get(from..bytes.len().min(limit.saturating_add(1))).unwrap_or_default();
    let Some(at) = window.iter().position(|byte| *byte == b'\r') else {
        return if bytes.len() > limit { Ok(None) } else { Ok(Some(Line::Unfinished)) };
    };
    let end = from + at;
    match bytes.get(end + 1) {
        None => Ok(Some(Line::Unfinished)),
        Some(b'\n') => Ok(Some(Line::Text(bytes.get(..end).unwrap_or_default()))),
        Some(_) => Err(ProtocolError::MissingCrlf),
    }
}

/// A decimal number as Redis reads lengths and integers: no sign but `-`, no leading zero, no space.
#[must_use]
pub fn decimal(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    let mut value = 0_i64;
    for digit in digits {
        let digit = match digit {
            b'0'..=b'9' => i64::from(digit - b'0'),
            _ => return None,
        };
        // Built negative, so that i64::MIN is reachable.
        value = value.checked_mul(10)?.checked_sub(digit)?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn lengths_are_read_as_strictly_as_redis_reads_them() {
        for (text, value) in [
            ("0", Some(0)),
            ("12", Some(12)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-0", None),
            ("+1", None),
            ("01", None),
            (" 1", None),
            ("1 ", None),
            ("", None),
            ("-", None),
            ("1x", None),
        ] {
            assert_eq!(decimal(text.as_bytes()), value, "{text}");
        }
    }
}
