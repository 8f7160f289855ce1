//! What the pages look like: nothing is cut off on a phone or on a desk, and axe-core finds nothing to mend. `ENTRANT_PICTURES=FOLDER` keeps the pictures;
//! the README's is one of them.

use std::path::PathBuf;

use crate::accessibility;
use crate::browser::Browser;
use crate::process::Entrant;
use crate::sign_in;

/// CSS pixels of a phone's and a desk's window.
const SIZES: &[(&str, u32, u32)] = &[("phone", 390, 844), ("desk", 1280, 900)];

#[test]
fn every_page_fits_its_window_and_is_accessible() {
    let Some(browser) = Browser::start() else { return };
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    let web_url = system.fact("web_url");
    browser.open(web_url);
    look_at(&browser, "signed-out");
    browser.click("Sign in");
    look_at(&browser, "emulator-sign-in");
    browser.click("alice@contoso.example");
    browser.expect("Signed in as Alice");
    look_at(&browser, "home");
    browser.open(&format!("{web_url}/call-api"));
    browser.expect("access_as_user");
    look_at(&browser, "call-api");
    browser.open(system.fact("console_url"));
    look_at(&browser, "emulator-console");
    browser.open(&format!("{}/console/flow", system.fact("console_url").trim_end_matches('/')));
    browser.expect("identity endpoint");
    look_at(&browser, "emulator-flow");
    browser.open(web_url);
    browser.click("Sign out");
    sign_in::sign_in(&browser, web_url, "mallory@contoso.example");
    browser.expect("AADSTS50105");
    look_at(&browser, "problem");
}

/// Checks the page that is shown at every size.
fn look_at(browser: &Browser, name: &str) {
    let axe = accessibility::axe();
    for (size, width, height) in SIZES {
        browser.resize(*width, *height);
        let shown = browser.value_of("document.documentElement.scrollWidth - window.innerWidth");
        assert!(shown.as_i64().is_some_and(|over| over <= 0), "{name} on a {size} is {shown} px too wide");
        if let Some(axe) = &axe {
            accessibility::no_violation(browser, axe, &format!("{name} on a {size}"));
        }
        if let Some(folder) = std::env::var_os("ENTRANT_PICTURES") {
            // The whole page, as tall as it is.
            let tall = browser.value_of("document.documentElement.scrollHeight").as_u64().unwrap_or(0);
            browser.resize(*width, (*height).max(tall.min(4000) as u32 + 143));
            browser.screenshot(&PathBuf::from(folder).join(format!("{name}-{size}.png")));
        }
    }
}
