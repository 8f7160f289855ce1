//! Just enough of Rust's lexical structure to count lines honestly: comments and literals blanked out.

/// The source with the contents of comments, strings and character literals replaced by spaces, line by line as
/// before.
pub(crate) fn blank_out(source: &str) -> String {
    let characters: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < characters.len() {
        let end = skip_length(&characters, at);
        if end == 0 {
            out.push(characters[at]);
            at += 1;
        } else {
            out.extend(characters[at..at + end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at += end;
        }
    }
    out
}

/// How many characters from `at` on belong to a comment or literal that starts there; 0 if none does.
fn skip_length(text: &[char], at: usize) -> usize {
    let rest = &text[at..];
    let starts = |prefix: &str| prefix.chars().enumerate().all(|(index, c)| rest.get(index) == Some(&c));
    let follows_word = at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_');
    if starts("//") {
        return rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
    }
    if starts("/*") {
        return block_comment(rest);
    }
    if starts("\"") {
        return quoted(rest);
    }
    if !follows_word && (starts("r\"") || starts("r#") || starts("br\"") || starts("br#")) {
        return raw_string(rest);
    }
    if starts("'") {
        return character(rest);
    }
    0
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at + 1 < rest.len() {
        match (rest[at], rest[at + 1]) {
            ('/', '*') => {
                depth += 1;
                at += 2;
            }
            ('*', '/') => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn quoted(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#` and the `b` forms. A raw identifier such as `r#type` is no literal.
fn raw_string(rest: &[char]) -> usize {
    let hashes_at = if rest[0] == 'b' { 2 } else { 1 };
    let hashes = rest[hashes_at..].iter().take_while(|c| **c == '#').count();
    let mut at = hashes_at + hashes;
    if rest.get(at) != Some(&'"') {
        return 0;
    }
    at += 1;
    while at < rest.len() {
        if rest[at] == '"' && rest[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    rest.len()
}

/// A character literal; a lifetime such as `'a` is none.
fn character(rest: &[char]) -> usize {
    if rest.get(1) == Some(&'\\') {
        return rest.iter().skip(3).position(|c| *c == '\'').map_or(0, |end| end + 4);
    }
    if rest.get(2) == Some(&'\'') { 3 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::blank_out;

    #[test]
    fn braces_in_literals_and_comments_do_not_count() {
        for source in
            ["\"{\"", "'{'", "'\\''", "b\"{\\\"{\"", "r#\"{\"{\"#", "br\"{\"", "// {", "/* { /* { */ */", "'\\u{7b}'"]
        {
            let blank = blank_out(source);
            assert!(!blank.contains('{'), "{source} -> {blank}");
            assert_eq!(blank.chars().count(), source.chars().count());
        }
    }

    #[test]
    fn lifetimes_and_raw_identifiers_stay() {
        assert_eq!(blank_out("fn r#match<'a>(x: &'a str) { }"), "fn r#match<'a>(x: &'a str) { }");
    }
}
