//! The frozen list of commands: arity, key positions and categories as in Redis 7.0.15, which a test compares.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::blocking;
use super::call::{Argv, DataCommand, SessionCommand};
use super::commands::{connection, hashes, keys, lists, pubsub, server, sets, strings, transactions, users, zsets};

/// How a command is carried out.
#[derive(Clone, Copy)]
pub(super) enum Run {
    /// On one database.
    Data(DataCommand),
    /// On the connection or the whole store.
    Session(SessionCommand),
    /// By its subcommands.
    Parent,
}

/// One command, or one subcommand as `command|subcommand`.
pub(super) struct Spec {
    pub(super) name: &'static str,
    /// Number of arguments with the name; negative: at least.
    pub(super) arity: i32,
    /// First and last key (negative: from the end) and the step between keys; 0: no keys.
    pub(super) positions: (i32, i32, usize),
    /// Its ACL categories, separated by spaces.
    pub(super) categories: &'static str,
    /// Refused while the store is full.
    pub(super) denied_when_full: bool,
    /// Allowed to everybody, logged in or not.
    pub(super) no_auth: bool,
    pub(super) run: Run,
}

/// What ACL rules can name.
pub(super) const CATEGORIES: [&str; 20] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
];

#[derive(PartialEq, Eq)]
enum Flag {
    Plain,
    DenyOom,
    NoAuth,
}
use Flag::{DenyOom, NoAuth, Plain};
use Run::{Data, Parent, Session};

const fn spec(
    name: &'static str,
    arity: i32,
    positions: (i32, i32, usize),
    categories: &'static str,
    flag: Flag,
    run: Run,
) -> Spec {
    let (denied_when_full, no_auth) = (matches!(flag, DenyOom), matches!(flag, NoAuth));
    Spec { name, arity, positions, categories, denied_when_full, no_auth, run }
}

