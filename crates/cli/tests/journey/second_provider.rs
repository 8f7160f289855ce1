//! The web app against an identity provider that we did not write: Node's certified `oidc-provider`, over TLS, with
//! `private_key_jwt`. Its UserInfo endpoint stands for the protected API.

use std::net::TcpListener;

use crate::browser::Browser;
use crate::process::{Entrant, run};
use crate::provider::{CLIENT, Provider};

const API: &str = "33333333-aaaa-4bbb-8ccc-333333333333";

/// The provider, the app, and a browser that trusts the provider's key.
struct Scene {
    provider: Provider,
    app: Entrant,
    browser: Browser,
}

impl Scene {
    fn start() -> Option<Self> {
        // The provider must know the app's address before it answers: the port is chosen here.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port is free").port();
        let provider = Provider::start(&format!("http://localhost:{port}"), &format!("api://{API}/access_as_user"))?;
        let browser = Browser::start_trusting(&provider.tls_key)?;
        let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
        let (ca, certificate) = (text(provider.ca()), text(provider.client_certificate()));
        let (user_info, port) = (format!("{}/me", provider.issuer), port.to_string());
        let app = Entrant::start(&[
            "web",
            "--ports",
            "auto",
            "--web-port",
            &port,
            "--oidc-issuer",
            &provider.issuer,
            "--ca",
            &ca,
            "--client-id",
            CLIENT,
            "--source",
            "client-certificate",
            "--client-certificate",
            &certificate,
            "--api-client-id",
            API,
            "--api-endpoint",
            &user_info,
        ]);
        Some(Self { provider, app, browser })
    }

    fn sign_in(&self) {
        self.browser.open(self.app.fact("web_url"));
        self.browser.click("Sign in");
        self.browser.fill("input[name=login]", "alice");
        self.browser.fill("input[name=password]", "any will do");
        self.browser.click("Sign-in");
        self.browser.click("Continue");
        self.browser.expect("Signed in as Alice Archer");
    }

    /// Opens `/call-api`: the provider's tokens are so short-lived that each call needs a refresh.
    fn call_api(&self) {
        self.browser.open(&format!("{}/call-api", self.app.fact("web_url")));
        self.browser.expect("access token renewed with the refresh token");
        self.browser.expect("HTTP 200");
    }
}

#[test]
fn a_person_signs_in_at_another_provider_and_the_app_calls_refreshes_and_signs_out_there() {
    let Some(scene) = Scene::start() else { return };
    let Scene { provider, app, browser } = &scene;
    scene.sign_in();
    scene.call_api();
    assert!(provider.calls("/me") > 0, "the token served at the provider's own UserInfo");
    crate::sign_in::no_token_in(&browser.source());

    browser.open(app.fact("web_url"));
    browser.click("Sign out");
    browser.click("Yes, sign me out");
    browser.expect("Sign in");
    assert!(browser.address().starts_with(app.fact("web_url")), "{}", browser.address());
    browser.click("Sign in");
    // Nobody is remembered there: it asks who it is.
    browser.fill("input[name=login]", "bob");
    crate::sign_in::no_token_in(&app.log());
}

#[test]
fn a_provider_that_rolls_its_key_is_asked_for_it_once_and_sessions_live_on() {
    let Some(scene) = Scene::start() else { return };
    let Scene { provider, .. } = &scene;
    scene.sign_in();
    let before = provider.calls("/jwks");
    assert_eq!(before, 1, "fetched once at the start");

    provider.rotate();
    scene.call_api();
    scene.call_api();
    assert_eq!(provider.calls("/jwks"), 2, "the unknown key id was looked for once");
    provider.withdraw_older();
    scene.call_api();
    assert_eq!(provider.calls("/jwks"), 2, "nothing asks for a key that is not used");
}

#[test]
fn a_managed_identity_is_not_shown_to_another_provider() {
    let arguments = ["web", "--oidc-issuer", "https://id.example", "--client-id", CLIENT];
    let ended = run(&[&arguments[..], &["--api-client-id", API, "--api-endpoint", "https://api.example"]].concat());
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--source client-certificate"), "{}", ended.stderr);
}
