//! Rust files a person can hold in the head: their size, the size of their functions, their first line, their name.

use super::lexer::blank_out;
use crate::run;

/// Lines of a file without its unit tests.
const FILE_LINES: usize = 400;
/// Lines of a function, signature and closing brace included.
const FUNCTION_LINES: usize = 70;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager", "misc", "stuff"];

/// Complaints about the tracked Rust files.
pub(crate) fn check(tracked: &[&str]) -> Result<Vec<String>, String> {
    let mut complaints = Vec::new();
    for path in tracked.iter().filter(|path| path.ends_with(".rs")) {
        let source = std::fs::read_to_string(run::root().join(path)).map_err(|error| format!("{path}: {error}"))?;
        complaints.extend(check_one(path, &source));
    }
    Ok(complaints)
}

fn check_one(path: &str, source: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    if EMPTY_NAMES.contains(&stem) || path.split('/').any(|part| EMPTY_NAMES.contains(&part)) {
        complaints.push(format!("{path}: name the module after the thing it is"));
    }
    if !source.starts_with("//!") {
        complaints.push(format!("{path}: the first line says what the module is (`//! …`)"));
    }
    let blank = blank_out(source);
    let lines = blank.lines().count() - unit_test_lines(&blank);
    let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
    if lines > FILE_LINES && !is_test {
        complaints.push(format!("{path}: {lines} lines without tests (limit {FILE_LINES})"));
    }
    for (name, line, length) in functions(&blank) {
        if length > FUNCTION_LINES {
            complaints.push(format!("{path}:{line}: fn {name} has {length} lines (limit {FUNCTION_LINES})"));
        }
    }
    complaints
}

/// Lines inside `#[cfg(test)] mod … { … }`.
fn unit_test_lines(blank: &str) -> usize {
    let Some(start) = blank.find("#[cfg(test)]") else { return 0 };
    match block(&blank[start..]) {
        Some(length) => blank[start..start + length].lines().count(),
        None => 0,
    }
}

/// Every function with a body: name, first line, number of lines.
fn functions(blank: &str) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (at, _) in blank.match_indices("fn ") {
        let starts_word = blank[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let name: String =
            blank[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '#').collect();
        if !starts_word || name.is_empty() {
            continue;
        }
        if let Some(length) = block(&blank[at..]) {
            let line = blank[..at].matches('\n').count() + 1;
            found.push((name, line, blank[at..at + length].lines().count()));
        }
    }
    found
}

/// Bytes up to the end of the first block in braces; none if a `;` outside brackets comes first.
fn block(text: &str) -> Option<usize> {
    let (mut brackets, mut braces) = (0_i32, 0_i32);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if brackets == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::check_one;

    fn long_function(lines: usize) -> String {
        format!("//! A module.\nfn long(a: [u8; 4]) {{\n{}}}\n", "    work();\n".repeat(lines))
    }

    #[test]
    fn a_function_may_have_seventy_lines_and_no_more() {
        assert!(check_one("crates/x/src/a.rs", &long_function(68)).is_empty());
        assert_eq!(check_one("crates/x/src/a.rs", &long_function(69)).len(), 1);
    }

    #[test]
    fn unit_tests_do_not_count_towards_the_length_of_a_file() {
        let source = format!("//! A module.\n{}", "const A: u8 = 1;\n".repeat(380));
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "const A: u8 = 1;\n".repeat(100));
        assert!(check_one("crates/x/src/a.rs", &format!("{source}{tests}")).is_empty());
        assert_eq!(check_one("crates/x/src/a.rs", &format!("{source}{}", "const A: u8 = 1;\n".repeat(100))).len(), 1);
    }

    #[test]
    fn a_module_has_a_first_line_and_a_name_that_says_something() {
        assert_eq!(check_one("crates/x/src/a.rs", "fn a() {}\n").len(), 1);
        assert_eq!(check_one("crates/x/src/utils.rs", "//! Things.\n").len(), 1);
        assert_eq!(check_one("crates/x/src/helpers/one.rs", "//! Things.\n").len(), 1);
    }
}
