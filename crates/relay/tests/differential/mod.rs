//! Random commands whose replies depend on nothing but the commands before, on a connection or on its own keys.
#![expect(unreachable_pub, reason = "a part of a test program")]

/// A small generator: a run is the same every time, and its seeds stand in the test.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        // xorshift64*, S. Vigna 2016.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }

    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// Said once to every server before the run.
pub const SETUP: &[&[&str]] = &[
    &["SCRIPT", "LOAD", "return redis.call('incr',KEYS[1])"],
    &[
        "FUNCTION",
        "LOAD",
        "#!lua name=lib\nredis.register_function('f', function(keys, args) return redis.call('set',keys[1],args[1]) end)",
    ],
];

/// `K` is a key of the client's own, `N` a number, `V` a value, `C` a channel of the client's own. These neither
/// read nor change anything of the connection, so that in shared mode a client that sends only these shares.
pub const STATELESS: &[&str] = &[
    "GET K",
    "GET K",
    "GET K",
    "SET K V",
    "SET K V",
    "SET K N",
    "SET K V GET",
    "SET K V NX",
    "SET K V XX EX 1000",
    "GETSET K V",
    "GETDEL K",
    "GETEX K PERSIST",
    "GETEX K EXAT 4102444800",
    "SETNX K V",
    "SETEX K 1000 V",
    "PSETEX K 1000000 V",
    "SETRANGE K 3 V",
    "GETRANGE K 0 5",
    "SUBSTR K 0 3",
    "STRLEN K",
    "APPEND K V",
    "INCR K",
    "DECR K",
    "INCRBY K N",
    "DECRBY K N",
    "INCRBYFLOAT K 1.5",
    "MSET K V K N",
    "MSETNX K V K N",
    "MGET K K K",
    "LCS K K",
    "LCS K K LEN",
    "DEL K",
    "DEL K K K",
    "UNLINK K",
    "EXISTS K K",
    "TOUCH K K",
    "TYPE K",
    "RENAME K K",
    "RENAMENX K K",
    "COPY K K",
    "COPY K K REPLACE",
    "DUMP K",
    "DUMP nokey",
    "OBJECT ENCODING K",
    "OBJECT REFCOUNT K",
    "EXPIRE K 1000",
    "EXPIREAT K 4102444800",
    "PEXPIREAT K 4102444800000",
    "PERSIST K",
    "SETBIT K N 1",
    "GETBIT K N",
    "BITCOUNT K",
    "BITPOS K 1",
    "BITOP NOT K K",
    "BITFIELD K INCRBY u8 0 N",
    "BITFIELD_RO K GET u8 0",
    "LPUSH K V N",
    "RPUSH K V",
    "LPUSHX K V",
    "RPUSHX K N",
    "LPOP K",
    "LPOP K 2",
    "RPOP K",
    "RPOPLPUSH K K",
    "LMOVE K K LEFT RIGHT",
    "LMPOP 2 K K LEFT",
    "LRANGE K 0 -1",
    "LLEN K",
    "LINDEX K 1",
    "LSET K 0 V",
    "LINSERT K BEFORE N V",
    "LREM K 0 N",
    "LTRIM K 0 5",
    "LPOS K V",
    "HSET K f V",
    "HSET K f V g N",
    "HSETNX K f V",
    "HMSET K f V",
    "HGET K f",
    "HMGET K f g h",
    "HGETALL K",
    "HDEL K f",
    "HEXISTS K f",
    "HLEN K",
    "HKEYS K",
    "HVALS K",
    "HSTRLEN K f",
    "HINCRBY K n N",
    "HINCRBYFLOAT K n 0.5",
    "SADD K N",
    "SADD K N N N",
    "SREM K N",
    "SCARD K",
    "SISMEMBER K N",
    "SMISMEMBER K N N",
    "SMEMBERS K",
    "SMOVE K K N",
    "SINTER K K",
    "SUNION K K",
    "SDIFF K K",
    "SINTERCARD 2 K K",
    "SINTERSTORE K K K",
    "SUNIONSTORE K K K",
    "SDIFFSTORE K K K",
    "ZADD K N m",
    "ZADD K N m N o",
    "ZADD K GT CH N m",
    "ZINCRBY K N m",
    "ZREM K m",
    "ZSCORE K m",
    "ZMSCORE K m o",
    "ZCARD K",
    "ZCOUNT K -inf +inf",
    "ZRANGE K 0 -1",
    "ZRANGE K 0 -1 WITHSCORES",
    "ZRANGE K 0 100 BYSCORE LIMIT 0 2",
    "ZREVRANGE K 0 -1 WITHSCORES",
    "ZRANGEBYSCORE K -inf +inf WITHSCORES",
    "ZRANGEBYLEX K - +",
    "ZRANK K m",
    "ZREVRANK K o",
    "ZPOPMIN K",
    "ZPOPMAX K 2",
    "ZMPOP 1 K MIN",
    "ZUNION 2 K K WITHSCORES",
    "ZINTER 2 K K",
    "ZDIFF 2 K K WITHSCORES",
    "ZUNIONSTORE K 2 K K",
    "ZINTERSTORE K 2 K K",
    "ZRANGESTORE K K 0 -1",
    "ZINTERCARD 2 K K",
    "ZREMRANGEBYRANK K 0 0",
    "ZLEXCOUNT K - +",
    "GEOADD K 13.4 52.5 b",
    "GEOPOS K b",
    "GEODIST K b b km",
    "GEOSEARCH K FROMLONLAT 13 52 BYRADIUS 100 km ASC",
    "PFADD K V N",
    "PFCOUNT K",
    "PFCOUNT K K",
    "PFMERGE K K",
    "XADD K N-1 f V",
    "XLEN K",
    "XRANGE K - +",
    "XREVRANGE K + - COUNT 2",
    "XTRIM K MAXLEN 5",
    "XDEL K N-1",
    "XGROUP CREATE K grp 0 MKSTREAM",
    "XGROUP DESTROY K grp",
    "XPENDING K grp",
    "XACK K grp N-1",
    "XINFO GROUPS K",
    "SORT K",
    "SORT K ALPHA",
    "SORT K BY nosort",
    "SORT_RO K DESC",
    "PING",
    "PING V",
    "ECHO V",
    "PUBLISH elsewhere V",
    "EVAL return{1,{2,'x'},false} 0",
    "EVAL return(redis.call('get',KEYS[1])) 1 K",
    "EVAL return(redis.pcall('incr',KEYS[1])) 1 K",
    "EVAL return(redis.error_reply('MINE')) 0",
    "EVAL return{double=3.5} 0",
    "EVAL redis.setresp(3)return(redis.call('hgetall',KEYS[1])) 1 K",
    "EVAL return 0",
    "EVAL_RO return(KEYS[1]) 1 K",
    "EVALSHA 6f5ade10a69975e903c6d07b10ea44c6382381a5 1 K",
    "EVALSHA ffffffffffffffffffffffffffffffffffffffff 0",
    "SCRIPT EXISTS ffffffffffffffffffffffffffffffffffffffff",
    "FCALL f 1 K V",
    "FCALL nosuch 0",
    "FUNCTION LIST",
    "CONFIG GET maxmemory",
    "COMMAND COUNT",
    "COMMAND INFO get nosuch",
    "COMMAND DOCS get",
    "COMMAND GETKEYS MSET a b c d",
    "CLUSTER KEYSLOT K",
    "ACL CAT",
    "GET",
    "SET K",
    "ECHO",
    "EVAL",
    "PING a b",
];

