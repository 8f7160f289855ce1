//! Promises of sessions: what the cookie is, how long it serves, what the store sees.

use std::sync::Arc;
use std::time::Duration;

use entrant_web::session::memory::MemoryStore;
use entrant_web::session::redis::RedisStore;
use entrant_web::session::seal::RecordId;
use entrant_web::session::store::SessionStore;
use http::StatusCode;

use crate::browser::Browser;
use crate::identity::Scene;
use crate::redis_server::RedisServer;

const SIGNED_IN: &str = "Signed in as";

#[tokio::test]
async fn every_cookie_is_a_host_cookie_that_scripts_and_other_sites_cannot_use() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let begun = browser.get("/login").await;
    let page = begun.location().to_owned();
    let finished = browser.agree(&scene, &page).await;
    let lines = [begun.set_cookies(), finished.set_cookies()].concat();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for line in &lines {
        assert!(line.starts_with("__Host-entrant-"), "{line}");
        for attribute in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
            assert!(line.contains(attribute), "{attribute} is missing: {line}");
        }
        assert!(!line.contains("Domain"), "{line}");
    }
    assert_eq!(browser.session().unwrap().len(), 43, "256 bits and no meaning");
}

#[tokio::test]
async fn a_planted_session_id_is_worth_nothing_before_and_after_a_sign_in() {
    let scene = Scene::new();
    let planted = "A".repeat(43);
    let mut victim = Browser::new(&scene);
    victim.cookies.push(("__Host-entrant-session".to_owned(), planted.clone()));
    victim.sign_in(&scene).await;
    assert_ne!(victim.session().unwrap(), planted);
    let mut attacker = Browser::new(&scene);
    attacker.cookies.push(("__Host-entrant-session".to_owned(), planted));
    assert!(!attacker.get("/").await.body.contains(SIGNED_IN));
}

#[tokio::test]
async fn signing_in_again_gives_a_new_id_and_ends_the_old_one() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    browser.sign_in(&scene).await;
    let mut thief = browser.clone();
    assert!(thief.get("/").await.body.contains(SIGNED_IN));
    browser.sign_in(&scene).await;
    assert_ne!(browser.session(), thief.session());
    assert!(browser.get("/").await.body.contains(SIGNED_IN));
    assert!(!thief.get("/").await.body.contains(SIGNED_IN));
}

#[tokio::test]
async fn a_session_ends_after_half_an_hour_without_a_request() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    browser.sign_in(&scene).await;
    for _ in 0..4 {
        scene.stage.clock.advance(Duration::from_secs(29 * 60));
        assert!(browser.get("/").await.body.contains(SIGNED_IN));
    }
    scene.stage.clock.advance(Duration::from_secs(30 * 60));
    assert!(!browser.get("/").await.body.contains(SIGNED_IN));
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_however_busy() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    browser.sign_in(&scene).await;
    for _ in 0..35 {
        scene.stage.clock.advance(Duration::from_secs(20 * 60));
        assert!(browser.get("/").await.body.contains(SIGNED_IN));
    }
    scene.stage.clock.advance(Duration::from_secs(20 * 60));
    assert!(!browser.get("/").await.body.contains(SIGNED_IN));
}

#[tokio::test]
async fn hostile_session_cookies_are_nobody() {
    let scene = Scene::new();
    let long = "A".repeat(5000);
    let traversal = "../../../../etc/passwd\u{0}";
    for value in ["", "x", "%00", "*", "entrant:*", "' OR 1=1", &long, &"=".repeat(43), &"é".repeat(20), traversal] {
        let mut browser = Browser::new(&scene);
        let value: String = value.chars().filter(|c| c.is_ascii() && !c.is_control()).collect();
        browser.cookies.push(("__Host-entrant-session".to_owned(), value.clone()));
        let reply = browser.get("/").await;
        assert_eq!(reply.status, StatusCode::OK, "{value}");
        assert!(!reply.body.contains(SIGNED_IN));
    }
    let mut twice = Browser::new(&scene);
    twice.sign_in(&scene).await;
    let value = twice.session().unwrap();
    twice.cookies.push(("__Host-entrant-session".to_owned(), value));
    assert!(!twice.get("/").await.body.contains(SIGNED_IN), "a cookie sent twice is nobody's");
}