/// Every command there is.
#[rustfmt::skip]
pub(super) const TABLE: &[Spec] = &[
    spec("get", 2, (1, 1, 1), "read string fast", Plain, Data(strings::get)),
    spec("set", -3, (1, 1, 1), "write string slow", DenyOom, Data(strings::set)),
    spec("setnx", 3, (1, 1, 1), "write string fast", DenyOom, Data(strings::setnx)),
    spec("setex", 4, (1, 1, 1), "write string slow", DenyOom, Data(strings::setex)),
    spec("psetex", 4, (1, 1, 1), "write string slow", DenyOom, Data(strings::setex)),
    spec("getset", 3, (1, 1, 1), "write string fast", DenyOom, Data(strings::getset)),
    spec("getdel", 2, (1, 1, 1), "write string fast", Plain, Data(strings::getdel)),
    spec("getex", -2, (1, 1, 1), "write string fast", Plain, Data(strings::getex)),
    spec("mget", -2, (1, -1, 1), "read string fast", Plain, Data(strings::mget)),
    spec("mset", -3, (1, -1, 2), "write string slow", DenyOom, Data(strings::mset)),
    spec("incr", 2, (1, 1, 1), "write string fast", DenyOom, Data(strings::incr)),
    spec("decr", 2, (1, 1, 1), "write string fast", DenyOom, Data(strings::incr)),
    spec("incrby", 3, (1, 1, 1), "write string fast", DenyOom, Data(strings::incr)),
    spec("decrby", 3, (1, 1, 1), "write string fast", DenyOom, Data(strings::incr)),
    spec("incrbyfloat", 3, (1, 1, 1), "write string fast", DenyOom, Data(strings::incrbyfloat)),
    spec("append", 3, (1, 1, 1), "write string fast", DenyOom, Data(strings::append)),
    spec("strlen", 2, (1, 1, 1), "read string fast", Plain, Data(strings::strlen)),
    spec("getrange", 4, (1, 1, 1), "read string slow", Plain, Data(strings::getrange)),
    spec("del", -2, (1, -1, 1), "keyspace write slow", Plain, Data(keys::del)),
    spec("unlink", -2, (1, -1, 1), "keyspace write fast", Plain, Data(keys::del)),
    spec("exists", -2, (1, -1, 1), "keyspace read fast", Plain, Data(keys::exists)),
    spec("type", 2, (1, 1, 1), "keyspace read fast", Plain, Data(keys::type_of)),
    spec("rename", 3, (1, 2, 1), "keyspace write slow", Plain, Data(keys::rename)),
    spec("renamenx", 3, (1, 2, 1), "keyspace write fast", Plain, Data(keys::renamenx)),
    spec("keys", 2, (0, 0, 0), "keyspace read slow dangerous", Plain, Data(keys::keys)),
    spec("scan", -2, (0, 0, 0), "keyspace read slow", Plain, Data(keys::scan)),
    spec("randomkey", 1, (0, 0, 0), "keyspace read slow", Plain, Data(keys::randomkey)),
    spec("expire", -3, (1, 1, 1), "keyspace write fast", Plain, Data(keys::expire)),
    spec("pexpire", -3, (1, 1, 1), "keyspace write fast", Plain, Data(keys::expire)),
    spec("expireat", -3, (1, 1, 1), "keyspace write fast", Plain, Data(keys::expire)),
    spec("pexpireat", -3, (1, 1, 1), "keyspace write fast", Plain, Data(keys::expire)),
    spec("ttl", 2, (1, 1, 1), "keyspace read fast", Plain, Data(keys::ttl)),
    spec("pttl", 2, (1, 1, 1), "keyspace read fast", Plain, Data(keys::ttl)),
    spec("persist", 2, (1, 1, 1), "keyspace write fast", Plain, Data(keys::persist)),
    spec("touch", -2, (1, -1, 1), "keyspace read fast", Plain, Data(keys::exists)),
    spec("hset", -4, (1, 1, 1), "write hash fast", DenyOom, Data(hashes::hset)),
    spec("hmset", -4, (1, 1, 1), "write hash fast", DenyOom, Data(hashes::hset)),
    spec("hsetnx", 4, (1, 1, 1), "write hash fast", DenyOom, Data(hashes::hsetnx)),
    spec("hget", 3, (1, 1, 1), "read hash fast", Plain, Data(hashes::hget)),
    spec("hmget", -3, (1, 1, 1), "read hash fast", Plain, Data(hashes::hmget)),
    spec("hgetall", 2, (1, 1, 1), "read hash slow", Plain, Data(hashes::hgetall)),
    spec("hdel", -3, (1, 1, 1), "write hash fast", Plain, Data(hashes::hdel)),
    spec("hexists", 3, (1, 1, 1), "read hash fast", Plain, Data(hashes::hexists)),
    spec("hlen", 2, (1, 1, 1), "read hash fast", Plain, Data(hashes::hlen)),
    spec("hkeys", 2, (1, 1, 1), "read hash slow", Plain, Data(hashes::hkeys)),
    spec("hvals", 2, (1, 1, 1), "read hash slow", Plain, Data(hashes::hkeys)),
    spec("hincrby", 4, (1, 1, 1), "write hash fast", DenyOom, Data(hashes::hincrby)),
    spec("hscan", -3, (1, 1, 1), "read hash slow", Plain, Data(hashes::hscan)),
    spec("lpush", -3, (1, 1, 1), "write list fast", DenyOom, Data(lists::push)),
    spec("rpush", -3, (1, 1, 1), "write list fast", DenyOom, Data(lists::push)),
    spec("lpop", -2, (1, 1, 1), "write list fast", Plain, Data(lists::pop)),
    spec("rpop", -2, (1, 1, 1), "write list fast", Plain, Data(lists::pop)),
    spec("llen", 2, (1, 1, 1), "read list fast", Plain, Data(lists::llen)),
    spec("lrange", 4, (1, 1, 1), "read list slow", Plain, Data(lists::lrange)),
    spec("lindex", 3, (1, 1, 1), "read list slow", Plain, Data(lists::lindex)),
    spec("lset", 4, (1, 1, 1), "write list slow", DenyOom, Data(lists::lset)),
    spec("lrem", 4, (1, 1, 1), "write list slow", Plain, Data(lists::lrem)),
    spec("ltrim", 4, (1, 1, 1), "write list slow", Plain, Data(lists::ltrim)),
    spec("lmove", 5, (1, 2, 1), "write list slow", DenyOom, Data(lists::lmove)),
    spec("rpoplpush", 3, (1, 2, 1), "write list slow", DenyOom, Data(lists::lmove)),
    spec("blpop", -3, (1, -2, 1), "write list slow blocking", Plain, Session(blocking::bpop)),
    spec("brpop", -3, (1, -2, 1), "write list slow blocking", Plain, Session(blocking::bpop)),
    spec("sadd", -3, (1, 1, 1), "write set fast", DenyOom, Data(sets::sadd)),
    spec("srem", -3, (1, 1, 1), "write set fast", Plain, Data(sets::srem)),
    spec("smembers", 2, (1, 1, 1), "read set slow", Plain, Data(sets::sunion)),
    spec("sismember", 3, (1, 1, 1), "read set fast", Plain, Data(sets::sismember)),
    spec("smismember", -3, (1, 1, 1), "read set fast", Plain, Data(sets::smismember)),
    spec("scard", 2, (1, 1, 1), "read set fast", Plain, Data(sets::scard)),
    spec("spop", -2, (1, 1, 1), "write set fast", Plain, Data(sets::spop)),
    spec("sunion", -2, (1, -1, 1), "read set slow", Plain, Data(sets::sunion)),
    spec("sinter", -2, (1, -1, 1), "read set slow", Plain, Data(sets::sinter)),
    spec("sdiff", -2, (1, -1, 1), "read set slow", Plain, Data(sets::sinter)),
    spec("sscan", -3, (1, 1, 1), "read set slow", Plain, Data(sets::sscan)),
    spec("zadd", -4, (1, 1, 1), "write sortedset fast", DenyOom, Data(zsets::zadd)),
    spec("zrem", -3, (1, 1, 1), "write sortedset fast", Plain, Data(zsets::zrem)),
    spec("zscore", 3, (1, 1, 1), "read sortedset fast", Plain, Data(zsets::zscore)),
    spec("zcard", 2, (1, 1, 1), "read sortedset fast", Plain, Data(zsets::zcard)),
    spec("zrange", -4, (1, 1, 1), "read sortedset slow", Plain, Data(zsets::zrange)),
    spec("zrangebyscore", -4, (1, 1, 1), "read sortedset slow", Plain, Data(zsets::zrange)),
    spec("zincrby", 4, (1, 1, 1), "write sortedset fast", DenyOom, Data(zsets::zincrby)),
    spec("zrank", 3, (1, 1, 1), "read sortedset fast", Plain, Data(zsets::zrank)),
    spec("zcount", 4, (1, 1, 1), "read sortedset fast", Plain, Data(zsets::zcount)),
    spec("zremrangebyscore", 4, (1, 1, 1), "write sortedset slow", Plain, Data(zsets::zremrangebyscore)),
    spec("subscribe", -2, (0, 0, 0), "pubsub slow", Plain, Session(pubsub::subscribe)),
    spec("unsubscribe", -1, (0, 0, 0), "pubsub slow", Plain, Session(pubsub::unsubscribe)),
    spec("psubscribe", -2, (0, 0, 0), "pubsub slow", Plain, Session(pubsub::subscribe)),
    spec("punsubscribe", -1, (0, 0, 0), "pubsub slow", Plain, Session(pubsub::unsubscribe)),
    spec("publish", 3, (0, 0, 0), "pubsub fast", Plain, Session(pubsub::publish)),
    spec("pubsub", -2, (0, 0, 0), "slow", Plain, Parent),
    spec("pubsub|numpat", 2, (0, 0, 0), "pubsub slow", Plain, Session(pubsub::inspect)),
    spec("pubsub|channels", -2, (0, 0, 0), "pubsub slow", Plain, Session(pubsub::inspect)),
    spec("pubsub|numsub", -2, (0, 0, 0), "pubsub slow", Plain, Session(pubsub::inspect)),
    spec("multi", 1, (0, 0, 0), "fast transaction", Plain, Session(transactions::multi)),
    spec("exec", 1, (0, 0, 0), "slow transaction", Plain, Session(transactions::exec)),
    spec("discard", 1, (0, 0, 0), "fast transaction", Plain, Session(transactions::discard)),
    spec("watch", -2, (1, -1, 1), "fast transaction", Plain, Session(transactions::watch)),
    spec("unwatch", 1, (0, 0, 0), "fast transaction", Plain, Session(transactions::unwatch)),
    spec("auth", -2, (0, 0, 0), "fast connection", NoAuth, Session(connection::auth)),
    spec("hello", -1, (0, 0, 0), "fast connection", NoAuth, Session(connection::hello)),
    spec("ping", -1, (0, 0, 0), "fast connection", Plain, Session(connection::ping)),
    spec("echo", 2, (0, 0, 0), "fast connection", Plain, Session(connection::echo)),
    spec("quit", -1, (0, 0, 0), "fast connection", NoAuth, Session(connection::quit)),
    spec("reset", 1, (0, 0, 0), "fast connection", NoAuth, Session(connection::reset)),
    spec("select", 2, (0, 0, 0), "fast connection", Plain, Session(connection::select)),
    spec("client", -2, (0, 0, 0), "slow", Plain, Parent),
    spec("client|no-evict", 3, (0, 0, 0), "admin slow dangerous connection", Plain, Session(connection::client)),
    spec("client|info", 2, (0, 0, 0), "slow connection", Plain, Session(connection::client)),
    spec("client|reply", 3, (0, 0, 0), "slow connection", Plain, Session(connection::client)),
    spec("client|getname", 2, (0, 0, 0), "slow connection", Plain, Session(connection::client)),
    spec("client|setname", 3, (0, 0, 0), "slow connection", Plain, Session(connection::client)),
    spec("client|list", -2, (0, 0, 0), "admin slow dangerous connection", Plain, Session(connection::client)),
    spec("client|id", 2, (0, 0, 0), "slow connection", Plain, Session(connection::client)),
    spec("info", -1, (0, 0, 0), "slow dangerous", Plain, Session(server::info)),
    spec("command", -1, (0, 0, 0), "slow connection", Plain, Parent),
    spec("command|list", -2, (0, 0, 0), "slow connection", Plain, Session(server::command)),
    spec("command|info", -2, (0, 0, 0), "slow connection", Plain, Session(server::command)),
    spec("command|docs", -2, (0, 0, 0), "slow connection", Plain, Session(server::command)),
    spec("command|count", 2, (0, 0, 0), "slow connection", Plain, Session(server::command)),
    spec("config", -2, (0, 0, 0), "slow", Plain, Parent),
    spec("config|get", -3, (0, 0, 0), "admin slow dangerous", Plain, Session(server::config_get)),
    spec("dbsize", 1, (0, 0, 0), "keyspace read fast", Plain, Data(keys::dbsize)),
    spec("flushall", -1, (0, 0, 0), "keyspace write slow dangerous", Plain, Session(server::flushall)),
    spec("flushdb", -1, (0, 0, 0), "keyspace write slow dangerous", Plain, Data(keys::flushdb)),
    spec("time", 1, (0, 0, 0), "fast", Plain, Session(server::time)),
    spec("acl", -2, (0, 0, 0), "slow", Plain, Parent),
    spec("acl|cat", -2, (0, 0, 0), "slow", Plain, Session(users::acl)),
    spec("acl|deluser", -3, (0, 0, 0), "admin slow dangerous", Plain, Session(users::acl)),
    spec("acl|users", 2, (0, 0, 0), "admin slow dangerous", Plain, Session(users::acl)),
    spec("acl|setuser", -3, (0, 0, 0), "admin slow dangerous", Plain, Session(users::acl)),
    spec("acl|whoami", 2, (0, 0, 0), "slow", Plain, Session(users::acl)),
    spec("cluster", -2, (0, 0, 0), "slow", Plain, Parent),
    spec("cluster|slots", 2, (0, 0, 0), "slow", Plain, Session(server::cluster)),
    spec("cluster|nodes", 2, (0, 0, 0), "slow", Plain, Session(server::cluster)),
    spec("cluster|info", 2, (0, 0, 0), "slow", Plain, Session(server::cluster)),
];

