//! Promises of every response: no script, no secret, nothing cached, nothing framed, a fitting status.

use std::sync::Arc;
use std::time::Duration;

use entrant_credential::{Keeper, KeeperOptions, Outcome, Source};
use entrant_redis::{ManagedConnection, RedisConfig};
use entrant_types::{AccessToken, BoxFuture, Lifetime, Resource, Scope, Secret, Timestamp};
use http::StatusCode;
use serde_json::json;

use crate::browser::Browser;
use crate::identity::{Scene, sign};

#[tokio::test]
async fn every_response_carries_the_security_headers() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    browser.sign_in(&scene).await;
    let stylesheet = entrant_web::page::shell::STYLESHEET_PATH.as_str();
    for path in ["/", "/call-api", "/login", "/getAToken?code=x", "/nowhere", "/logout", stylesheet] {
        let reply = browser.get(path).await;
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        let referrer = if path.starts_with("/getAToken") { "no-referrer" } else { "same-origin" };
        assert_eq!(reply.header("referrer-policy"), referrer, "{path}");
        assert_eq!(reply.header("x-request-id").len(), 16, "{path}");
        let cached = if path.starts_with("/static/") { "immutable" } else { "no-store" };
        assert!(reply.header("cache-control").contains(cached), "{path}");
    }
}

#[tokio::test]
async fn pages_hold_no_script_no_style_of_their_own_and_nothing_from_elsewhere() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let mut pages = vec![browser.get("/").await.body];
    browser.sign_in(&scene).await;
    for path in ["/", "/call-api", "/nowhere"] {
        pages.push(browser.get(path).await.body);
    }
    for page in pages {
        for forbidden in ["<script", "style=", "<style", "onclick", "onload", "javascript:", "//cdn", "https://"] {
            // The issuer's address is text, not something to load.
            let loads = page.matches(forbidden).count()
                - page.matches("https://localhost:8443/").count() * usize::from(forbidden == "https://");
            assert_eq!(loads, 0, "{forbidden}: {page}");
        }
        for needed in ["<html lang=\"en\">", "Skip to content", "<main id=\"main\"", "<h1>", "<title>", "viewport"] {
            assert!(page.contains(needed), "{needed} is missing: {page}");
        }
        assert_eq!(page.matches("<h1").count(), 1);
    }
}

#[tokio::test]
async fn what_a_token_says_is_escaped() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    scene.script(|script| {
        script.id_claims = serde_json::json!({"name": "<script>alert(1)</script>", "x": {"<b>": "\"'&"}});
    });
    browser.sign_in(&scene).await;
    let page = browser.get("/").await.body;
    assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
    assert!(page.contains("&#60;script&#62;"));
}

#[tokio::test]
async fn a_wrong_path_method_or_size_is_a_page_with_its_own_status() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    assert_eq!(browser.get("/nowhere").await.status, StatusCode::NOT_FOUND);
    let post = browser.request("POST", "/call-api", &[], "").await;
    assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(post.body.contains("What to do") && !post.header("allow").is_empty());
    let long = format!("/login?return=/{}", "a".repeat(9000));
    assert_eq!(browser.get(&long).await.status, StatusCode::URI_TOO_LONG);
    let big = "a".repeat(70_000);
    let reply = browser.get_with("/", &[("x-big", &big)]).await;
    assert_eq!(reply.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let json = browser.get_with("/nowhere", &[("accept", "application/json")]).await;
    let body: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!((body["status"].as_u64(), body["request_id"].as_str().map(str::len)), (Some(404), Some(16)));
}

#[tokio::test]
async fn the_page_reloads_by_itself_only_while_time_runs_faster() {
    for (rate, reloads) in [(None, false), (Some(1), false), (Some(60), true)] {
        let scene = Scene::configured(|config| config.time_lapse = rate);
        let mut browser = Browser::new(&scene);
        browser.sign_in(&scene).await;
        let page = browser.get("/").await.body;
        assert_eq!(page.contains("http-equiv=\"refresh\""), reloads, "{rate:?}");
        assert_eq!(page.contains("Time × 60"), reloads, "{rate:?}");
    }
}

#[tokio::test]
async fn the_page_shows_the_chain_and_a_time_line_and_follows_a_renewal() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    browser.sign_in(&scene).await;
    let before = browser.get("/").await.body;
    for text in ["The chain", "Your tokens", "cache hit", "Time line of the tokens", "<svg", "55555555-aaaa-4bbb-8ccc"]
    {
        assert!(before.contains(text), "{text} is missing: {before}");
    }
    scene.stage.clock.advance(Duration::from_secs(29 * 60));
    browser.get("/").await;
    scene.stage.clock.advance(Duration::from_secs(29 * 60));
    let after = browser.get("/").await.body;
    assert!(after.contains("renewed at Entra ID just now"), "{after}");
    browser.assert_no_secret(&scene, "the page", &after);
}

/// A managed identity that gives one token after the other.
#[derive(Debug)]
struct Identity(Secret, Timestamp);

impl Source for Identity {
    fn name(&self) -> &str {
        "imds"
    }

    fn fetch<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        let lifetime = Lifetime { received: self.1, refresh_at: None, expires: self.1 + Duration::from_secs(3600) };
        Box::pin(std::future::ready(Outcome::Token(AccessToken { secret: self.0.clone(), lifetime })))
    }
}

#[tokio::test]
async fn the_chain_shows_the_identity_the_credential_and_the_redis_connection() {
    let assertion = sign(&json!({
        "aud": "fb60f99c-7a34-4190-8149-302f77469936", "iss": "https://localhost:8443/t/v2.0",
        "sub": "77777777-aaaa-4bbb-8ccc-777777777777", "oid": "77777777-aaaa-4bbb-8ccc-777777777777",
    }));
    let token = Secret::new(assertion);
    let scene = Scene::built(|stage, config, parts| {
        let source = Arc::new(Identity(token.clone(), entrant_types::Clock::now(stage.clock.as_ref())));
        let scope = Scope::new(Resource::TOKEN_EXCHANGE);
        let (keeper, driver) = Keeper::new(source, scope, KeeperOptions::default(), &stage.outside());
        tokio::spawn(driver.run());
        let redis = RedisConfig::new("localhost", 10_000, None);
        parts.redis = Some(ManagedConnection::new(redis, keeper.clone(), &stage.outside()).0);
        parts.assertion = Some(keeper);
        config.federated_credential = Some("trusts-web-app-identity".to_owned());
        config.redis_backend = Some("embedded".to_owned());
    });
    let mut browser = Browser::new(&scene);
    browser.sign_in(&scene).await;
    let page = browser.get("/").await.body;
    for text in [
        "Managed-identity token",
        "imds",
        "Federated credential",
        "trusts-web-app-identity",
        "https://localhost:8443/t/v2.0",
        "77777777-aaaa-4bbb-8ccc-777777777777",
        "Redis connection",
        "localhost:10000",
        "embedded",
        "Next renewal",
    ] {
        assert!(page.contains(text), "{text} is missing: {page}");
    }
    entrant_testkit::assert_no_secret("the page", &page, &[&token]);
}
