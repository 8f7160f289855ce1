//! Sessions in Redis, with a fenced compare-and-set made of plain commands.
//!
//! A record is a hash whose one field is named after its version. A replacement is one transaction:
//! `HEXISTS` the old version, `HSETNX` the new one, `HDEL` the old one, `HKEYS`, `PEXPIRE`. Only one writer can
//! set a field that does not exist, the largest version is never deleted, and readers take the largest: so a
//! stalled writer sees in `HKEYS` that it lost, and removes its field. `WATCH` is of no use on a connection that
//! many tasks share, and scripts are switched off on some servers.
//! An ended record leaves the field `end` behind, until no writer can turn up any more.

use std::fmt;
use std::time::Duration;

use entrant_types::{BoxFuture, Code, Fault, Whose};
use redis::Pipeline;
use redis::aio::ConnectionLike;

use super::memory::check_size;
use super::seal::RecordId;
use super::store::{Replaced, SessionStore, Stored};

/// Name of the field that marks an ended record.
const END: &str = "end";
/// The whole exchange with Redis: a person waits for the page.
const LIMIT: Duration = Duration::from_secs(5);
/// Sessions that one sign-in at the identity provider may carry. Beyond it a front-channel sign-out leaves the
/// rest to their idle limit.
const MAX_MEMBERS: usize = 1000;

/// The store over any connection of the `redis` crate, such as `entrant_redis::ManagedConnection`.
#[derive(Clone)]
pub struct RedisStore<C> {
    connection: C,
    prefix: String,
}

impl<C> RedisStore<C> {
    /// Over `connection`; every key starts with `prefix`, such as `entrant:`.
    #[must_use]
    pub fn new(connection: C, prefix: impl Into<String>) -> Self {
        Self { connection, prefix: prefix.into() }
    }

    fn record(&self, id: &RecordId) -> String {
        format!("{}session:{id}", self.prefix)
    }

    fn group(&self, id: &RecordId) -> String {
        format!("{}sid:{id}", self.prefix)
    }
}

impl<C: ConnectionLike + Clone> RedisStore<C> {
    async fn query<T: redis::FromRedisValue>(&self, pipeline: Pipeline) -> Result<T, Fault> {
        let mut connection = self.connection.clone();
        match tokio::time::timeout(LIMIT, pipeline.query_async(&mut connection)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(unavailable(entrant_redis::fault_of(&error))),
            Err(_) => {
                let what = format!("Redis gave no answer within {} s.", LIMIT.as_secs());
                Err(unavailable(Fault::new(Whose::Provider, what, "Check that Redis is reachable and not overloaded.")))
            }
        }
    }