#[tokio::test]
async fn a_sealed_sign_in_is_no_session_and_a_session_no_sign_in() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    let page = browser.begin("/login").await;
    let (_, sealed) = browser.cookies[0].clone();
    let state = crate::browser::parameter(&page, "state").unwrap();
    // A record sealed as a pending sign-in, laid where the session of that value would be.
    let bytes =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, sealed.split_once('.').unwrap().1)
            .unwrap();
    let value = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &state).unwrap();
    for id in [RecordId::of(state.as_bytes()), RecordId::of(&value)] {
        scene.store.create(&id, bytes.clone(), Duration::from_secs(600)).await.unwrap();
    }
    let mut forger = Browser::new(&scene);
    forger.cookies.push(("__Host-entrant-session".to_owned(), state));
    assert!(!forger.get("/").await.body.contains(SIGNED_IN));
}

#[tokio::test]
async fn the_store_sees_a_hash_and_ciphertext_alone() {
    let server = RedisServer::start();
    let mut connection = server.connect().await;
    let store: Arc<dyn SessionStore> = Arc::new(RedisStore::new(connection.clone(), "entrant:"));
    let scene = Scene::stored(|_| store);
    let mut browser = Browser::new(&scene);
    browser.sign_in(&scene).await;
    assert!(browser.get("/").await.body.contains(SIGNED_IN));
    let mut dump = Vec::new();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in keys {
        let fields: Vec<Vec<u8>> = redis::cmd("HGETALL").arg(&key).query_async(&mut connection).await.unwrap();
        dump.extend_from_slice(key.as_bytes());
        dump.extend(fields.into_iter().flatten());
    }
    let text = String::from_utf8_lossy(&dump);
    browser.assert_no_secret(&scene, "Redis", &text);
    for name in ["alice", "Alice", "contoso", "sid-of-alice", "refresh"] {
        assert!(!text.contains(name), "{name} is readable in Redis");
    }
}

#[tokio::test]
async fn a_session_lives_on_in_another_replica_with_the_same_store() {
    let scene = Scene::new();
    let mut browser = Browser::new(&scene);
    browser.sign_in(&scene).await;
    let store = Arc::clone(&scene.store);
    let other = Scene::stored(|_| store);
    let mut moved = Browser::new(&other);
    moved.cookies.clone_from(&browser.cookies);
    assert!(moved.get("/").await.body.contains(SIGNED_IN));
}

#[tokio::test]
async fn an_unreachable_store_is_an_honest_503() {
    let server = RedisServer::start();
    let connection = server.connect().await;
    let scene = Scene::stored(|_| Arc::new(RedisStore::new(connection, "entrant:")));
    let mut browser = Browser::new(&scene);
    browser.sign_in(&scene).await;
    drop(server);
    let reply = browser.get("/").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{}", reply.body);
    assert!(reply.body.contains("What to do"));
}

#[tokio::test]
async fn a_full_store_refuses_the_next_person_and_signs_nobody_out() {
    let scene = Scene::stored(|stage| Arc::new(MemoryStore::with_limit(Arc::clone(&stage.clock) as _, 2)));
    let mut people: Vec<Browser> = (0..2).map(|_| Browser::new(&scene)).collect();
    for person in &mut people {
        person.sign_in(&scene).await;
    }
    let mut third = Browser::new(&scene);
    let page = third.begin("/login").await;
    assert!(third.agree(&scene, &page).await.status.is_server_error());
    for person in &mut people {
        assert!(person.get("/").await.body.contains(SIGNED_IN));
    }
}
