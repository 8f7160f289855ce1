//! The quiet rule and late answers, against a loopback server that answers only when the test says so.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

mod support;

use std::time::Duration;

use entrant_proto::resp::{Args, RequestFramer, RequestLimits};
use entrant_redis::{RedisConfig, State, fault_of};
use redis::AsyncCommands as _;
use support::server::LIMIT;
use support::{Scene, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One client of the fake server. Commands are read one by one; nothing is answered by itself.
struct Client {
    stream: TcpStream,
    framer: RequestFramer,
    bytes: Vec<u8>,
}

impl Client {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = tokio::time::timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
        Self { stream, framer: RequestFramer::new(RequestLimits::AUTHENTICATED), bytes: Vec::new() }
    }

    /// Accepts a client and lets it in.
    async fn enter(listener: &TcpListener) -> Self {
        let mut client = Self::accept(listener).await;
        assert_eq!(client.command().await, "AUTH");
        client.answer("+OK\r\n").await;
        assert_eq!(client.command().await, "HELLO");
        client.answer("%1\r\n+proto\r\n:3\r\n").await;
        client
    }

    /// The name of the next command.
    async fn command(&mut self) -> String {
        loop {
            if let Some(piece) = self.framer.next(&self.bytes).unwrap() {
                let name = Args::of(&self.bytes[..piece.len]).next().unwrap();
                let name = String::from_utf8(name.into_owned()).unwrap();
                self.bytes.drain(..piece.len);
                return name;
            }
            let read = tokio::time::timeout(LIMIT, self.stream.read_buf(&mut self.bytes)).await.unwrap().unwrap();
            assert_ne!(read, 0, "the client closed");
        }
    }

    /// Whether the client has sent anything that was not taken yet.
    fn has_sent(&mut self) -> bool {
        let _ = self.stream.try_read_buf(&mut self.bytes);
        !self.bytes.is_empty()
    }

    async fn answer(&mut self, reply: &str) {
        self.stream.write_all(reply.as_bytes()).await.unwrap();
    }
}

async fn fake() -> (TcpListener, RedisConfig) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, RedisConfig::new("127.0.0.1", port, None))
}

async fn turns() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_that_is_gone_without_a_word_is_left_after_two_limits_and_a_slow_one_is_not() {
    let (listener, config) = fake().await;
    let mut scene = Scene::new();
    scene.endpoint.give(scene.token(1, 1));
    let redis = scene.connect(RedisConfig { response_timeout: Duration::from_secs(5), ..config });
    let mut server = Client::enter(&listener).await;
    redis.ready().await.unwrap();
    let get = |key: &'static str| {
        let mut redis = redis.clone();
        tokio::spawn(async move { redis.get::<_, String>(key).await })
    };
    let slow = get("slow");
    assert_eq!(server.command().await, "GET");
    let late = fault_of(&slow.await.unwrap().unwrap_err()).to_string();
    assert!(late.starts_with("redis_response_timeout"), "{late}");
    // Asked whether it lives, it answers in its turn: the connection stays, and nobody reads the late reply.
    assert_eq!(server.command().await, "PING");
    server.answer("$4\r\nlate\r\n+PONG\r\n").await;
    let next = get("next");
    assert_eq!(server.command().await, "GET");
    server.answer("$4\r\nnext\r\n").await;
    assert_eq!(next.await.unwrap().unwrap(), "next");
    // From now on it says nothing. No time of the clock passes: it is not the keep-alive that finds out.
    let lost = get("lost");
    assert!(lost.await.unwrap().is_err());
    let mut another = Client::enter(&listener).await;
    let again = get("again");
    assert_eq!(another.command().await, "GET");
    another.answer("$5\r\nagain\r\n").await;
    assert_eq!(again.await.unwrap().unwrap(), "again");
    drop(server);
}

