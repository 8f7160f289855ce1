//! A session's tokens keep every promise that the confidential client asks of a token store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use entrant_confidential::store_suite::{Harness, check, sample};
use entrant_confidential::{AccountTokens, Replaced, TokenStore};
use entrant_testkit::Stage;
use entrant_types::BoxFuture;
use entrant_web::session::memory::MemoryStore;
use entrant_web::session::partition::SessionTokens;
use entrant_web::session::record::Person;
use entrant_web::session::redis::RedisStore;
use entrant_web::session::sessions::{Limits, Session, Sessions};
use entrant_web::session::store::SessionStore;
use http::{HeaderMap, HeaderValue, header};

use crate::redis_server::RedisServer;

/// Signs people in without a browser.
struct SignIns {
    stage: Stage,
    sessions: &'static Sessions,
    cookies: Mutex<HashMap<String, HeaderMap>>,
}

impl SignIns {
    fn new(store: Arc<dyn SessionStore>) -> Self {
        let stage = Stage::new();
        let outside = stage.outside();
        let sessions = Sessions::new(store, Limits::default(), outside.clock, outside.entropy);
        Self { stage, sessions: Box::leak(Box::new(sessions)), cookies: Mutex::default() }
    }

    async fn find(&self, cookies: &HeaderMap) -> &'static Session {
        Box::leak(Box::new(self.sessions.find(cookies).await.unwrap().unwrap()))
    }

    fn cookies_of(&self, store: &dyn TokenStore) -> HeaderMap {
        self.cookies.lock().unwrap()[store.partition()].clone()
    }
}

impl Harness for SignIns {
    fn create(&self, tokens: AccountTokens) -> BoxFuture<'_, Arc<dyn TokenStore>> {
        Box::pin(async move {
            let person = Person {
                name: "Alice".to_owned(),
                username: None,
                object_id: None,
                tenant_id: None,
                roles: Vec::new(),
                claims: serde_json::Map::new(),
            };
            let cookie = self.sessions.begin(&HeaderMap::new(), person, tokens, None).await.unwrap();
            let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
            let cookies: HeaderMap = [(header::COOKIE, HeaderValue::try_from(pair).unwrap())].into_iter().collect();
            let store = SessionTokens::new(self.sessions, self.find(&cookies).await);
            self.cookies.lock().unwrap().insert(store.partition().to_owned(), cookies);
            Arc::new(store) as _
        })
    }

    fn again<'a>(&'a self, store: &'a dyn TokenStore) -> BoxFuture<'a, Arc<dyn TokenStore>> {
        Box::pin(async move {
            let session = self.find(&self.cookies_of(store)).await;
            Arc::new(SessionTokens::new(self.sessions, session)) as _
        })
    }

    fn end<'a>(&'a self, store: &'a dyn TokenStore) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let session = self.find(&self.cookies_of(store)).await;
            self.sessions.end(session).await.unwrap();
        })
    }
}

#[tokio::test]
async fn tokens_inside_a_session_in_memory_keep_every_promise() {
    check(&SignIns::new(Arc::new(MemoryStore::new(Stage::new().clock)))).await.unwrap();
}

#[tokio::test]
async fn tokens_inside_a_session_in_redis_keep_every_promise() {
    let server = RedisServer::start();
    let store = RedisStore::new(server.connect().await, "entrant:");
    check(&SignIns::new(Arc::new(store))).await.unwrap();
}

#[tokio::test]
async fn a_request_noted_meanwhile_is_no_conflict_for_tokens() {
    let sign_ins = SignIns::new(Arc::new(MemoryStore::new(Stage::new().clock)));
    let store = sign_ins.create(sample("alice")).await;
    let seen = store.load().await.unwrap().unwrap().version;
    // Another tab: the request is noted in the same record.
    sign_ins.stage.clock.advance(Duration::from_secs(600));
    sign_ins.again(store.as_ref()).await;
    assert_eq!(store.replace(seen, &sample("renewed")).await.unwrap(), Replaced::Done(seen + 1));
    assert_eq!(*store.load().await.unwrap().unwrap().tokens, sample("renewed"));
}
