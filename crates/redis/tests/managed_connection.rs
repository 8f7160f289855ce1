//! The managed connection against a real redis-server whose ACL users have the tokens as passwords.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

mod support;

use entrant_redis::{RedisConfig, State, fault_of};
use entrant_types::Clock as _;
use redis::AsyncCommands as _;
use support::server::{HOUR, Redis, oid};
use support::{Scene, until};

fn config(server: &Redis) -> RedisConfig {
    RedisConfig::new("127.0.0.1", server.port, None)
}

const ALL: &str = "~* &* +@all";

#[tokio::test]
async fn it_connects_as_the_object_id_of_its_token() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let token = scene.token(1, 1);
    server.allow(1, &token, ALL);
    scene.endpoint.give(token.clone());
    let mut redis = scene.connect(config(&server));
    let () = redis.set("k", "v").await.unwrap();
    let who: String = redis::cmd("ACL").arg("WHOAMI").query_async(&mut redis).await.unwrap();
    assert_eq!(who, oid(1).to_string());
    let status = redis.status();
    assert_eq!((status.state, status.object_id), (State::Ready, Some(oid(1))));
    assert_eq!(status.token_expires, Some(token.lifetime.expires));
    assert_eq!((status.connects, status.reauths), (1, 0));
    assert!(status.next_refresh.is_some());
}

#[tokio::test]
async fn a_new_token_reaches_the_live_connection_without_a_reconnect() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let first = scene.token(1, 1);
    server.allow(1, &first, ALL);
    scene.endpoint.give(first);
    let mut redis = scene.connect(config(&server));
    let id: u64 = redis::cmd("CLIENT").arg("ID").query_async(&mut redis).await.unwrap();
    for number in 2..6 {
        let next = {
            scene.stage.clock.run_for(HOUR * 3 / 4).await;
            scene.token(1, number)
        };
        server.allow(1, &next, ALL);
        scene.endpoint.give(next.clone());
        scene.keeper.refresh_now();
        scene.stage.clock.run_for(std::time::Duration::from_secs(60)).await;
        until(&redis, |status| status.token_expires == Some(next.lifetime.expires)).await;
        let same: u64 = redis::cmd("CLIENT").arg("ID").query_async(&mut redis).await.unwrap();
        assert_eq!(same, id);
    }
    assert_eq!(redis.status().connects, 1);
    assert_eq!(redis.status().drops, 0);
}

#[tokio::test]
async fn commands_and_re_authentication_never_mix_up_replies_under_load() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let first = scene.token(1, 1);
    server.allow(1, &first, ALL);
    scene.endpoint.give(first);
    let redis = scene.connect(config(&server));
    redis.ready().await.unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..50_u32 {
        let mut redis = redis.clone();
        callers.spawn(async move {
            for round in 0..200_u32 {
                let (key, value) = (format!("{caller}:{round}"), format!("{caller}.{round}"));
                let () = redis.set(&key, &value).await.unwrap();
                let pair: (String, Option<String>) =
                    redis::pipe().atomic().get(&key).get("absent").query_async(&mut redis).await.unwrap();
                assert_eq!(pair, (value, None));
            }
        });
    }
    let mut number = 1;
    while !callers.is_empty() {
        number += 1;
        let next = scene.token(1, number);
        // Every third token is refused: the hardest moment for the order of replies.
        if number % 3 != 0 {
            server.allow(1, &next, ALL);
        }
        scene.endpoint.give(next);
        scene.keeper.refresh_now();
        scene.stage.clock.run_for(std::time::Duration::from_secs(30)).await;
        while let Some(done) = callers.try_join_next() {
            done.unwrap();
        }
        tokio::task::yield_now().await;
    }
    let status = redis.status();
    assert!(status.reauths >= 1 && status.connects == 1 && status.drops == 0, "{status:?}");
}

