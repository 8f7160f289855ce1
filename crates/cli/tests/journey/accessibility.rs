//! What axe-core (npm) finds on a page, and the way of a person who has a keyboard only.

use std::path::Path;

use serde_json::Value;

use crate::browser::Browser;
use crate::process::Entrant;

/// Where `cargo xtask test` puts the package.
const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/conformance/axe/node_modules/axe-core/axe.min.js");
/// WCAG 2.2 A and AA, and what axe calls best practice.
const RUN: &str =
    "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})";
/// More presses than any page of ours has links and buttons before the wanted one.
const MOST_TABS: usize = 200;

/// The program text of axe-core. `None` skips on a laptop without it; in CI it is there.
pub(crate) fn axe() -> Option<String> {
    let source = std::fs::read_to_string(Path::new(AXE)).ok();
    if source.is_none() {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "axe-core is missing: `cargo xtask test` installs it"
        );
        eprintln!("skipped: no axe-core (`cargo xtask test` installs it)");
    }
    source
}

/// Fails with every violation on the page that is shown.
pub(crate) fn no_violation(browser: &Browser, axe: &str, name: &str) {
    let script = format!(
        "{axe};const done = arguments[arguments.length - 1];{RUN}.then(found => done({{passes: found.passes.length, violations: \
         found.violations.map(one => one.id + ': ' + one.help + ' at ' + one.nodes.map(node => node.html).join(' and '))}}), \
         error => done({{error: String(error)}}))"
    );
    let found = browser.value_later(&script);
    let violations = found["violations"].as_array().unwrap_or_else(|| panic!("axe did not run on {name}: {found}"));
    assert!(violations.is_empty(), "{name}: {violations:#?}");
    assert!(found["passes"].as_u64().is_some_and(|passes| passes > 5), "axe looked at nothing on {name}: {found}");
}

#[test]
fn a_person_with_a_keyboard_only_signs_in_calls_the_api_and_signs_out() {
    let Some(browser) = Browser::start() else { return };
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    browser.open(system.fact("web_url"));
    press(&browser, "Sign in");
    browser.expect("alice@contoso.example");
    press(&browser, "alice@contoso.example");
    browser.expect("Signed in as Alice");
    press(&browser, "Call the API");
    browser.expect("access_as_user");
    browser.open(system.fact("web_url"));
    press(&browser, "Sign out");
    browser.expect("Sign in without a stored secret");
}

#[test]
fn the_console_opens_its_flow_and_a_token_by_keyboard() {
    let Some(browser) = Browser::start() else { return };
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    crate::sign_in::sign_in(&browser, system.fact("web_url"), "alice@contoso.example");
    browser.expect("Signed in as Alice");
    browser.open(system.fact("console_url"));
    press(&browser, "flow");
    browser.expect("identity endpoint");
    press(&browser, "token: authorization_code");
    press(&browser, "client assertion");
    browser.expect("api://AzureADTokenExchange");
}

/// Walks to the first control that says `label` with Tab alone, checks that the focus can be seen, and presses Enter.
fn press(browser: &Browser, label: &str) {
    for _ in 0..MOST_TABS {
        browser.key(TAB);
        let focus = browser.value_of(
            "(() => { const on = document.activeElement, style = getComputedStyle(on); return {says: !/^(a|button|summary|input)$/i.test(on.tagName) ? '' : on.innerText || on.textContent || on.value || '', \
             seen: on === document.body || (on.matches(':focus-visible') && (style.outlineStyle !== 'none' || style.boxShadow !== 'none'))}; })()",
        );
        let says = focus["says"].as_str().unwrap_or_default();
        assert_ne!(focus["seen"], Value::Bool(false), "the focus on `{says}` cannot be seen at {}", browser.address());
        if says.to_lowercase().contains(&label.to_lowercase()) {
            browser.key(ENTER);
            return;
        }
    }
    panic!("`{label}` is not reached with Tab at {}:\n{}", browser.address(), browser.text());
}

/// Keys as WebDriver writes them (W3C WebDriver §17.4.2).
const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';
