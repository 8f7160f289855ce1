//! Which commands may share a connection: those that neither read nor change anything of the connection itself.
//!
//! A command that is not in the list gets its client a connection of its own before it is sent. So an unknown command
//! of a module costs a connection, never a wrong answer.

/// `NAME`, or `NAME|SUBCOMMAND` where only some subcommands qualify. Upper case, sorted.
#[rustfmt::skip]
pub const STATELESS: &[&str] = &[
    "ACL|CAT", "ACL|WHOAMI", "APPEND", "BITCOUNT", "BITFIELD", "BITFIELD_RO", "BITOP", "BITPOS",
    "CLUSTER|COUNTKEYSINSLOT", "CLUSTER|INFO", "CLUSTER|KEYSLOT", "CLUSTER|MYID", "CLUSTER|NODES", "CLUSTER|SHARDS",
    "CLUSTER|SLOTS", "COMMAND", "CONFIG|GET", "COPY", "DBSIZE", "DECR", "DECRBY", "DEL", "DUMP", "ECHO", "EVAL",
    "EVALSHA", "EVALSHA_RO", "EVAL_RO", "EXISTS", "EXPIRE", "EXPIREAT", "EXPIRETIME", "FCALL", "FCALL_RO", "FLUSHALL",
    "FLUSHDB", "FUNCTION|LIST", "GEOADD", "GEODIST", "GEOHASH", "GEOPOS", "GEORADIUS", "GEORADIUSBYMEMBER",
    "GEORADIUSBYMEMBER_RO", "GEORADIUS_RO", "GEOSEARCH", "GEOSEARCHSTORE", "GET", "GETBIT", "GETDEL", "GETEX",
    "GETRANGE", "GETSET", "HDEL", "HEXISTS", "HGET", "HGETALL", "HINCRBY", "HINCRBYFLOAT", "HKEYS", "HLEN", "HMGET",
    "HMSET", "HRANDFIELD", "HSCAN", "HSET", "HSETNX", "HSTRLEN", "HVALS", "INCR", "INCRBY", "INCRBYFLOAT", "INFO",
    "KEYS", "LASTSAVE", "LCS", "LINDEX", "LINSERT", "LLEN", "LMOVE", "LMPOP", "LPOP", "LPOS", "LPUSH", "LPUSHX",
    "LRANGE", "LREM", "LSET", "LTRIM", "MEMORY|USAGE", "MGET", "MOVE", "MSET", "MSETNX", "OBJECT|ENCODING",
    "OBJECT|FREQ", "OBJECT|IDLETIME", "OBJECT|REFCOUNT", "PERSIST", "PEXPIRE", "PEXPIREAT", "PEXPIRETIME", "PFADD",
    "PFCOUNT", "PFMERGE", "PING", "PSETEX", "PTTL", "PUBLISH", "PUBSUB|CHANNELS", "PUBSUB|NUMPAT", "PUBSUB|NUMSUB",
    "PUBSUB|SHARDCHANNELS", "PUBSUB|SHARDNUMSUB", "RANDOMKEY", "RENAME", "RENAMENX", "RESTORE", "ROLE", "RPOP",
    "RPOPLPUSH", "RPUSH", "RPUSHX", "SADD", "SCAN", "SCARD", "SCRIPT|EXISTS", "SCRIPT|FLUSH", "SCRIPT|LOAD", "SDIFF",
    "SDIFFSTORE", "SET", "SETBIT", "SETEX", "SETNX", "SETRANGE", "SINTER", "SINTERCARD", "SINTERSTORE", "SISMEMBER",
    "SMEMBERS", "SMISMEMBER", "SMOVE", "SORT", "SORT_RO", "SPOP", "SPUBLISH", "SRANDMEMBER", "SREM", "SSCAN",
    "STRLEN", "SUBSTR", "SUNION", "SUNIONSTORE", "TIME", "TOUCH", "TTL", "TYPE", "UNLINK", "XACK", "XADD",
    "XAUTOCLAIM", "XCLAIM", "XDEL", "XGROUP|CREATE", "XGROUP|CREATECONSUMER", "XGROUP|DELCONSUMER", "XGROUP|DESTROY",
    "XGROUP|SETID", "XINFO|CONSUMERS", "XINFO|GROUPS", "XINFO|STREAM", "XLEN", "XPENDING", "XRANGE", "XREVRANGE",
    "XSETID", "XTRIM", "ZADD", "ZCARD", "ZCOUNT", "ZDIFF", "ZDIFFSTORE", "ZINCRBY", "ZINTER", "ZINTERCARD",
    "ZINTERSTORE", "ZLEXCOUNT", "ZMPOP", "ZMSCORE", "ZPOPMAX", "ZPOPMIN", "ZRANDMEMBER", "ZRANGE", "ZRANGEBYLEX",
    "ZRANGEBYSCORE", "ZRANGESTORE", "ZRANK", "ZREM", "ZREMRANGEBYLEX", "ZREMRANGEBYRANK", "ZREMRANGEBYSCORE",
    "ZREVRANGE", "ZREVRANGEBYLEX", "ZREVRANGEBYSCORE", "ZREVRANK", "ZSCAN", "ZSCORE", "ZUNION", "ZUNIONSTORE",
];