#[tokio::test]
async fn case_21_library_a_refused_token_keeps_the_connection_and_forces_one_fresh_token() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let first = scene.token(1, 1);
    server.allow(1, &first, ALL);
    scene.endpoint.give(first.clone());
    let mut redis = scene.connect(config(&server));
    redis.ready().await.unwrap();
    scene.stage.clock.run_for(HOUR / 10).await;
    scene.endpoint.give(scene.token(1, 2));
    scene.keeper.refresh_now();
    scene.stage.clock.run_for(std::time::Duration::from_secs(2)).await;
    let status = until(&redis, |status| status.last_fault.is_some()).await;
    let fault = status.last_fault.unwrap().to_string();
    assert!(fault.starts_with("WRONGPASS") && fault.contains(&oid(1).to_string()), "{fault}");
    assert_eq!((status.state, status.token_expires), (State::Ready, Some(first.lifetime.expires)));
    let () = redis.set("k", "still works").await.unwrap();
    let calls = scene.endpoint.calls();
    let good = scene.token(1, 3);
    server.allow(1, &good, ALL);
    scene.endpoint.give(good);
    scene.stage.clock.run_for(std::time::Duration::from_secs(120)).await;
    let status = until(&redis, |status| status.reauths == 1).await;
    assert!(scene.endpoint.calls() > calls, "a fresh token was not asked for");
    assert_eq!((status.last_fault, status.connects), (None, 1));
}

#[tokio::test]
async fn case_35_library_another_identity_reconnects_and_no_command_fails() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let first = scene.token(1, 1);
    server.allow(1, &first, ALL);
    scene.endpoint.give(first);
    let mut redis = scene.connect(config(&server));
    redis.ready().await.unwrap();
    let other = scene.token(2, 2);
    server.allow(2, &other, ALL);
    scene.endpoint.give(other);
    scene.keeper.refresh_now();
    let waiting = tokio::spawn({
        let mut redis = redis.clone();
        async move {
            for _ in 0..500 {
                let _: Option<String> = redis.get("k").await.unwrap();
            }
        }
    });
    scene.stage.clock.run_for(std::time::Duration::from_secs(60)).await;
    until(&redis, |status| status.object_id == Some(oid(2)) && status.state == State::Ready).await;
    waiting.await.unwrap();
    let who: String = redis::cmd("ACL").arg("WHOAMI").query_async(&mut redis).await.unwrap();
    assert_eq!(who, oid(2).to_string());
    assert_eq!((redis.status().connects, redis.status().reauths, redis.status().drops), (2, 0, 0));
}

#[tokio::test]
async fn case_25_library_an_outage_longer_than_the_token_fails_honestly_and_recovers_by_itself() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let first = scene.token(1, 1);
    server.allow(1, &first, ALL);
    scene.endpoint.give(first.clone());
    let mut redis = scene.connect(config(&server));
    redis.ready().await.unwrap();
    scene.endpoint.fail();
    scene.stage.clock.run_for(HOUR + std::time::Duration::from_secs(1)).await;
    // Azure ends the connection when its token ends.
    server.admin(&format!("CLIENT KILL USER {}", oid(1)));
    let status = until(&redis, |status| status.state == State::Down).await;
    assert_eq!(status.drops, 1);
    for _ in 0..3 {
        let fault = fault_of(&redis.get::<_, Option<String>>("k").await.unwrap_err());
        assert!(fault.is("endpoint_gone"), "the identity's failure, not a password's: {fault}");
    }
    scene.stage.clock.run_for(HOUR / 2).await;
    let back = scene.token(1, 2);
    server.allow(1, &back, ALL);
    scene.endpoint.give(back);
    scene.stage.clock.run_for(std::time::Duration::from_secs(180)).await;
    until(&redis, |status| status.state == State::Ready).await;
    let () = redis.set("k", "v").await.unwrap();
    assert_eq!(redis.status().last_fault, None);
}

