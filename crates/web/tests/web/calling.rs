//! Promises of `/call-api`: the person's token, a challenge met once, every refusal explained.

use std::sync::Arc;
use std::time::Duration;

use entrant_testkit::{json_reply, reply};
use entrant_types::outside::{HttpError, HttpReply};
use entrant_web::session::redis::RedisStore;
use http::StatusCode;
use serde_json::json;

use crate::browser::{Browser, parameter};
use crate::identity::Scene;
use crate::redis_server::RedisServer;

/// `{"access_token":{"nbf":{"essential":true,"value":"1"}}}`
const CLAIMS: &str = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxIn19fQ==";

async fn signed_in(scene: &Scene) -> Browser {
    let mut browser = Browser::new(scene);
    browser.sign_in(scene).await;
    browser
}

fn challenge() -> HttpReply {
    let mut challenge = json_reply(401, json!({"error": "invalid_token"}));
    let value = format!("Bearer realm=\"\", error=\"insufficient_claims\", claims=\"{CLAIMS}\"");
    challenge.headers.push(("www-authenticate".to_owned(), value));
    challenge
}

#[tokio::test]
async fn the_api_gets_the_persons_token_and_the_page_shows_its_claims() {
    let scene = Scene::new();
    let mut browser = signed_in(&scene).await;
    let page = browser.get("/call-api").await;
    assert_eq!(page.status, StatusCode::OK);
    for text in ["The API accepted the token.", "access_as_user", "Cache", "no request to Entra ID", "HTTP 200"] {
        assert!(page.body.contains(text), "{text} is missing: {}", page.body);
    }
    assert!(page.body.contains("Alice &#60;i&#62;API&#60;/i&#62;"), "{}", page.body);
    let (forms, bearers) = scene.script(|script| (script.forms.len(), script.bearers.clone()));
    assert_eq!(forms, 1, "a warm call asks Entra nothing");
    assert!(bearers[0].starts_with("Bearer ey"));
    browser.assert_no_secret(&scene, "the page", &page.body);
}

#[tokio::test]
async fn an_api_address_without_a_path_means_its_claims() {
    let scene = Scene::configured(|config| config.api_url = "http://localhost:5001".parse().unwrap());
    let page = signed_in(&scene).await.get("/call-api").await;
    assert!(page.body.contains("http://localhost:5001/api/claims"), "{}", page.body);
}

#[tokio::test]
async fn who_is_not_signed_in_signs_in_first_and_comes_back() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let reply = browser.get("/call-api").await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    let page = browser.begin(reply.location()).await;
    assert_eq!(browser.agree(&scene, &page).await.location(), "/call-api");
}

#[tokio::test]
async fn an_expired_token_is_renewed_without_the_person() {
    let scene = Scene::new();
    let mut browser = signed_in(&scene).await;
    for _ in 0..3 {
        scene.stage.clock.advance(Duration::from_secs(25 * 60));
        assert_eq!(browser.get("/").await.status, StatusCode::OK);
    }
    let page = browser.get("/call-api").await;
    assert_eq!(page.status, StatusCode::OK);
    let grants: Vec<String> =
        scene.script(|script| script.forms.iter().map(|form| form["grant_type"].clone()).collect());
    assert_eq!(grants, ["authorization_code", "refresh_token"]);
}

/// A session kept alive until its access token, but nothing else, has ended.
async fn with_ended_token(scene: &Scene) -> Browser {
    let mut browser = signed_in(scene).await;
    for _ in 0..2 {
        // Short of the renewal at three quarters of the token's hour.
        scene.stage.clock.advance(Duration::from_secs(22 * 60));
        browser.get("/").await;
    }
    scene.stage.clock.advance(Duration::from_secs(20 * 60));
    assert_eq!(scene.script(|script| std::mem::take(&mut script.forms).len()), 1);
    browser
}

async fn call_all(tabs: Vec<Browser>) -> Vec<StatusCode> {
    let calls = tabs.into_iter().map(|mut tab| async move { tab.get("/call-api").await.status });
    futures_util::future::join_all(calls).await
}

#[tokio::test]
async fn requests_of_one_session_at_once_renew_once() {
    let scene = Scene::new();
    let browser = with_ended_token(&scene).await;
    let statuses = call_all(vec![browser; 10]).await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    assert_eq!(scene.script(|script| script.forms.len()), 1);
}

#[tokio::test]
async fn requests_through_four_replicas_on_one_redis_renew_once() {
    let server = RedisServer::start();
    let connection = server.connect().await;
    let scene = Scene::stored(|_| Arc::new(RedisStore::new(connection, "entrant:")));
    let browser = with_ended_token(&scene).await;
    let replicas: Vec<_> = (0..4).map(|_| scene.replica()).collect();
    let tabs = replicas.iter().flat_map(|replica| vec![browser.at(replica); 10]).collect();
    let time = async {
        loop {
            // Who waits for another replica's renewal looks again after a while.
            scene.stage.clock.step().await;
        }
    };
    let statuses = tokio::select! {
        statuses = call_all(tabs) => statuses,
        () = time => unreachable!("time does not end"),
    };
    assert!(statuses.iter().all(|status| *status == StatusCode::OK), "{statuses:?}");
    assert_eq!(scene.script(|script| script.forms.len()), 1);
}

