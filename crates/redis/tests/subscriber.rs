//! The subscriber against a real redis-server whose ACL users have the tokens as passwords.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at a broken promise")]

#[expect(dead_code, reason = "the harness of all connection tests")]
mod support;

use std::time::Duration;

use entrant_redis::{Event, Protocol, RedisConfig, Subscriber};
use support::Scene;
use support::server::{HOUR, LIMIT, Redis, oid};

const ALL: &str = "~* &* +@all";

fn start(scene: &mut Scene, server: &Redis) -> Subscriber {
    start_in(scene, server, Protocol::Resp3)
}

fn start_in(scene: &mut Scene, server: &Redis, protocol: Protocol) -> Subscriber {
    let mut config = RedisConfig::new("127.0.0.1", server.port, None);
    config.subscribers = protocol;
    let (subscriber, driver) = Subscriber::new(config, scene.keeper.clone(), &scene.stage.outside());
    scene.tasks.spawn(driver.run());
    subscriber
}

async fn message(subscriber: &mut Subscriber) -> (String, String) {
    match tokio::time::timeout(LIMIT, subscriber.next()).await.unwrap().unwrap() {
        Event::Message(message) => {
            (String::from_utf8(message.channel).unwrap(), String::from_utf8(message.payload).unwrap())
        }
        Event::Gap(fault) => panic!("a gap: {fault}"),
    }
}

#[tokio::test]
async fn case_05_library_a_subscriber_gets_every_message_over_many_tokens_refused_ones_included() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let first = scene.token(1, 1);
    server.allow(1, &first, ALL);
    scene.endpoint.give(first);
    let mut subscriber = start(&mut scene, &server);
    subscriber.subscribe("numbers").await.unwrap();
    subscriber.psubscribe("pat*").await.unwrap();
    let auths = |server: &Redis| server.admin("INFO commandstats").contains("cmdstat_auth:calls=1,");
    assert!(auths(&server));
    for number in 0..400_u32 {
        if number % 10 == 0 {
            let next = scene.token(1, number + 2);
            if number % 30 != 0 {
                server.allow(1, &next, ALL);
            }
            scene.endpoint.give(next);
            scene.keeper.refresh_now();
            // Past the keeper's floor, and not past the limit for an answer: that takes real time.
            scene.stage.clock.run_for(Duration::from_secs(5)).await;
        }
        server.admin(&format!("PUBLISH numbers {number}"));
        server.admin(&format!("PUBLISH pattern {number}"));
        assert_eq!(message(&mut subscriber).await, ("numbers".to_owned(), number.to_string()));
        assert_eq!(message(&mut subscriber).await, ("pattern".to_owned(), number.to_string()));
    }
    assert!(!auths(&server), "it was never authenticated again");
    assert!(server.admin("CLIENT LIST").matches(&oid(1).to_string()).count() == 1, "one connection all along");
}

#[tokio::test]
async fn a_lost_connection_is_a_gap_and_all_subscriptions_come_back() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let token = scene.token(1, 1);
    server.allow(1, &token, ALL);
    scene.endpoint.give(token);
    let mut subscriber = start(&mut scene, &server);
    subscriber.subscribe("a").await.unwrap();
    subscriber.subscribe("b").await.unwrap();
    subscriber.unsubscribe("b").await.unwrap();
    server.admin(&format!("CLIENT KILL USER {}", oid(1)));
    let event = tokio::time::timeout(LIMIT, subscriber.next()).await.unwrap().unwrap();
    assert!(matches!(event, Event::Gap(_)), "{event:?}");
    scene.stage.clock.run_for(HOUR / 60).await;
    while !server.admin("PUBSUB NUMSUB a").contains('*') || !server.admin("CLIENT LIST").contains("sub=1") {
        tokio::task::yield_now().await;
    }
    server.admin("PUBLISH b 0");
    server.admin("PUBLISH a 1");
    assert_eq!(message(&mut subscriber).await, ("a".to_owned(), "1".to_owned()));
}

#[tokio::test]
async fn a_channel_that_is_not_allowed_is_refused_and_the_others_live_on() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let token = scene.token(1, 1);
    server.allow(1, &token, "resetchannels &open* +@all");
    scene.endpoint.give(token);
    let mut subscriber = start(&mut scene, &server);
    subscriber.subscribe("open").await.unwrap();
    let fault = subscriber.subscribe("closed").await.unwrap_err();
    assert!(fault.to_string().starts_with("NOPERM: "), "{fault}");
    server.admin("PUBLISH open 1");
    assert_eq!(message(&mut subscriber).await, ("open".to_owned(), "1".to_owned()));
}

#[tokio::test]
async fn case_04_library_a_resp2_subscriber_is_handed_over_at_every_token_with_no_message_lost_or_repeated() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let first = scene.token(1, 1);
    server.allow(1, &first, ALL);
    scene.endpoint.give(first);
    let mut subscriber = start_in(&mut scene, &server, Protocol::Resp2);
    subscriber.subscribe("numbers").await.unwrap();
    subscriber.psubscribe("*").await.unwrap();
    let connections = |server: &Redis| -> u32 {
        let stats = server.admin("INFO commandstats");
        let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_auth:calls=")).unwrap();
        calls.split(',').next().unwrap().parse().unwrap()
    };
    let mut number = 0_u32;
    for token in 2..20 {
        server.forget_tokens(1);
        let next = scene.token(1, token);
        server.allow(1, &next, ALL);
        scene.endpoint.give(next);
        scene.keeper.refresh_now();
        let before = connections(&server);
        scene.stage.clock.run_for(Duration::from_secs(5)).await;
        // All the way through the handover (another connection that subscribes, and one that publishes the marker), and
        // at least once however quick that is.
        loop {
            server.admin(&format!("PUBLISH numbers {number}"));
            let expected = ("numbers".to_owned(), number.to_string());
            assert_eq!(message(&mut subscriber).await, expected, "by name");
            assert_eq!(message(&mut subscriber).await, expected, "by pattern");
            number += 1;
            if number.is_multiple_of(40) && connections(&server) >= before + 2 {
                break;
            }
        }
    }
    assert!(number > 500, "{number}");
    let list = server.admin("CLIENT LIST");
    assert_eq!(list.matches(&oid(1).to_string()).count(), 1, "the connections that were left are closed: {list}");
}

#[tokio::test]
async fn a_resp2_subscriber_that_may_not_publish_keeps_its_connection_as_long_as_that_lives() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let first = scene.token(1, 1);
    server.allow(1, &first, "~* &* +@all -publish");
    scene.endpoint.give(first);
    let mut subscriber = start_in(&mut scene, &server, Protocol::Resp2);
    subscriber.subscribe("a").await.unwrap();
    let next = scene.token(1, 2);
    server.allow(1, &next, "~* &* +@all -publish");
    scene.endpoint.give(next);
    scene.keeper.refresh_now();
    scene.stage.clock.run_for(Duration::from_secs(5)).await;
    while !server.admin("INFO commandstats").contains("cmdstat_publish:calls=0,") {
        tokio::task::yield_now().await;
    }
    server.admin("PUBLISH a 1");
    assert_eq!(message(&mut subscriber).await, ("a".to_owned(), "1".to_owned()));
    subscriber.subscribe("b").await.unwrap();
    server.admin("PUBLISH b 2");
    assert_eq!(message(&mut subscriber).await, ("b".to_owned(), "2".to_owned()));
}
