//! The page of faults is held to the code: it names every effect, and the tests that it names exist.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

use std::collections::BTreeMap;
use std::path::Path;

use entrant_emulator::{Effect, Endpoint};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn page() -> String {
    std::fs::read_to_string(Path::new(ROOT).join("docs/reference/faults.md")).unwrap()
}

/// The name in rules. An effect that is new does not compile here until it has one, and then needs its place on the page.
const fn name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Aadsts { .. } => "aadsts",
        Effect::Status { .. } => "status",
        Effect::Latency { .. } => "latency",
        Effect::Hang => "hang",
        Effect::Reset => "reset",
        Effect::Truncate => "truncate",
        Effect::NotJson => "not-json",
        Effect::DropField { .. } => "drop-field",
        Effect::SetField { .. } => "set-field",
        Effect::Claim { .. } => "claim",
        Effect::ShiftTimes { .. } => "shift-times",
        Effect::AlgNone { .. } => "alg-none",
        Effect::BadSignature { .. } => "bad-signature",
        Effect::UnpublishedKey { .. } => "unpublished-key",
        Effect::NoKid { .. } => "no-kid",
        Effect::Lifetime { .. } => "lifetime",
        Effect::RepeatToken => "repeat-token",
        Effect::Challenge { .. } => "challenge",
        Effect::RefuseAuth { .. } => "refuse-auth",
        Effect::Redirect { .. } => "redirect",
    }
}

/// One of each.
const EFFECTS: &str = r#"[
    {"aadsts":{"number":1}}, {"status":{"code":500}}, {"latency":{"millis":1}}, "hang", "reset", "truncate", "not-json",
    {"drop-field":{"field":"f"}}, {"set-field":{"field":"f","value":1}}, {"claim":{"name":"n"}},
    {"shift-times":{"seconds":1}}, {"alg-none":{}}, {"bad-signature":{}}, {"unpublished-key":{}}, {"no-kid":{}},
    {"lifetime":{"seconds":1}}, "repeat-token", {"challenge":{"error":"invalid_token"}}, {"refuse-auth":{}},
    {"redirect":{"parameter":"state"}}
]"#;

#[test]
fn every_effect_and_every_endpoint_of_rules_stands_on_the_page() {
    let page = page();
    let effects: Vec<Effect> = serde_json::from_str(EFFECTS).unwrap();
    for effect in &effects {
        let name = name(effect);
        assert!(page.contains(&format!("\"{name}\"")), "`{name}` is not on the page");
    }
    let without_rules = [Endpoint::Console, Endpoint::Control, Endpoint::Other];
    for endpoint in Endpoint::ALL.iter().filter(|endpoint| !without_rules.contains(endpoint)) {
        assert!(page.contains(&format!("`{}`", endpoint.name())), "`{}` is not on the page", endpoint.name());
    }
}

/// The last column of the table of faults: `file: test, test`.
fn shown_by(row: &str) -> Vec<(&str, &str)> {
    let cell = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
    let named = cell.split('`').skip(1).step_by(2);
    let mut file = "";
    let mut tests = Vec::new();
    for word in named {
        if word.contains('.') {
            file = word;
        } else {
            tests.push((file, word));
        }
    }
    tests
}

#[test]
fn every_fault_names_a_test_that_exists() {
    let page = page();
    let table = page.split("## What each fault does to a client").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| group")).collect();
    assert!(rows.len() >= 60, "{} rows", rows.len());
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for row in rows {
        let tests = shown_by(row);
        assert!(!tests.is_empty(), "no test shows this: {row}");
        for (file, test) in tests {
            let text = files.entry(file).or_insert_with(|| {
                std::fs::read_to_string(Path::new(ROOT).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
            });
            let defined =
                [format!("fn {test}("), format!("def {test}("), format!("test(\"{test}\""), format!("\"{test}\" =>")];
            assert!(defined.iter().any(|own| text.contains(own.as_str())), "{file} has no {test}: {row}");
        }
    }
}