#[tokio::test]
async fn case_22_library_a_missing_access_policy_is_named_with_the_object_id_and_mended_without_restart() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let token = scene.token(1, 1);
    scene.endpoint.give(token.clone());
    let mut redis = scene.connect(config(&server));
    let error = redis.get::<_, Option<String>>("k").await.unwrap_err();
    let text = fault_of(&error).to_string();
    assert!(text.starts_with("WRONGPASS") && text.contains("access policy"), "{text}");
    assert!(text.contains(&oid(1).to_string()) && !text.contains(token.secret.expose()));
    server.allow(1, &token, ALL);
    scene.stage.clock.run_for(std::time::Duration::from_secs(60)).await;
    until(&redis, |status| status.state == State::Ready).await;
    let () = redis.set("k", "v").await.unwrap();
}

#[tokio::test]
async fn a_token_without_an_object_id_is_never_sent() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let mut token = scene.token(1, 1);
    token.secret = "not-a-jwt".into();
    scene.endpoint.give(token);
    let mut redis = scene.connect(config(&server));
    let fault = fault_of(&redis.get::<_, Option<String>>("k").await.unwrap_err());
    assert!(fault.is("redis_no_object_id"), "{fault}");
    assert!(!server.admin("INFO commandstats").contains("cmdstat_auth"), "something was sent");
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let token = scene.token(1, 1);
    server.allow(1, &token, ALL);
    scene.endpoint.give(token.clone());
    let mut redis = scene.connect(config(&server));
    redis.ready().await.unwrap();
    let port = server.stop();
    let status = until(&redis, |status| status.state == State::Down).await;
    assert!(status.last_fault.unwrap().is("redis_connect"));
    let Some(server) = Redis::start_at(port) else { return };
    server.allow(1, &token, ALL);
    scene.stage.clock.run_for(std::time::Duration::from_secs(60)).await;
    until(&redis, |status| status.state == State::Ready).await;
    let () = redis.set("k", "v").await.unwrap();
}

#[tokio::test]
async fn case_34_library_an_idle_connection_is_kept_alive_even_where_ping_is_not_allowed() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let token = scene.token(1, 1);
    server.allow(1, &token, "+@read ~cache:*");
    scene.endpoint.give(token);
    let redis = scene.connect(config(&server));
    redis.ready().await.unwrap();
    let before = scene.stage.clock.now();
    for round in 1..=3 {
        scene.stage.clock.sleeper_until(before + std::time::Duration::from_secs(240 * round)).await;
        scene.stage.clock.set(before + std::time::Duration::from_secs(240 * round));
    }
    scene.stage.clock.sleeper_until(before + std::time::Duration::from_secs(960)).await;
    let pings = server.admin("INFO commandstats");
    assert!(pings.contains("cmdstat_ping:calls=0") && pings.contains("rejected_calls=3"), "{pings}");
    assert_eq!((redis.status().state, redis.status().connects), (State::Ready, 1));
}

#[tokio::test]
async fn case_07_library_a_blocking_command_outlives_its_token_and_disturbs_nobody() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let first = scene.token(1, 1);
    server.allow(1, &first, ALL);
    scene.endpoint.give(first);
    let mut redis = scene.connect(config(&server));
    redis.ready().await.unwrap();
    let blocked = tokio::spawn({
        let mut redis = redis.clone();
        async move { redis.blpop::<_, (String, String)>("queue", 0.0).await }
    });
    while !server.admin("INFO clients").contains("blocked_clients:1") {
        tokio::task::yield_now().await;
    }
    let next = scene.token(1, 2);
    server.allow(1, &next, ALL);
    scene.endpoint.give(next.clone());
    scene.keeper.refresh_now();
    scene.stage.clock.run_for(std::time::Duration::from_secs(60)).await;
    until(&redis, |status| status.reauths == 1).await;
    let () = redis.set("k", "v").await.unwrap();
    let () = redis.rpush("queue", "element").await.unwrap();
    assert_eq!(blocked.await.unwrap().unwrap(), ("queue".to_owned(), "element".to_owned()));
}
