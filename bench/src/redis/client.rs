//! One row through a Rust client, in a process of its own: prints `ready`, then one JSON object.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use entrant_credential::sources::AppService;
use entrant_credential::{Keeper, KeeperOptions};
use entrant_host::{DialPolicy, Host, HostConfig};
use entrant_proto::managed_identity::Selector;
use entrant_redis::{ClusterConnection, Event, ManagedConnection, Protocol, RedisConfig, Subscriber};
use entrant_types::Resource;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::{
    AsyncConnectionConfig, Client, EntraIdCredentialsProvider, PushInfo, RetryConfig, TlsCertificates, Value as Reply,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use crate::tokens::Failure;

/// What a client offers of itself.
enum Peer {
    Published { client: Client, provider: EntraIdCredentialsProvider },
    Ours { config: RedisConfig, keeper: Keeper, host: Host },
}

/// The `redis` crate's own limit is a second, which a busy machine exceeds.
const CONNECTING: Duration = Duration::from_secs(30);

type Connection = Box<dyn ConnectionLike + Send>;

/// Plays `row` for so many seconds and prints what happened.
pub async fn run(name: &str, row: &str, seconds: &str) -> Result<(), Failure> {
    let span = Duration::from_secs(seconds.parse()?);
    let peer = if name == "entrant" { ours()? } else { published()? };
    let result = match row {
        "outage" | "window" | "clock" => {
            let connection = peer.lasting().await?;
            steady(connection, ready(span), Duration::from_millis(100), 1).await
        }
        "cluster" => {
            let connection = peer.cluster().await?;
            steady(connection, ready(span), Duration::from_millis(50), 400).await
        }
        "blocking" => blocking(&peer, span).await?,
        "resp2" | "resp3" => json!({ "received": pubsub(&peer, span, row == "resp2").await? }),
        "multi" => multi(&peer, span).await?,
        "rejected" => rejected(&peer, span).await?,
        "pool" => pool(&peer, span).await?,
        _ => return Err("no such row".into()),
    };
    println!("{result}");
    // What still waits for a reply is not waited for.
    std::process::exit(0)
}

fn ready(span: Duration) -> Instant {
    println!("ready");
    Instant::now() + span
}

fn place() -> Result<(String, u16, Option<Vec<u8>>), Failure> {
    let ca = std::env::var("PEER_CA").ok().map(std::fs::read).transpose()?;
    Ok((std::env::var("PEER_HOST")?, std::env::var("PEER_PORT")?.parse()?, ca))
}

fn ours() -> Result<Peer, Failure> {
    let (address, port, ca) = place()?;
    let ca_file = std::env::var("PEER_CA").ok().map(Into::into);
    let host = Host::new(HostConfig { ca_file, dial: DialPolicy::LoopbackOnly, ..HostConfig::default() })?;
    let source = Arc::new(AppService::new(Selector::SystemAssigned, &host.outside));
    let scope = Resource::new("https://redis.azure.com").default_scope();
    let (keeper, driver) = Keeper::new(source, scope, KeeperOptions::default(), &host.outside);
    tokio::spawn(driver.run());
    let config = RedisConfig::new(address, port, ca.map(|_| Arc::clone(&host.tls)));
    Ok(Peer::Ours { config, keeper, host })
}

fn published() -> Result<Peer, Failure> {
    let (host, port, ca) = place()?;
    let client = match ca {
        Some(root_cert) => Client::build_with_tls(
            format!("rediss://{host}:{port}/?protocol=resp3"),
            TlsCertificates { client_tls: None, root_cert: Some(root_cert) },
        )?,
        None => Client::open(format!("redis://{host}:{port}/?protocol=resp3"))?,
    };
    let mut provider = EntraIdCredentialsProvider::new_system_assigned_managed_identity()?;
    provider.start(RetryConfig::default());
    Ok(Peer::Published { client, provider })
}

impl Peer {
    /// A connection that is made again when it is lost: what a service uses.
    async fn lasting(&self) -> Result<Connection, Failure> {
        match self {
            Self::Ours { .. } => self.shared().await,
            Self::Published { client, provider } => {
                let config = ConnectionManagerConfig::new()
                    .set_connection_timeout(Some(CONNECTING))
                    .set_credentials_provider(provider.clone());
                Ok(Box::new(ConnectionManager::new_with_config(client.clone(), config).await?))
            }
        }
    }

    /// A connection to a whole cluster.
    async fn cluster(&self) -> Result<Connection, Failure> {
        match self {
            Self::Ours { config, keeper, host } => {
                let (connection, driver) = ClusterConnection::new(config.clone(), keeper.clone(), &host.outside);
                tokio::spawn(driver.run());
                connection.ready().await?;
                Ok(Box::new(connection))
            }
            Self::Published { provider, .. } => {
                let (host, port, ca) = place()?;
                let builder = ClusterClient::builder([format!("rediss://{host}:{port}/?protocol=resp3")])
                    .certs(TlsCertificates { client_tls: None, root_cert: ca })
                    .connection_timeout(CONNECTING)
                    .set_credentials_provider(provider.clone());
                Ok(Box::new(builder.build()?.get_async_connection().await?))
            }
        }
    }

    /// One connection for many tasks; commands may take as long as they like.
    async fn shared(&self) -> Result<Connection, Failure> {
        Ok(self.sharing(1).await?.remove(0))
    }

    async fn sharing(&self, handles: usize) -> Result<Vec<Connection>, Failure> {
        match self {
            Self::Ours { config, keeper, host } => {
                let (connection, driver) = ManagedConnection::new(config.clone(), keeper.clone(), &host.outside);
                tokio::spawn(driver.run());
                connection.ready().await?;
                Ok((0..handles).map(|_| Box::new(connection.clone()) as Connection).collect())
            }
            Self::Published { client, provider } => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECTING))
                    .set_response_timeout(None)
                    .set_credentials_provider(provider.clone());
                let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
                Ok((0..handles).map(|_| Box::new(connection.clone()) as Connection).collect())
            }
        }
    }
}

