//! Promises of signing in: bound to the browser, once, in any number of tabs, back to this site alone.

use std::time::Duration;

use entrant_testkit::json_reply;
use http::StatusCode;
use serde_json::json;

use crate::browser::{Browser, parameter};
use crate::identity::{CLIENT, Scene};

#[tokio::test]
async fn a_sign_in_sends_pkce_state_and_nonce_and_ends_in_a_session() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let page = browser.begin("/login").await;
    assert!(page.starts_with("http://localhost:8480/"), "{page}");
    assert_eq!(parameter(&page, "client_id").as_deref(), Some(CLIENT));
    assert_eq!(parameter(&page, "redirect_uri").as_deref(), Some("http://localhost:5000/getAToken"));
    assert_eq!(parameter(&page, "code_challenge_method").as_deref(), Some("S256"));
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(parameter(&page, name).unwrap().len(), 43, "{name}");
    }
    let reply = browser.agree(&scene, &page).await;
    assert_eq!((reply.status, reply.location()), (StatusCode::SEE_OTHER, "/"));
    let home = browser.get("/").await;
    assert!(home.body.contains("Signed in as"), "{}", home.body);
    let form = scene.script(|script| script.forms[0].clone());
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["code_verifier"].len(), 43);
}

#[tokio::test]
async fn two_sign_ins_share_no_state_nonce_or_challenge() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let (first, second) = (browser.begin("/login").await, browser.begin("/login").await);
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(parameter(&first, name), parameter(&second, name), "{name}");
    }
}

#[tokio::test]
async fn several_tabs_can_sign_in_at_once() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let first = browser.begin("/login?return=%2Fcall-api").await;
    let second = browser.begin("/login").await;
    assert_eq!(browser.agree(&scene, &first).await.location(), "/call-api");
    assert_eq!(browser.agree(&scene, &second).await.location(), "/");
}

#[tokio::test]
async fn a_callback_in_another_browser_signs_nobody_in() {
    let scene = Scene::new();
    let mut attacker = Browser::new(&scene);
    let page = attacker.begin("/login").await;
    let mut victim = Browser::new(&scene);
    let reply = victim.agree(&scene, &page).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.body.contains("href=\"/login\""), "the page starts the sign-in again");
    assert_eq!(victim.session(), None);
    assert!(scene.script(|script| script.forms.is_empty()), "the code was not redeemed");
}

#[tokio::test]
async fn a_callback_is_good_once() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let page = browser.begin("/login").await;
    browser.agree(&scene, &page).await;
    let again = browser.agree(&scene, &page).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert_eq!(scene.script(|script| script.forms.len()), 1);
    assert!(browser.session().is_some(), "the session stays");
}

#[tokio::test]
async fn a_failed_callback_uses_the_sign_in_up_too() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let page = browser.begin("/login").await;
    let state = parameter(&page, "state").unwrap();
    let reply = browser.get(&format!("/getAToken?error=server_error&state={state}")).await;
    assert!(reply.status.is_server_error() || reply.status.is_client_error());
    assert_eq!(browser.agree(&scene, &page).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_stale_callback_gives_a_page_that_starts_again() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let page = browser.begin("/login").await;
    scene.stage.clock.advance(Duration::from_secs(601));
    let reply = browser.agree(&scene, &page).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.body.contains("href=\"/login\""));
}

#[tokio::test]
async fn a_parameter_that_stands_twice_is_refused() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let page = browser.begin("/login").await;
    let state = parameter(&page, "state").unwrap();
    for query in [
        format!("code=a&code=b&state={state}"),
        format!("code=a&state={state}&state={state}"),
        format!("code=a&state={state}&iss=x&iss=y"),
        format!("error=a&error=b&state={state}"),
    ] {
        let reply = browser.get(&format!("/getAToken?{query}")).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}");
    }
    assert!(scene.script(|script| script.forms.is_empty()));
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_refused() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let page = browser.begin("/login").await;
    let state = parameter(&page, "state").unwrap();
    let reply = browser.get(&format!("/getAToken?code=a&state={state}&iss=https%3A%2F%2Fevil.example")).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(scene.script(|script| script.forms.is_empty()));
}

#[tokio::test]
async fn an_id_token_of_another_sign_in_is_refused() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let page = browser.begin("/login").await;
    scene.script(|script| script.id_claims = json!({"nonce": "another"}));
    let reply = browser.agree(&scene, &page).await;
    assert!(reply.status.is_client_error(), "{}", reply.status);
    assert_eq!(browser.session(), None);
}

