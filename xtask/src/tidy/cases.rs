//! The cases of re-authentication: each row of the page has a test that is named by its number, and names only tests
//! that exist.

use std::collections::BTreeSet;

use crate::run;

const PAGE: &str = "docs/concepts/redis-reauthentication.md";
const CASES: u32 = 35;
/// Who handles a case; a test's name says for whom it speaks.
const WHO: [&str; 4] = ["library", "sidecar", "server", "keeper"];

/// Complaints when a case has no test, or the page names one that does not exist.
pub(crate) fn check(tracked: &[&str]) -> Result<Vec<String>, String> {
    let mut tests = BTreeSet::new();
    for path in tracked.iter().filter(|path| path.starts_with("crates/") && path.ends_with(".rs")) {
        tests.extend(functions(&read(path)?).map(str::to_owned));
    }
    Ok(complaints(&read(PAGE)?, &tests))
}

fn complaints(page: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for name in tests.iter().filter(|name| name.starts_with("case_")) {
        let (_, rest) = numbers(name);
        if !WHO.iter().any(|who| rest.starts_with(&format!("{who}_"))) {
            complaints.push(format!("the test {name} does not say for whom it speaks ({})", WHO.join(", ")));
        }
    }
    for case in 1..=CASES {
        if !tests.iter().any(|name| numbers(name).0.contains(&case)) {
            complaints.push(format!("no test is named by case {case} of {PAGE}"));
        }
        let row = page.lines().find(|line| line.starts_with(&format!("| {case} |")));
        let Some(row) = row else {
            complaints.push(format!("{PAGE}: case {case} has no row"));
            continue;
        };
        let named = row.rsplit('|').nth(1).unwrap_or_default();
        let names: Vec<&str> = named.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches('…')).collect();
        if names.is_empty() {
            complaints.push(format!("{PAGE}: case {case} names no test"));
        }
        for name in names {
            if !tests.iter().any(|test| numbers(test).0.contains(&case) && test.contains(name)) {
                complaints.push(format!("{PAGE}: no test of case {case} is called {name}"));
            }
        }
    }
    complaints
}

/// The cases that a test is named by, and the rest of its name.
fn numbers(name: &str) -> (Vec<u32>, &str) {
    let Some(mut rest) = name.strip_prefix("case_") else { return (Vec::new(), name) };
    let mut cases = Vec::new();
    while let Some((word, after)) = rest.split_once('_') {
        match word.parse() {
            Ok(case) => cases.push(case),
            Err(_) if word == "and" => {}
            Err(_) => break,
        }
        rest = after;
    }
    (cases, rest)
}

fn functions(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let (_, rest) = line.split_once("fn ")?;
        rest.split_once('(').map(|(name, _)| name)
    })
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(run::root().join(path)).map_err(|error| format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_without_a_test_and_a_test_without_a_case_are_told() {
        let page: String = (1..=CASES).map(|case| format!("| {case} | x | y | z | `works_{case}…` |\n")).collect();
        let mut tests: BTreeSet<String> =
            (1..=CASES).map(|case| format!("case_{case:02}_sidecar_works_{case}_well")).collect();
        assert_eq!(complaints(&page, &tests), Vec::<String>::new());
        tests.remove("case_07_sidecar_works_7_well");
        tests.insert("case_07_nobody_works".to_owned());
        let told = complaints(&page, &tests);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("case_07_nobody") && told[1].contains("works_7"), "{told:?}");
    }

    #[test]
    fn several_cases_may_share_a_test() {
        assert_eq!(numbers("case_01_02_and_14_library_refuses"), (vec![1, 2, 14], "library_refuses"));
        assert_eq!(numbers("an_open_multi"), (vec![], "an_open_multi"));
    }
}