    async fn load_record(&self, id: &RecordId) -> Result<Option<Stored>, Fault> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HGETALL").arg(self.record(id));
        let (fields,): (Vec<(String, Vec<u8>)>,) = self.query(pipeline).await?;
        if fields.iter().any(|(name, _)| name == END) {
            return Ok(None);
        }
        let newest = fields.into_iter().filter_map(|(name, sealed)| Some((name.parse::<u64>().ok()?, sealed)));
        Ok(newest.max_by_key(|(version, _)| *version).map(|(version, sealed)| Stored { version, sealed }))
    }

    async fn create_record(&self, id: &RecordId, sealed: Vec<u8>, ttl: Duration) -> Result<bool, Fault> {
        check_size(&sealed)?;
        let key = self.record(id);
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        pipeline.cmd("HKEYS").arg(&key);
        pipeline.cmd("HSETNX").arg(&key).arg(1).arg(sealed);
        pipeline.cmd("PEXPIRE").arg(&key).arg(millis(ttl)).ignore();
        let (fields, set): (Vec<String>, bool) = self.query(pipeline).await?;
        if set && !fields.is_empty() {
            self.drop_field(&key, 1).await?;
        }
        Ok(set && fields.is_empty())
    }

    async fn replace_record(
        &self,
        id: &RecordId,
        expected: u64,
        sealed: Vec<u8>,
        ttl: Duration,
    ) -> Result<Replaced, Fault> {
        check_size(&sealed)?;
        let (key, version) = (self.record(id), expected.saturating_add(1));
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        pipeline.cmd("HEXISTS").arg(&key).arg(expected);
        pipeline.cmd("HSETNX").arg(&key).arg(version).arg(sealed);
        pipeline.cmd("HDEL").arg(&key).arg(expected).ignore();
        pipeline.cmd("HKEYS").arg(&key);
        pipeline.cmd("PEXPIRE").arg(&key).arg(millis(ttl)).ignore();
        let (was_there, set, fields): (bool, bool, Vec<String>) = self.query(pipeline).await?;
        let ended = fields.iter().any(|name| name == END);
        let newer = fields.iter().filter_map(|name| name.parse::<u64>().ok()).any(|found| found > version);
        if set && was_there && !newer && !ended {
            return Ok(Replaced::Done(version));
        }
        if set {
            self.drop_field(&key, version).await?;
        }
        Ok(if ended || (set && !newer) { Replaced::Gone } else { Replaced::Conflict })
    }

    /// Removes the field of a writer that lost. It is never the newest version of a live record.
    async fn drop_field(&self, key: &str, version: u64) -> Result<(), Fault> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HDEL").arg(key).arg(version).ignore();
        self.query(pipeline).await
    }

    async fn end_record(&self, id: &RecordId, remember: Duration) -> Result<(), Fault> {
        let key = self.record(id);
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        pipeline.cmd("DEL").arg(&key).ignore();
        pipeline.cmd("HSET").arg(&key).arg(END).arg(1).ignore();
        pipeline.cmd("PEXPIRE").arg(&key).arg(millis(remember)).ignore();
        self.query(pipeline).await
    }

    async fn join_group(&self, group: &RecordId, id: &RecordId, ttl: Duration) -> Result<(), Fault> {
        let key = self.group(group);
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        pipeline.cmd("HSET").arg(&key).arg(id.to_string()).arg(1).ignore();
        pipeline.cmd("PEXPIRE").arg(&key).arg(millis(ttl)).ignore();
        self.query(pipeline).await
    }

    async fn disband_group(&self, group: &RecordId) -> Result<Vec<RecordId>, Fault> {
        let key = self.group(group);
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        pipeline.cmd("HKEYS").arg(&key);
        pipeline.cmd("DEL").arg(&key).ignore();
        let (members,): (Vec<String>,) = self.query(pipeline).await?;
        Ok(members.iter().take(MAX_MEMBERS).filter_map(|member| RecordId::parse(member)).collect())
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 40)
}

/// The connection's own sentence, with what it means here.
fn unavailable(fault: Fault) -> Fault {
    Fault { what: format!("Sessions cannot be read or written: {}", fault.what), ..fault }
        .code(Code::Entrant("session_store_unavailable"))
}

impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisStore {{ prefix: {:?} }}", self.prefix)
    }
}

impl<C: ConnectionLike + Clone + Send + Sync> SessionStore for RedisStore<C> {
    fn load<'a>(&'a self, id: &'a RecordId) -> BoxFuture<'a, Result<Option<Stored>, Fault>> {
        Box::pin(self.load_record(id))
    }

    fn create<'a>(&'a self, id: &'a RecordId, sealed: Vec<u8>, ttl: Duration) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(self.create_record(id, sealed, ttl))
    }

    fn replace<'a>(
        &'a self,
        id: &'a RecordId,
        expected: u64,
        sealed: Vec<u8>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Replaced, Fault>> {
        Box::pin(self.replace_record(id, expected, sealed, ttl))
    }

    fn end<'a>(&'a self, id: &'a RecordId, remember: Duration) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.end_record(id, remember))
    }

    fn join<'a>(&'a self, group: &'a RecordId, id: &'a RecordId, ttl: Duration) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.join_group(group, id, ttl))
    }

    fn disband<'a>(&'a self, group: &'a RecordId) -> BoxFuture<'a, Result<Vec<RecordId>, Fault>> {
        Box::pin(self.disband_group(group))
    }
}
