//! The reference page is written from the modules, and every module has its test.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::module::{NOT_FOR_US, PLANS, Verdict};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/oidf-modules.md");
const TESTS: &[&str] = &[
    include_str!("basic.rs"),
    include_str!("configuration.rs"),
    include_str!("refresh.rs"),
    include_str!("logout.rs"),
];

#[test]
fn the_page_of_the_relying_party_tests_is_written_from_the_modules() {
    let page = page();
    if std::env::var_os("ENTRANT_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let kept = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(kept == page, "docs/reference/oidf-modules.md is out of date: run `cargo xtask docs`");
}

#[test]
fn every_module_has_one_test_that_is_named_after_it() {
    let tested: BTreeSet<String> = TESTS.iter().flat_map(|source| tests_in(source)).collect();
    let listed: BTreeSet<String> =
        PLANS.iter().flat_map(|(_, modules)| modules.iter()).map(|module| module.name.replace('-', "_")).collect();
    assert_eq!(tested, listed);
}

/// The names of the tests in a file: what follows `#[tokio::test]`.
fn tests_in(source: &str) -> impl Iterator<Item = String> {
    let marked = source.split("#[tokio::test]\nasync fn ").skip(1);
    marked.filter_map(|rest| rest.split('(').next()).map(str::to_owned)
}

fn page() -> String {
    let mut page = String::from(
        "# The OpenID Foundation's relying-party tests\n\n\
         <!-- written by `cargo xtask docs` from crates/cli/tests/relying_party/module.rs -->\n\n\
         The Foundation's conformance suite plays an identity provider that errs in one way at a time; each of its modules says what a client must make of it. \
         Here every module is a [fault rule](faults.md) of the emulator and one test of the same name, in which our client, as it is deployed, meets it: \
         `cargo test -p entrant --test relying_party`. Post a rule to `/control/faults` to see what another client makes of it. \
         (This is our re-creation; it certifies nothing.)\n",
    );
    for (plan, modules) in PLANS {
        let _ = write!(
            page,
            "\n## {plan}\n\n| module `oidcc-client-test-…` | what goes wrong | our client |\n|---|---|---|\n"
        );
        for module in *modules {
            let rule = if module.rule.is_empty() { String::new() } else { format!("`{}`", module.rule) };
            let wrong: Vec<&str> =
                [rule.as_str(), module.setting].into_iter().filter(|text| !text.is_empty()).collect();
            let wrong = if wrong.is_empty() { "nothing".to_owned() } else { wrong.join(", ") };
            let verdict = match module.verdict {
                Verdict::Works => "works".to_owned(),
                Verdict::Refused(code) => format!("refuses: `{code}`"),
                Verdict::Unconcerned(why) => format!("works: {why}"),
            };
            // The first module's name is the bare prefix.
            let name = if module.name == "plain" { "(plain)" } else { module.name };
            let _ = writeln!(page, "| {name} | {wrong} | {verdict} |");
        }
    }
    page.push_str("\n## Not for this client\n\n| modules | why |\n|---|---|\n");
    for (modules, why) in NOT_FOR_US {
        let _ = writeln!(page, "| {modules} | {why} |");
    }
    page
}