static INDEX: LazyLock<HashMap<&'static str, usize>> =
    LazyLock::new(|| TABLE.iter().enumerate().map(|(index, spec)| (spec.name, index)).collect());

/// Longest name in the table, and more.
const MAX_NAME: usize = 32;

/// A command by its name in any case.
pub(super) fn find(name: &[u8]) -> Option<(usize, &'static Spec)> {
    let mut lower = [0_u8; MAX_NAME];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let index = *INDEX.get(std::str::from_utf8(lower).ok()?)?;
    TABLE.get(index).map(|spec| (index, spec))
}

/// A subcommand by both names in any case.
pub(super) fn find_sub(parent: &Spec, name: &[u8]) -> Option<(usize, &'static Spec)> {
    let mut both = parent.name.as_bytes().to_vec();
    both.push(b'|');
    both.extend_from_slice(name);
    find(&both)
}

impl Spec {
    pub(super) fn is(&self, category: &str) -> bool {
        self.categories.split(' ').any(|own| own == category)
    }

    pub(super) fn takes(&self, count: usize) -> bool {
        let arity = usize::try_from(self.arity.unsigned_abs()).unwrap_or(usize::MAX);
        if self.arity < 0 { count >= arity } else { count == arity }
    }

    /// The arguments that are keys.
    pub(super) fn keys<'a>(&self, args: Argv<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (first, last, step) = self.positions;
        let count = i32::try_from(args.len()).unwrap_or(i32::MAX);
        let last = if last < 0 { count + last } else { last };
        let first = usize::try_from(first).unwrap_or(0);
        let last = usize::try_from(last).unwrap_or(0);
        // Without keys the range is empty, since no key stands at 0.
        let end = if first == 0 { 0 } else { last + 1 };
        (first..end).step_by(step.max(1)).map(move |at| args.at(at))
    }
}
