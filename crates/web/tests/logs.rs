//! What is logged, in a process of its own: capturing works by thread, and other tests log too.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at a broken promise")]
#![expect(dead_code, reason = "the other test binary uses all of the stage")]

#[path = "web/browser.rs"]
mod browser;
#[path = "web/identity.rs"]
mod identity;

use entrant_testkit::Logs;

use browser::Browser;
use identity::Scene;

#[tokio::test]
async fn neither_logs_nor_headers_hold_a_secret() {
    let logs = Logs::capture();
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let page = browser.begin("/login").await;
    let pending = browser.cookies.clone();
    let finished = browser.agree(&scene, &page).await;
    browser.get("/").await;
    browser.get("/call-api").await;
    browser.get("/getAToken?code=another-secret-code&state=an-unknown-state").await;
    let text = logs.text();
    assert!(text.contains("signed in"), "{text}");
    browser.assert_no_secret(&scene, "the logs", &text);
    assert!(!text.contains("another-secret-code") && !text.contains("code-of-the-test"));
    assert!(pending.iter().all(|(_, value)| !text.contains(value)));
    let state = crate::browser::parameter(&page, "state").unwrap();
    assert!(!text.contains(&state));
    assert!(finished.set_cookies().iter().all(|line| !line.contains("eyJ")), "no token in a cookie");
}