/// The longest entry, and room to see that a name is longer.
const LONGEST: usize = 32;

/// Whether a command may share a connection, by its name and first argument.
pub(super) fn is_stateless(name: &[u8], first: Option<&[u8]>) -> bool {
    let mut key = [0_u8; LONGEST];
    let Some(length) = upper(&mut key, 0, name) else { return false };
    match find(key.get(..length).unwrap_or_default()) {
        Found::Exactly => true,
        Found::Not => false,
        Found::Family => {
            let with_bar = upper(&mut key, length, b"|");
            let whole = with_bar.and_then(|length| upper(&mut key, length, first.unwrap_or_default()));
            whole.is_some_and(|length| matches!(find(key.get(..length).unwrap_or_default()), Found::Exactly))
        }
    }
}

enum Found {
    Exactly,
    /// Only with a subcommand.
    Family,
    Not,
}

fn find(key: &[u8]) -> Found {
    match STATELESS.binary_search_by(|entry| entry.as_bytes().cmp(key)) {
        Ok(_) => Found::Exactly,
        Err(at) => match STATELESS.get(at).map(|entry| entry.as_bytes()) {
            Some(entry) if entry.starts_with(key) && entry.get(key.len()) == Some(&b'|') => Found::Family,
            _ => Found::Not,
        },
    }
}

/// Appends `word` in upper case; the new length.
fn upper(key: &mut [u8; LONGEST], at: usize, word: &[u8]) -> Option<usize> {
    let target = key.get_mut(at..at + word.len())?;
    for (to, from) in target.iter_mut().zip(word) {
        *to = from.to_ascii_uppercase();
    }
    Some(at + word.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_it_can_be_searched() {
        for pair in STATELESS.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
        for entry in STATELESS {
            let (name, first) = entry.split_once('|').map_or((*entry, None), |(name, first)| (name, Some(first)));
            assert!(is_stateless(name.to_lowercase().as_bytes(), first.map(str::as_bytes)), "{entry}");
            assert!(entry.len() < LONGEST);
        }
    }

    #[test]
    fn whatever_concerns_the_connection_itself_does_not_share_one() {
        for name in [
            "MULTI",
            "EXEC",
            "DISCARD",
            "WATCH",
            "UNWATCH",
            "SUBSCRIBE",
            "PSUBSCRIBE",
            "SSUBSCRIBE",
            "UNSUBSCRIBE",
            "MONITOR",
            "BLPOP",
            "BRPOP",
            "BLMOVE",
            "BLMPOP",
            "BRPOPLPUSH",
            "BZPOPMIN",
            "BZPOPMAX",
            "BZMPOP",
            "XREAD",
            "XREADGROUP",
            "SELECT",
            "HELLO",
            "AUTH",
            "RESET",
            "QUIT",
            "READONLY",
            "READWRITE",
            "ASKING",
            "WAIT",
            "WAITAOF",
            "SYNC",
            "PSYNC",
            "REPLCONF",
            "DEBUG",
            "SHUTDOWN",
            "FAILOVER",
            "SWAPDB",
            "FT.SEARCH",
            "JSON.GET",
            "",
            "G",
            "GETX",
            "CLUSTER",
            "CLIENT",
        ] {
            assert!(!is_stateless(name.as_bytes(), Some(b"x")), "{name}");
        }
        for (name, first) in
            [("CLIENT", "TRACKING"), ("CLIENT", "ID"), ("SCRIPT", "DEBUG"), ("CONFIG", "SET"), ("ACL", "SETUSER")]
        {
            assert!(!is_stateless(name.as_bytes(), Some(first.as_bytes())), "{name} {first}");
        }
        assert!(!is_stateless(&[b'X'; 100], None));
        assert!(!is_stateless(b"CLUSTER", Some(&[b'X'; 100])));
    }
}