#[tokio::test]
async fn case_10_library_auth_goes_out_alone_and_is_confirmed_before_the_next_byte() {
    let (listener, config) = fake().await;
    let mut scene = Scene::new();
    scene.endpoint.give(scene.token(1, 1));
    let redis = scene.connect(config);
    let mut server = Client::enter(&listener).await;
    redis.ready().await.unwrap();
    let get = |key: &'static str| {
        let mut redis = redis.clone();
        tokio::spawn(async move { redis.get::<_, String>(key).await })
    };
    let first = get("a");
    assert_eq!(server.command().await, "GET");
    scene.endpoint.give(scene.token(1, 2));
    scene.keeper.refresh_now();
    scene.stage.clock.run_for(Duration::from_secs(60)).await;
    let second = get("b");
    turns().await;
    assert!(!server.has_sent(), "a reply is outstanding: neither AUTH nor a command may go");
    server.answer("$1\r\n1\r\n").await;
    assert_eq!(server.command().await, "AUTH");
    let third = get("c");
    turns().await;
    assert!(!server.has_sent(), "AUTH is not answered: nothing may go");
    // The answer is late: far later than the 500 ms after which the redis crate itself would give up for good.
    scene.stage.clock.run_for(Duration::from_secs(20)).await;
    server.answer("+OK\r\n").await;
    for value in ["2", "3"] {
        assert_eq!(server.command().await, "GET");
        server.answer(&format!("$1\r\n{value}\r\n")).await;
    }
    assert_eq!(first.await.unwrap().unwrap(), "1");
    assert_eq!(second.await.unwrap().unwrap(), "2");
    assert_eq!(third.await.unwrap().unwrap(), "3");
    until(&redis, |status| status.reauths == 1 && status.connects == 1).await;
}

#[tokio::test]
async fn case_10_library_replies_nobody_waits_for_any_more_still_come_before_auth() {
    let (listener, config) = fake().await;
    let mut scene = Scene::new();
    scene.endpoint.give(scene.token(1, 1));
    let redis = scene.connect(config);
    let mut server = Client::enter(&listener).await;
    redis.ready().await.unwrap();
    let abandoned = tokio::spawn({
        let mut redis = redis.clone();
        async move { redis.get::<_, String>("a").await }
    });
    assert_eq!(server.command().await, "GET");
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    scene.endpoint.give(scene.token(1, 2));
    scene.keeper.refresh_now();
    scene.stage.clock.run_for(Duration::from_secs(60)).await;
    assert_eq!(server.command().await, "PING", "a fence behind the abandoned command");
    turns().await;
    assert!(!server.has_sent());
    server.answer("$1\r\n1\r\n").await;
    server.answer("-NOPERM this user has no permissions to run the 'ping' command\r\n").await;
    assert_eq!(server.command().await, "AUTH");
    server.answer("+OK\r\n").await;
    until(&redis, |status| status.reauths == 1).await;
}

#[tokio::test]
async fn case_24_library_a_connection_lost_during_auth_is_made_anew_and_commands_wait_for_it() {
    let (listener, config) = fake().await;
    let mut scene = Scene::new();
    scene.endpoint.give(scene.token(1, 1));
    let redis = scene.connect(config);
    let mut server = Client::enter(&listener).await;
    redis.ready().await.unwrap();
    scene.endpoint.give(scene.token(1, 2));
    scene.keeper.refresh_now();
    scene.stage.clock.run_for(Duration::from_secs(60)).await;
    assert_eq!(server.command().await, "AUTH");
    let waiting = tokio::spawn({
        let mut redis = redis.clone();
        async move { redis.get::<_, String>("a").await }
    });
    turns().await;
    drop(server);
    let mut server = Client::enter(&listener).await;
    assert_eq!(server.command().await, "GET");
    server.answer("$1\r\n1\r\n").await;
    assert_eq!(waiting.await.unwrap().unwrap(), "1");
    let status = redis.status();
    assert_eq!((status.connects, status.drops, status.reauths), (2, 1, 0));
}

#[tokio::test]
async fn a_server_that_is_not_redis_is_named_as_such() {
    let (listener, config) = fake().await;
    let mut scene = Scene::new();
    scene.endpoint.give(scene.token(1, 1));
    let mut redis = scene.connect(config);
    let mut server = Client::accept(&listener).await;
    server.answer("HTTP/1.1 400 Bad Request\r\n").await;
    let fault = fault_of(&redis.get::<_, String>("a").await.unwrap_err());
    assert!(fault.is("redis_protocol"), "{fault}");
}

#[tokio::test]
async fn plain_text_beyond_loopback_is_refused_before_anything_is_dialled() {
    let mut scene = Scene::new();
    scene.endpoint.give(scene.token(1, 1));
    let redis = scene.connect(RedisConfig::new("cache.example", 10_000, None));
    let status = until(&redis, |status| status.state == State::Down).await;
    assert!(status.last_fault.unwrap().is("redis_plaintext_refused"));
}
