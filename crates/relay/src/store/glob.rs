//! Redis's glob patterns, for KEYS, SCAN, PSUBSCRIBE and key permissions.

/// Whether `text` matches `pattern`: `*`, `?`, `[a-c]`, `[^a]`, `\x`. Takes at most pattern × text steps.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (pattern, text);
    // The last `*` seen: the pattern behind it, and the text from which it is tried.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = p {
            if rest.is_empty() {
                return true;
            }
            star = Some((rest, t));
            p = rest;
            continue;
        }
        let step = match t {
            [] => {
                if p.is_empty() {
                    return true;
                }
                // No text is left for what the pattern still asks: a longer `*` does not help.
                return false;
            }
            [byte, tail @ ..] => one(p, *byte).map(|rest| (rest, tail)),
        };
        match (step, star) {
            (Some((rest, tail)), _) => (p, t) = (rest, tail),
            (None, Some((after, [_, tail @ ..]))) => {
                star = Some((after, tail));
                (p, t) = (after, tail);
            }
            (None, _) => return false,
        }
    }
}

/// Matches one byte; the rest of the pattern if it does.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', escaped, rest @ ..] => (*escaped == byte).then_some(rest),
        [own, rest @ ..] => (*own == byte).then_some(rest),
    }
}

fn class(mut rest: &[u8], byte: u8) -> Option<&[u8]> {
    let negated = rest.first() == Some(&b'^');
    if negated {
        rest = rest.get(1..).unwrap_or_default();
    }
    let mut found = false;
    loop {
        rest = match rest {
            [b'\\', escaped, tail @ ..] => {
                found |= *escaped == byte;
                tail
            }
            [b']', tail @ ..] => return (found != negated).then_some(tail),
            [] => return (found != negated).then_some(&[]),
            [low, b'-', high, tail @ ..] => {
                let (low, high) = (low.min(high), low.max(high));
                found |= (low..=high).contains(&&byte);
                tail
            }
            [own, tail @ ..] => {
                found |= *own == byte;
                tail
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_redis_matches_them() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("h?llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXbY", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("cache:*", "cache:", true),
            ("cache:*", "cach:x", false),
            ("[", "a", false),
            ("a**b", "ab", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let text = vec![b'a'; 20_000];
        let mut pattern = b"a*".repeat(200);
        pattern.push(b'b');
        assert!(!matches(&pattern, &text));
    }
}