#[tokio::test]
async fn the_return_path_is_never_another_site() {
    let scene = Scene::new();
    for wanted in ["https://evil.example/", "//evil.example", "/\\evil.example", "/%09/evil.example", "/logout"] {
        let mut browser = Browser::new(&scene);
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("return", wanted).finish();
        let page = browser.begin(&format!("/login?{query}")).await;
        let reply = browser.agree(&scene, &page).await;
        assert!(matches!(reply.location(), "/" | "/%09/evil.example"), "{wanted}: {}", reply.location());
    }
}

#[tokio::test]
async fn the_host_header_is_never_believed() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let headers = [("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example")];
    let reply = browser.get_with("/login", &headers).await;
    assert!(!reply.location().contains("evil"), "{}", reply.location());
    let home = browser.get_with("/", &headers).await;
    assert!(!home.body.contains("evil"));
}

#[tokio::test]
async fn another_site_cannot_start_a_sign_in_silently() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let reply = browser.get_with("/login?return=%2Fcall-api", &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.body.contains("href=\"/login?return=%2Fcall-api\""), "{}", reply.body);
    assert!(browser.cookies.is_empty());
}

#[tokio::test]
async fn a_flood_of_sign_ins_leaves_at_most_seven_cookies() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let mut last = String::new();
    for _ in 0..25 {
        scene.stage.clock.advance(Duration::from_secs(1));
        last = browser.begin("/login").await;
        assert!(browser.cookies.len() <= 7);
    }
    let size: usize = browser.cookies.iter().map(|(name, value)| name.len() + value.len() + 3).sum();
    assert!(size < 8 * 1024, "{size} bytes of cookies");
    assert_eq!(browser.agree(&scene, &last).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_person_who_is_not_assigned_reads_what_to_change() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let page = browser.begin("/login").await;
    let state = parameter(&page, "state").unwrap();
    let description = "AADSTS50105%3A+Your+administrator+has+configured+the+application+to+block+users.\
        +Trace+ID%3A+0a0a0a0a-1111-2222-3333-444444444444+Correlation+ID%3A+0b0b0b0b-1111-2222-3333-444444444444\
        +Timestamp%3A+2026-01-01+00%3A00%3A00Z";
    let reply = browser
        .get(&format!("/getAToken?error=interaction_required&error_description={description}&state={state}"))
        .await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.body);
    for text in ["AADSTS50105", "What to do", "0a0a0a0a-1111-2222-3333-444444444444", "Try again"] {
        assert!(reply.body.contains(text), "{text} is missing: {}", reply.body);
    }
    assert_eq!(browser.session(), None);
}

#[tokio::test]
async fn a_refused_assertion_is_explained_on_the_page_and_as_json() {
    let scene = Scene::new();
    let refusal = json!({
        "error": "invalid_request",
        "error_description": "AADSTS700213: No matching federated identity record found. Trace ID: 0a0a0a0a-1111-2222-3333-444444444444",
        "error_codes": [700_213], "trace_id": "0a0a0a0a-1111-2222-3333-444444444444",
        "correlation_id": "0b0b0b0b-1111-2222-3333-444444444444", "timestamp": "2026-01-01 00:00:00Z",
    });
    scene.script(|script| script.token = Some(Ok(json_reply(400, refusal))));
    let mut browser = Browser::new(&scene);
    let page = browser.begin("/login").await;
    let reply = browser.agree(&scene, &page).await;
    assert!(reply.status.is_server_error(), "{}", reply.status);
    for text in ["AADSTS700213", "principal", "0a0a0a0a-1111", "0b0b0b0b-1111", "2026-01-01 00:00:00Z"] {
        assert!(reply.body.contains(text), "{text} is missing: {}", reply.body);
    }
    let page = browser.begin("/login").await;
    let state = parameter(&page, "state").unwrap();
    let json = browser.get_with(&format!("/getAToken?code=a&state={state}"), &[("accept", "application/json")]).await;
    let body: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!(body["code"], "AADSTS700213");
    assert!(!body["remedy"].as_array().unwrap().is_empty());
    assert_eq!(body["details"]["trace_id"], "0a0a0a0a-1111-2222-3333-444444444444");
}

#[tokio::test]
async fn an_unreachable_entra_is_a_page_and_not_a_hang() {
    let scene = Scene::new();
    scene.script(|script| script.down = true);
    let reply = Browser::new(&scene).get("/login").await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{}", reply.body);
    assert!(reply.body.contains("What to do"));
}
