//! Sign-in, claims, API, sign-out: in a real browser, as Alice and as Mallory, on every shape of the system.

use crate::browser::Browser;
use crate::process::{Entrant, installed};

/// No program of any kind is found: what a machine with nothing but the toolchain has.
const NOTHING_INSTALLED: &[(&str, &str)] = &[("PATH", "")];

#[test]
fn alice_signs_in_sees_her_claims_calls_the_api_and_signs_out() {
    let Some(browser) = Browser::start() else { return };
    let system = Entrant::start_with(&["dev", "--ports", "auto"], NOTHING_INSTALLED);
    assert_eq!(system.fact("redis_backend"), "embedded");
    whole_journey(&browser, system.fact("web_url"));
    no_token_in(&system.log());
    assert_eq!(system.stop().code(), Some(130), "Ctrl-C ends it cleanly");
}

#[test]
fn the_same_journey_runs_with_a_real_redis_server_behind_the_gate() {
    if installed("redis-server").is_none() {
        return;
    }
    let Some(browser) = Browser::start() else { return };
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    assert_eq!(system.fact("redis_backend"), "redis-server");
    whole_journey(&browser, system.fact("web_url"));
}

#[test]
fn the_same_journey_runs_as_four_separate_processes() {
    let Some(browser) = Browser::start() else { return };
    let system = crate::separate::Separate::start(&[], &[]);
    whole_journey(&browser, system.web.fact("web_url"));
    no_token_in(&system.log());
}

#[test]
fn mallory_is_refused_with_aadsts50105_and_a_page_that_says_what_to_change() {
    let Some(browser) = Browser::start() else { return };
    let system = Entrant::start_with(&["dev", "--ports", "auto"], NOTHING_INSTALLED);
    browser.open(system.fact("web_url"));
    browser.click("Sign in");
    browser.click("mallory@contoso.example");
    browser.expect("AADSTS50105");
    browser.expect("Users and groups");
    assert!(system.log().contains("AADSTS50105"), "the log has the same code:\n{}", system.log());
    browser.open(system.fact("web_url"));
    browser.expect("Sign in without a stored secret");
}

/// Signs somebody in: by choosing the person, unless Entra still knows who is there.
pub(crate) fn sign_in(browser: &Browser, web_url: &str, who: &str) {
    browser.open(web_url);
    browser.click("Sign in");
    if !browser.address().starts_with(web_url) {
        browser.click(who);
    }
}

fn whole_journey(browser: &Browser, web_url: &str) {
    sign_in(browser, web_url, "alice@contoso.example");
    browser.expect("Signed in as Alice");
    browser.expect("The chain");
    let cookies = browser.cookies();
    assert!(cookies.iter().any(|(name, _)| name.starts_with("__Host-")), "{cookies:?}");
    no_token_in(&browser.source());

    browser.click("Call the API");
    browser.expect("access_as_user");
    browser.expect("alice@contoso.example");
    no_token_in(&browser.source());

    let before = browser.cookies();
    browser.click("Sign out");
    browser.expect("Sign in");
    let kept = browser.cookies().into_iter().find(|cookie| before.contains(cookie) && cookie.0.contains("session"));
    assert_eq!(kept, None, "the session's cookie is gone");
    browser.open(&format!("{web_url}/call-api"));
    assert!(!browser.text().contains("access_as_user"), "a session that has ended calls nothing:\n{}", browser.text());
}

/// A JWT begins with `eyJ` (`{"` in base64url): none may be in what people or operators read.
pub(crate) fn no_token_in(text: &str) {
    let at = text.find("eyJ").map(|at| text[at..].chars().take(30).collect::<String>());
    assert_eq!(at, None, "a token was printed");
}