/// These concern the connection, wait, or are unknown: they get it one of its own.
pub const STATEFUL: &[&str] = &[
    "OBJECT HELP",
    "OBJECT",
    "XGROUP",
    "MULTI",
    "MULTI",
    "MULTI",
    "MULTI",
    "EXEC",
    "EXEC",
    "EXEC",
    "EXEC",
    "EXEC",
    "DISCARD",
    "WATCH K",
    "WATCH K K",
    "UNWATCH",
    "SELECT 0",
    "SELECT 1",
    "SELECT 99",
    "SELECT x",
    "NOSUCH K",
    "NOSUCH",
    "CLIENT SETNAME V",
    "CLIENT GETNAME",
    "CLIENT NO-EVICT ON",
    "CLIENT GETREDIR",
    "CLIENT TRACKINGINFO",
    "CLIENT TRACKING ON",
    "CLIENT TRACKING OFF",
    "CLIENT CACHING YES",
    "CLIENT CACHING NO",
    "CLIENT UNPAUSE",
    "CLIENT KILL ID 99999999",
    "CLIENT HELP",
    "CLIENT",
    "CLIENT NOSUCH",
    "CLIENT REPLY SKIP",
    "CLIENT REPLY ON",
    "ASKING",
    "READONLY",
    "READWRITE",
    "HELLO",
    "HELLO 2",
    "HELLO 3",
    "HELLO 3 SETNAME me",
    "HELLO 9",
    "HELLO x",
    "RESET",
    "AUTH",
    "WAIT 0 0",
    "BLPOP K 0.01",
    "BRPOP K K 0.01",
    "BLMOVE K K LEFT LEFT 0.01",
    "BLMPOP 0.01 1 K RIGHT",
    "BZPOPMIN K 0.01",
    "BZMPOP 0.01 1 K MAX",
    "BRPOPLPUSH K K 0.01",
    "XREAD COUNT 1 STREAMS K 0",
    "XREAD BLOCK 10 STREAMS K $",
    "XREADGROUP GROUP grp me COUNT 1 STREAMS K >",
    "SUBSCRIBE C",
    "PSUBSCRIBE C*",
    "SSUBSCRIBE C",
    "UNSUBSCRIBE C",
    "PUNSUBSCRIBE C*",
    "SUNSUBSCRIBE C",
    "UNSUBSCRIBE",
    "PUBLISH C V",
    "PUBLISH C V",
    "SPUBLISH C V",
    "SUBSCRIBE",
];