#[tokio::test]
async fn a_claims_challenge_is_met_silently() {
    let scene = Scene::new();
    let mut browser = signed_in(&scene).await;
    scene.script(|script| script.api = vec![Ok(challenge())]);
    let page = browser.get("/call-api").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert!(page.body.contains("claims challenge"), "{}", page.body);
    let (forms, bearers) = scene.script(|script| (script.forms.clone(), script.bearers.clone()));
    assert!(forms[1]["claims"].contains("nbf"), "{}", forms[1]["claims"]);
    assert_ne!(bearers[0], bearers[1]);
}

#[tokio::test]
async fn a_challenge_that_only_the_person_can_meet_leads_to_one_sign_in_and_never_in_a_circle() {
    let scene = Scene::new();
    let mut browser = signed_in(&scene).await;
    scene.script(|script| script.api = vec![Ok(challenge()), Ok(challenge()), Ok(challenge()), Ok(challenge())]);
    let page = browser.begin("/call-api").await;
    assert!(parameter(&page, "claims").unwrap().contains("nbf"), "{page}");
    let back = browser.agree(&scene, &page).await.location().to_owned();
    assert!(back.starts_with("/call-api?"), "{back}");
    let reply = browser.get(&back).await;
    assert!(reply.status.is_client_error(), "{} {}", reply.status, reply.body);
    assert!(reply.body.contains("What to do"));
}

fn revoked() -> HttpReply {
    json_reply(
        400,
        json!({"error": "invalid_grant", "error_description": "AADSTS50173: revoked.", "error_codes": [50_173]}),
    )
}

#[tokio::test]
async fn a_refused_refresh_token_ends_the_session_and_asks_to_sign_in() {
    let scene = Scene::new();
    let mut browser = with_ended_token(&scene).await;
    let mut copy = browser.clone();
    scene.script(|script| script.token = Some(Ok(revoked())));
    let page = browser.begin("/call-api").await;
    assert!(page.starts_with("http://localhost:8480/"));
    assert!(!copy.get("/").await.body.contains("Signed in as"));
}

#[tokio::test]
async fn the_first_page_says_why_entra_ended_the_session() {
    let scene = Scene::new();
    let mut browser = with_ended_token(&scene).await;
    scene.script(|script| script.token = Some(Ok(revoked())));
    let page = browser.get("/").await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.body);
    assert!(page.body.contains("AADSTS50173") && page.body.contains("Sign in again"), "{}", page.body);
    let next = browser.get("/").await;
    assert_eq!(next.status, StatusCode::OK);
    assert!(!next.body.contains("Signed in as"));
}

#[tokio::test]
async fn a_passing_failure_of_entra_is_shown_and_ends_nothing() {
    let scene = Scene::new();
    let mut browser = with_ended_token(&scene).await;
    scene.script(|script| script.token = Some(Ok(reply(503, ""))));
    let page = browser.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("Signed in as") && page.body.contains("trouble"), "{}", page.body);
    scene.script(|script| script.token = None);
    scene.stage.clock.advance(Duration::from_secs(60));
    let page = browser.get("/").await;
    assert!(page.body.contains("renewed at Entra ID just now"), "{}", page.body);
}

#[tokio::test]
async fn every_refusal_of_the_api_is_a_page_with_its_own_status() {
    let scene = Scene::new();
    let mut browser = signed_in(&scene).await;
    let said =
        |status: u16| json_reply(status, json!({"message": "Wrong <audience>.", "fix": "Ask for another scope."}));
    let cases: Vec<(Result<HttpReply, HttpError>, u16, &str)> = vec![
        (Ok(said(401)), 502, "Wrong &#60;audience&#62;."),
        (Ok(said(403)), 403, "Ask for another scope."),
        (Ok(reply(404, "")), 502, "API_ENDPOINT"),
        (Ok(reply(500, "<html>oops")), 502, "HTTP 500"),
        (Ok(reply(200, "not json")), 502, "API_ENDPOINT"),
        (Err(HttpError::Connect("refused".to_owned())), 502, "no reply"),
        (Err(HttpError::TlsUntrusted("unknown issuer".to_owned())), 500, "--ca"),
        (Err(HttpError::Timeout(Duration::from_secs(10))), 502, "no reply"),
    ];
    for (answer, status, text) in cases {
        let shown = format!("{answer:?}");
        scene.script(|script| script.api = vec![answer]);
        let page = browser.get("/call-api").await;
        assert_eq!(page.status.as_u16(), status, "{shown}: {}", page.body);
        for text in [text, "What to do", "Request id", "Try again"] {
            assert!(page.body.contains(text), "{shown}: {text} is missing: {}", page.body);
        }
        browser.assert_no_secret(&scene, "the page", &page.body);
    }
}
