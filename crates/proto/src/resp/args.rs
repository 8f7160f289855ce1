//! Reading the arguments of a framed command.

use std::borrow::Cow;

use super::scan::{HEADER_BYTES, Line, decimal, line};

/// The complete arguments in a command's first piece, its name first. Borrowed, except for inline commands
/// with quotes. Of a command that was cut, those that are complete.
#[derive(Clone, Debug)]
pub struct Args<'a>(Source<'a>);

#[derive(Clone, Debug)]
enum Source<'a> {
    Bulks(&'a [u8]),
    Inline(std::vec::IntoIter<Vec<u8>>),
}

impl<'a> Args<'a> {
    /// Reads `piece`, which must begin where the command begins.
    #[must_use]
    pub fn of(piece: &'a [u8]) -> Self {
        if piece.first() != Some(&b'*') {
            return Self(Source::Inline(split_inline(piece).unwrap_or_default().into_iter()));
        }
        let rest = match line(piece, 0, HEADER_BYTES) {
            Ok(Some(Line::Text(text))) => piece.get(text.len() + 2..).unwrap_or_default(),
            _ => &[],
        };
        Self(Source::Bulks(rest))
    }
}

impl<'a> Iterator for Args<'a> {
    type Item = Cow<'a, [u8]>;

    fn next(&mut self) -> Option<Cow<'a, [u8]>> {
        let rest = match &mut self.0 {
            Source::Inline(words) => return words.next().map(Cow::Owned),
            Source::Bulks(rest) => rest,
        };
        let Ok(Some(Line::Text(text))) = line(rest, 0, HEADER_BYTES) else { return None };
        let length = usize::try_from(decimal(text.get(1..)?)?).ok()?;
        let start = text.len() + 2;
        let end = start.checked_add(length)?;
        let argument = rest.get(start..end)?;
        *rest = rest.get(end.checked_add(2)?..).unwrap_or_default();
        Some(Cow::Borrowed(argument))
    }
}

/// Splits an inline command into words as Redis does: double quotes with `\n \r \t \b \a \xHH` escapes,
/// single quotes with `\'` only; a closing quote must be followed by space. `None`: unbalanced quotes.
#[must_use]
pub fn split_inline(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        while let [byte, tail @ ..] = rest {
            if !is_space(*byte) {
                break;
            }
            rest = tail;
        }
        // A NUL ends the line for Redis too, whose line is a C string.
        if matches!(rest, [] | [0, ..]) {
            return Some(words);
        }
        let (word, tail) = word(rest)?;
        words.push(word);
        rest = tail;
    }
}

/// C's `isspace`.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::new();
    loop {
        match rest {
            [] | [0, ..] => return Some((out, rest)),
            [byte, ..] if is_space(*byte) => return Some((out, rest)),
            [b'"', tail @ ..] => return closed(double_quoted(tail, &mut out)?, out),
            [b'\'', tail @ ..] => return closed(single_quoted(tail, &mut out)?, out),
            [byte, tail @ ..] => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
}

/// A closing quote must be followed by a space or the end.
fn closed(rest: &[u8], word: Vec<u8>) -> Option<(Vec<u8>, &[u8])> {
    match rest {
        [byte, ..] if *byte != 0 && !is_space(*byte) => None,
        _ => Some((word, rest)),
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] | [0, ..] => return None,
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
                out.push(digit(*high) << 4 | digit(*low));
                tail
            }
            [b'\\', escaped, tail @ ..] if *escaped != 0 => {
                out.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                tail
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        };
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] | [0, ..] => return None,
            [b'\\', b'\'', tail @ ..] => {
                out.push(b'\'');
                tail
            }
            [b'\'', tail @ ..] => return Some(tail),
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Option<Vec<String>> {
        Some(
            split_inline(text.as_bytes())?
                .into_iter()
                .map(|word| String::from_utf8_lossy(&word).into_owned())
                .collect(),
        )
    }

    #[test]
    fn inline_words_are_split_with_redis_s_quoting() {
        assert_eq!(words("  SET  k\tv \r"), Some(vec!["SET".into(), "k".into(), "v".into()]));
        assert_eq!(
            words(r#"SET k "a b\x41\n" 'it\'s'"#),
            Some(vec!["SET".into(), "k".into(), "a bA\n".into(), "it's".into()])
        );
        assert_eq!(words(r#"a"b c"d"#), None);
        assert_eq!(words(r#""open"#), None);
        assert_eq!(words("   "), Some(vec![]));
    }

    #[test]
    fn arguments_are_read_without_copying_and_cut_ones_are_left_out() {
        let args: Vec<_> = Args::of(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nva").collect();
        assert_eq!(args, [Cow::Borrowed(b"SET" as &[u8]), Cow::Borrowed(b"k")]);
        assert!(args.iter().all(|arg| matches!(arg, Cow::Borrowed(_))));
    }
}