async fn ask(connection: &mut Connection, words: &[&str]) -> redis::RedisResult<Reply> {
    let mut command = redis::Cmd::new();
    words.iter().for_each(|word| {
        command.arg(*word);
    });
    // Errors inside a reply are errors here.
    connection.req_packed_command(&command).await.and_then(Reply::extract_error)
}

/// A command every `pause`; counts what failed.
async fn steady(mut connection: Connection, until: Instant, pause: Duration, keys: u64) -> Value {
    let (mut ok, mut failed, mut first) = (0, 0, None);
    while Instant::now() < until {
        let key = format!("steady:{}", (ok + failed) % keys);
        match tokio::time::timeout(Duration::from_secs(15), ask(&mut connection, &["INCR", &key])).await {
            Ok(Ok(_)) => ok += 1,
            Ok(Err(error)) => (failed, first) = (failed + 1, first.or(Some(error.to_string()))),
            Err(_) => (failed, first) = (failed + 1, first.or(Some("no answer in 15 s".to_owned()))),
        }
        sleep(pause).await;
    }
    json!({ "ok": ok, "failed": failed, "error": first })
}

fn merge(mut result: Value, more: Value) -> Value {
    if let (Some(result), Value::Object(more)) = (result.as_object_mut(), more) {
        result.extend(more);
    }
    result
}

async fn blocking(peer: &Peer, span: Duration) -> Result<Value, Failure> {
    let mut first = peer.shared().await?;
    let mut second = peer.shared().await?;
    let until = ready(span);
    let found = Arc::new(Mutex::new(json!({})));
    let late = Arc::clone(&found);
    tokio::spawn(async move { note(&late, "after", pop(&mut second, "after", until).await) });
    let before = pop(&mut first, "before", until).await;
    note(&found, "before", before);
    let result = steady(first, until, Duration::from_millis(200), 1).await;
    let found = found.lock().map_err(|error| error.to_string())?.clone();
    Ok(merge(result, found))
}

fn note(all: &Mutex<Value>, key: &str, value: String) {
    if let Ok(mut all) = all.lock() {
        all[key] = value.into();
    }
}

async fn pop(connection: &mut Connection, key: &str, until: Instant) -> String {
    match timeout_at(until, ask(connection, &["BLPOP", key, "0"])).await {
        Ok(Ok(Reply::Array(parts))) => parts.last().map_or_else(String::new, text),
        Ok(Ok(other)) => format!("{other:?}"),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "nothing".to_owned(),
    }
}