/// A client's random requests.
pub struct Script {
    pub random: Random,
    /// Keeps its keys and channels from those of others.
    number: u64,
    multi: bool,
    subscribed: bool,
    /// A subscriber that moves in RESP2 keeps its database and its name, not its tracking: a connection has either.
    tracks: bool,
    skip: u8,
}

impl Script {
    pub fn new(number: u64) -> Self {
        let seed = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(2 * number + 1);
        Self { random: Random(seed), number, multi: false, subscribed: false, tracks: false, skip: 0 }
    }

    /// Begins a connection.
    pub fn connect(&mut self) {
        self.tracks = self.random.one_in(2);
    }

    /// Some commands in one pipeline, and what they were.
    pub fn batch(&mut self, stateless: bool, out: &mut Vec<u8>) -> Vec<String> {
        (self.multi, self.subscribed, self.skip) = (false, false, 0);
        let most = if self.random.one_in(40) { 200 } else { 20 };
        (0..=self.random.below(most))
            .map(|_| {
                let template = if stateless { self.random.pick(STATELESS) } else { self.next() };
                self.encode(template, out)
            })
            .collect()
    }

    /// Left out is what a connection would be given up for, counting becoming impossible: the protocol or the
    /// subscriptions changed inside MULTI, or a SKIP before anything but an ordinary command or an error. Those cases
    /// have tests of their own.
    fn next(&mut self) -> &'static str {
        loop {
            let template = match self.skip {
                0 if self.random.one_in(2) => self.random.pick(STATEFUL),
                0 => self.random.pick(STATELESS),
                1 => "PING V",
                _ => "SET K V",
            };
            let name = template.split(' ').next().unwrap_or_default();
            if if self.tracks { name.ends_with("SUBSCRIBE") } else { template.starts_with("CLIENT TRACKING") } {
                continue;
            }
            let subscribes = name.ends_with("SUBSCRIBE");
            if self.multi && (subscribes || name == "HELLO" || template.starts_with("CLIENT REPLY")) {
                continue;
            }
            // A subscriber whose database or name may have changed unseen is not moved but closed.
            if self.multi && !self.tracks && (name == "SELECT" || template.starts_with("CLIENT SETNAME")) {
                continue;
            }
            // In RESP2 a subscriber's MULTI or SKIP is an error.
            if self.subscribed && (name == "MULTI" || template == "CLIENT REPLY SKIP") {
                continue;
            }
            self.skip = self.skip.saturating_sub(1);
            self.subscribed |= subscribes;
            match name {
                "MULTI" => self.multi = true,
                "EXEC" | "DISCARD" | "RESET" => self.multi = false,
                _ if template == "CLIENT REPLY SKIP" => self.skip = 2,
                _ => {}
            }
            return template;
        }
    }

    fn encode(&mut self, template: &str, out: &mut Vec<u8>) -> String {
        let number = self.number;
        let words: Vec<String> = template.split(' ').map(|word| self.word(word)).collect();
        let simple = |word: &String| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\'' && byte != b'"')
        };
        if self.random.one_in(10) && words.iter().all(simple) {
            out.extend_from_slice(format!("{}\r\n", words.join(" ")).as_bytes());
        } else {
            out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
            for word in &words {
                out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
            }
        }
        let mut shown = words.join(" ");
        shown.truncate(shown.floor_char_boundary(120));
        format!("{number}: {shown}")
    }

    fn word(&mut self, word: &str) -> String {
        let number = self.number;
        match word {
            "K" => format!("{number}:{}", self.random.below(12)),
            "C" => format!("ch{number}."),
            "C*" => format!("ch{number}.*"),
            "V" if self.random.one_in(1000) => "large ".repeat(4000),
            "V" => {
                self.random.pick(&["value", "", "a\r\nb", "$5\r\nfake\r\n", "+OK\r\n", "12", "-ERR no\r\n"]).to_owned()
            }
            "N" => self.random.below(50).to_string(),
            "N-1" => format!("{}-1", self.random.below(500)),
            word => word.to_owned(),
        }
    }
}
