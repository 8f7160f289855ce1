//! The `redis` crate's own connections on our provider.
#![cfg(feature = "streaming-credentials")]
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

#[expect(dead_code, reason = "the harness of all connection tests")]
mod support;

use std::time::Duration;

use entrant_redis::{KeeperCredentials, fault_of};
use futures_util::StreamExt as _;
use redis::{AsyncConnectionConfig, StreamingCredentialsProvider as _};
use support::Scene;
use support::server::{HOUR, Redis, oid};

const ALL: &str = "~* &* +@all";

#[tokio::test]
async fn the_redis_crate_s_own_connection_follows_our_tokens() {
    let Some(server) = Redis::start() else { return };
    let scene = Scene::new();
    let first = scene.token(1, 1);
    server.allow(1, &first, ALL);
    scene.endpoint.give(first);
    let provider = KeeperCredentials::new(scene.keeper.clone(), &scene.stage.outside());
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port)).unwrap();
    let config = AsyncConnectionConfig::new()
        .set_credentials_provider(provider.clone())
        .set_response_timeout(Some(Duration::from_secs(5)));
    let mut redis = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    let who: String = redis::cmd("ACL").arg("WHOAMI").query_async(&mut redis).await.unwrap();
    assert_eq!(who, oid(1).to_string());
    let mut tokens = provider.subscribe();
    let held = tokens.next().await.unwrap().unwrap();
    let next = scene.token(1, 2);
    server.allow(1, &next, ALL);
    scene.endpoint.give(next.clone());
    scene.stage.clock.run_for(HOUR * 4 / 5).await;
    let renewed = tokens.next().await.unwrap().unwrap();
    assert_ne!(renewed.password(), held.password());
    assert_eq!(renewed.password(), next.secret.expose());
    // Two for connecting, as the crate does it, and one for the new token.
    while !server.admin("INFO commandstats").contains("cmdstat_auth:calls=3") {
        let _: String = redis::cmd("PING").query_async(&mut redis).await.unwrap();
    }
}

#[tokio::test]
async fn case_32_library_dropping_one_subscriber_stops_no_other_and_an_outage_ends_no_stream() {
    let scene = Scene::new();
    scene.endpoint.give(scene.token(1, 1));
    let provider = KeeperCredentials::new(scene.keeper.clone(), &scene.stage.outside());
    let (mut kept, mut dropped) = (provider.subscribe(), provider.clone().subscribe());
    kept.next().await.unwrap().unwrap();
    dropped.next().await.unwrap().unwrap();
    drop((dropped, provider));
    scene.endpoint.fail();
    scene.stage.clock.run_for(HOUR * 2).await;
    let back = scene.token(1, 2);
    scene.endpoint.give(back.clone());
    scene.stage.clock.run_for(Duration::from_secs(120)).await;
    assert_eq!(kept.next().await.unwrap().unwrap().password(), back.secret.expose());
}

#[tokio::test]
async fn without_a_token_the_first_item_says_why() {
    let scene = Scene::new();
    scene.endpoint.fail();
    let provider = KeeperCredentials::new(scene.keeper.clone(), &scene.stage.outside());
    let error = provider.subscribe().next().await.unwrap().unwrap_err();
    assert!(fault_of(&error).is("endpoint_gone"), "{error}");
}
