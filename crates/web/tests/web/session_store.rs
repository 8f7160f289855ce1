//! Every session store keeps every promise of the trait: in memory, on a real redis-server, on the embedded store.

use std::sync::Arc;
use std::time::Duration;

use entrant_relay::store::{Store, StoreConfig};
use entrant_testkit::Stage;
use entrant_web::session::memory::MemoryStore;
use entrant_web::session::redis::RedisStore;
use entrant_web::session::seal::RecordId;
use entrant_web::session::store::{Replaced, SessionStore};
use entrant_web::session::suite;
use redis::aio::MultiplexedConnection;

use crate::redis_server::RedisServer;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn the_store_in_memory_keeps_every_promise() {
    let store = MemoryStore::new(Stage::new().clock);
    suite::check(&store, "memory").await.unwrap();
}

#[tokio::test]
async fn the_store_in_redis_keeps_every_promise() {
    let server = RedisServer::start();
    let store = RedisStore::new(server.connect().await, "entrant:");
    suite::check(&store, "redis").await.unwrap();
}

/// A connection to an embedded store whose time is the stage's.
async fn embedded(stage: &Stage) -> MultiplexedConnection {
    let (near, far) = tokio::io::duplex(64 * 1024);
    tokio::spawn(Store::new(StoreConfig::default(), &stage.outside()).serve(far));
    let config = redis::AsyncConnectionConfig::default();
    let (connection, driver) =
        MultiplexedConnection::new_with_config(&redis::RedisConnectionInfo::default(), near, config).await.unwrap();
    tokio::spawn(driver);
    connection
}

#[tokio::test]
async fn the_embedded_store_keeps_every_promise_and_forgets_in_time() {
    let stage = Stage::new();
    let store = RedisStore::new(embedded(&stage).await, "entrant:");
    suite::check(&store, "embedded").await.unwrap();
    let id = RecordId::of(b"one");
    store.create(&id, b"x".to_vec(), HOUR).await.unwrap();
    stage.clock.advance(HOUR - Duration::from_secs(1));
    assert!(store.load(&id).await.unwrap().is_some());
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(store.load(&id).await.unwrap(), None);
    assert_eq!(store.replace(&id, 1, b"late".to_vec(), HOUR).await.unwrap(), Replaced::Gone);
}

#[tokio::test]
async fn records_in_memory_end_with_their_time() {
    let stage = Stage::new();
    let store = MemoryStore::new(Arc::clone(&stage.clock) as _);
    let (id, group) = (RecordId::of(b"one"), RecordId::of(b"group"));
    store.create(&id, b"x".to_vec(), HOUR).await.unwrap();
    store.join(&group, &id, HOUR).await.unwrap();
    stage.clock.advance(HOUR - Duration::from_secs(1));
    assert!(store.load(&id).await.unwrap().is_some());
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(store.load(&id).await.unwrap(), None);
    assert_eq!(store.replace(&id, 1, b"late".to_vec(), HOUR).await.unwrap(), Replaced::Gone);
    assert!(store.disband(&group).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_key_in_redis_has_an_end_and_bears_neither_value_nor_text() {
    let server = RedisServer::start();
    let mut connection = server.connect().await;
    let store = RedisStore::new(connection.clone(), "entrant:");
    let (id, group) = (RecordId::of(b"one"), RecordId::of(b"group"));
    let ended = RecordId::of(b"ended");
    store.create(&id, b"x".to_vec(), HOUR).await.unwrap();
    store.replace(&id, 1, b"y".to_vec(), HOUR).await.unwrap();
    store.replace(&id, 1, b"stale".to_vec(), HOUR).await.unwrap();
    store.join(&group, &id, HOUR).await.unwrap();
    store.create(&ended, b"x".to_vec(), HOUR).await.unwrap();
    store.end(&ended, HOUR).await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    assert_eq!(keys.len(), 3);
    for key in keys {
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.unwrap();
        assert!((1..=3_600_000).contains(&left), "{key}: {left}");
        let hash = key.strip_prefix("entrant:session:").or_else(|| key.strip_prefix("entrant:sid:")).unwrap();
        assert!(RecordId::parse(hash).is_some(), "{key}");
    }
    let fields: Vec<String> =
        redis::cmd("HKEYS").arg(format!("entrant:session:{id}")).query_async(&mut connection).await.unwrap();
    assert_eq!(fields, ["2"], "one version at a time");
}

#[tokio::test]
async fn a_record_that_vanished_by_itself_is_not_revived_by_a_late_writer() {
    let server = RedisServer::start();
    let mut connection = server.connect().await;
    let store = RedisStore::new(connection.clone(), "entrant:");
    let id = RecordId::of(b"one");
    store.create(&id, b"x".to_vec(), HOUR).await.unwrap();
    let () = redis::cmd("DEL").arg(format!("entrant:session:{id}")).query_async(&mut connection).await.unwrap();
    assert_eq!(store.replace(&id, 1, b"late".to_vec(), HOUR).await.unwrap(), Replaced::Gone);
    assert_eq!(store.load(&id).await.unwrap(), None);
    let exists: bool =
        redis::cmd("EXISTS").arg(format!("entrant:session:{id}")).query_async(&mut connection).await.unwrap();
    assert!(!exists);
}

#[tokio::test]
async fn an_oversized_record_is_refused_before_it_is_sent() {
    let stage = Stage::new();
    let store = MemoryStore::new(stage.clock);
    let id = RecordId::of(b"one");
    assert!(store.create(&id, vec![0; 300_000], HOUR).await.is_err());
    assert_eq!(store.load(&id).await.unwrap(), None);
}

#[tokio::test]
async fn an_unreachable_redis_is_a_fault_with_a_remedy() {
    let server = RedisServer::start();
    let store = RedisStore::new(server.connect().await, "entrant:");
    drop(server);
    let fault = store.load(&RecordId::of(b"one")).await.unwrap_err();
    assert!(fault.is("session_store_unavailable"), "{fault}");
    assert!(!fault.fix.is_empty());
}