fn text(value: &Reply) -> String {
    match value {
        Reply::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Reply::SimpleString(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

async fn pubsub(peer: &Peer, span: Duration, resp2: bool) -> Result<Value, Failure> {
    let received: [Arc<Mutex<Vec<u64>>>; 2] = Default::default();
    let mut listening = Vec::new();
    for numbers in &received {
        let numbers = Arc::clone(numbers);
        match peer {
            Peer::Ours { config, keeper, host } => {
                let mut config = config.clone();
                if resp2 {
                    config.subscribers = Protocol::Resp2;
                }
                let (mut subscriber, driver) = Subscriber::new(config, keeper.clone(), &host.outside);
                tokio::spawn(driver.run());
                subscriber.subscribe("numbers").await?;
                listening.push(tokio::spawn(async move {
                    while let Some(event) = subscriber.next().await {
                        let Event::Message(message) = event else { continue };
                        if keep(&numbers, &message.payload) {
                            return;
                        }
                    }
                }));
            }
            Peer::Published { client, provider } => {
                let (pushes, mut pushed) = tokio::sync::mpsc::unbounded_channel::<PushInfo>();
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECTING))
                    .set_credentials_provider(provider.clone())
                    .set_push_sender(pushes);
                let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
                connection.subscribe("numbers").await?;
                listening.push(tokio::spawn(async move {
                    let _connection = connection;
                    while let Some(push) = pushed.recv().await {
                        let Some(Reply::BulkString(payload)) = push.data.get(1) else { continue };
                        if keep(&numbers, payload) {
                            return;
                        }
                    }
                }));
            }
        }
    }
    let until = ready(span);
    for listener in listening {
        let _ = timeout_at(until, listener).await;
    }
    let taken = |numbers: &Arc<Mutex<Vec<u64>>>| numbers.lock().map(|numbers| numbers.clone()).unwrap_or_default();
    Ok(json!([taken(&received[0]), taken(&received[1])]))
}

/// Keeps a number; true at the end.
fn keep(numbers: &Mutex<Vec<u64>>, payload: &[u8]) -> bool {
    let number = std::str::from_utf8(payload).ok().and_then(|text| text.parse().ok());
    if let (Some(number), Ok(mut numbers)) = (number, numbers.lock()) {
        numbers.push(number);
    }
    payload == b"end"
}

async fn multi(peer: &Peer, span: Duration) -> Result<Value, Failure> {
    let mut connection = peer.shared().await?;
    let until = ready(span);
    sleep(Duration::from_secs(4)).await;
    let mut result = json!({});
    match ask(&mut connection, &["MULTI"]).await {
        Ok(_) => {
            let _ = ask(&mut connection, &["ECHO", "first"]).await;
            sleep(Duration::from_secs(5)).await;
            let _ = ask(&mut connection, &["ECHO", "second"]).await;
            result["exec"] = replies(ask(&mut connection, &["EXEC"]).await);
        }
        Err(error) => {
            result["refused"] = error.to_string().into();
            sleep(Duration::from_secs(5)).await;
            let mut pipeline = redis::pipe();
            pipeline.atomic().cmd("ECHO").arg("first").cmd("ECHO").arg("second");
            let reply = connection.req_packed_commands(&pipeline, 3, 1).await;
            result["exec"] = replies(reply.map(|mut reply| reply.pop().unwrap_or(Reply::Nil)));
        }
    }
    Ok(merge(steady(connection, until, Duration::from_millis(200), 1).await, result))
}

fn replies(reply: redis::RedisResult<Reply>) -> Value {
    match reply {
        Ok(Reply::Array(parts)) => parts.iter().map(text).collect(),
        Ok(other) => format!("{other:?}").into(),
        Err(error) => error.to_string().into(),
    }
}

async fn rejected(peer: &Peer, span: Duration) -> Result<Value, Failure> {
    let mut handles = Vec::new();
    for _ in 0..8 {
        handles.extend(peer.sharing(50).await?);
    }
    let until = ready(span);
    let counts = Arc::new(Mutex::new([0_u64; 3]));
    let mut readers = Vec::new();
    for (reader, mut connection) in handles.into_iter().enumerate() {
        let (counts, index) = (Arc::clone(&counts), reader % 50);
        let (key, value) = (format!("key:{index}"), format!("value:{index}"));
        readers.push(tokio::spawn(async move {
            while Instant::now() < until {
                let kind = match ask(&mut connection, &["GET", &key]).await {
                    Ok(Reply::BulkString(bytes)) if bytes == value.as_bytes() => 0,
                    Ok(_) => 1,
                    Err(_) => {
                        sleep(Duration::from_millis(50)).await;
                        2
                    }
                };
                if let Ok(mut counts) = counts.lock() {
                    counts[kind] += 1;
                }
            }
        }));
    }
    for reader in readers {
        // A caller whose reply never comes would wait for ever: the row ends without it.
        let _ = timeout_at(until + Duration::from_secs(2), reader).await;
    }
    let [right, wrong, failed] = *counts.lock().map_err(|error| error.to_string())?;
    Ok(json!({ "right": right, "wrong": wrong, "failed": failed }))
}

async fn pool(peer: &Peer, span: Duration) -> Result<Value, Failure> {
    let mut connections = Vec::new();
    while connections.len() < 1000 {
        let some = futures_util::future::join_all((0..20).map(|_| peer.lasting())).await;
        connections.extend(some.into_iter().collect::<Result<Vec<_>, _>>()?);
    }
    let until = ready(span);
    let users = connections.into_iter().enumerate().map(|(index, connection)| {
        tokio::spawn(async move {
            sleep(Duration::from_millis(2 * index as u64)).await;
            steady(connection, until, Duration::from_secs(2), 1).await
        })
    });
    let all: Vec<Value> = futures_util::future::join_all(users).await.into_iter().collect::<Result<_, _>>()?;
    let sum = |key: &str| all.iter().filter_map(|one| one[key].as_u64()).sum::<u64>();
    let error = all.iter().find_map(|one| one["error"].as_str());
    Ok(json!({ "ok": sum("ok"), "failed": sum("failed"), "error": error }))
}
