//! The sign-out plans, through the web app: begun by the app, and told to it in a frame of Entra's page.

use entrant_emulator::{Endpoint, Seed};
use tokio::net::TcpListener;
use url::Url;

use crate::lab::Lab;
use crate::module::Module;
use crate::web_app::{Browser, location, serve, text};

/// The web app signs out under the module's rule: the session is over before the browser leaves, and what comes
/// back changes nothing.
async fn signs_out(name: &str) -> String {
    let (lab, module) = (Lab::new().await, Module::named(name));
    let app = serve(&lab, TcpListener::bind("localhost:0").await.unwrap()).await;
    let mut browser = Browser::new(&lab);
    browser.sign_in(&app).await;
    lab.set(module).await;
    let to_entra = browser.sign_out(&app).await;
    assert!(!browser.is_signed_in(&app).await, "over before Entra is asked");
    let at_entra = browser.get(&to_entra).await;
    let back = location(&at_entra).to_owned();
    let page = browser.get(&back).await;
    assert_eq!(page.status, 200, "{back}: {}", text(&page));
    assert!(text(&page).contains("Sign in"), "{back}");
    assert!(!browser.is_signed_in(&app).await);
    assert_eq!(lab.calls(Endpoint::Logout), 1);
    module.judge(Ok(()));
    back.strip_prefix(&app).unwrap_or_else(|| panic!("the browser came back to {back}")).to_owned()
}

#[tokio::test]
async fn rp_init_logout() {
    assert_eq!(signs_out("rp-init-logout").await, "/");
}

#[tokio::test]
async fn rp_init_logout_no_state() {
    assert_eq!(signs_out("rp-init-logout-no-state").await, "/");
}

#[tokio::test]
async fn rp_init_logout_other_state() {
    assert_eq!(signs_out("rp-init-logout-other-state").await, "/?state=another-state");
}

/// A lab whose web app has registered its front-channel sign-out address.
async fn told_in_a_frame() -> (Lab, String) {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut seed = Seed::default();
    seed.app[0].logout_url = Some(format!("http://localhost:{port}/front-channel-logout"));
    let lab = Lab::seeded(seed).await;
    let app = serve(&lab, listener).await;
    (lab, app)
}

/// The frames of Entra's sign-out page: what a browser loads beside it.
fn frames(page: &str) -> Vec<String> {
    let sources = page.split("<iframe").skip(1).filter_map(|frame| frame.split("src=\"").nth(1)?.split('"').next());
    sources.map(|address| address.replace("&amp;", "&").replace("&#38;", "&")).collect()
}

#[tokio::test]
async fn rp_frontchannel_rpinitlogout() {
    let module = Module::named("rp-frontchannel-rpinitlogout");
    let (lab, app) = told_in_a_frame().await;
    let mut browser = Browser::new(&lab);
    browser.sign_in(&app).await;
    let to_entra = browser.sign_out(&app).await;
    let page = browser.get(&to_entra).await;
    let frames = frames(&text(&page));
    assert_eq!(frames.len(), 1, "{}", text(&page));
    assert_eq!(Browser::new(&lab).get(&frames[0]).await.status, 200, "a session that is over already is no error");
    module.judge(Ok(()));
}

#[tokio::test]
async fn rp_frontchannel_opinitlogout() {
    let module = Module::named("rp-frontchannel-opinitlogout");
    let (lab, app) = told_in_a_frame().await;
    let mut browser = Browser::new(&lab);
    browser.sign_in(&app).await;
    let own_page = Url::parse(&format!("{}{}/oauth2/v2.0/logout", lab.facts.console_url, lab.facts.tenant_id)).unwrap();
    let page = browser.get(own_page.as_str()).await;
    let frames = frames(&text(&page));
    assert!(browser.is_signed_in(&app).await, "nothing is told before the frame is loaded");
    // In a frame of another site no cookie comes along.
    let told = Browser::new(&lab).get(&frames[0]).await;
    assert_eq!(told.status, 200, "{}", text(&told));
    assert!(!browser.is_signed_in(&app).await, "{}", frames[0]);
    module.judge(Ok(()));
}
