//! The rows: which moment, what is right, and how a client's result is read.

use std::collections::BTreeSet;

use serde_json::Value;

/// What happens outside the client.
#[derive(Clone, Copy)]
pub enum Event {
    Outage(bool),
    Push(&'static str),
    Publish,
    RejectTokens,
    /// A node without slots takes over a thousand of them, with their keys.
    Reshard,
}

/// When it happens, in seconds.
#[derive(Clone, Copy)]
pub enum At {
    /// After the client is ready.
    Start(u64),
    /// After the end of the token that the client has when it is ready.
    End(u64),
}

/// Where a client is led.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// To a gate before Redis 7.0.15.
    Gate,
    /// To such a gate; both it and the identity endpoint live so many seconds behind the client's clock.
    Behind(u32),
    /// To gates before the nodes of a cluster of Redis 7.0.15.
    Cluster,
    /// To Redis 8.2.3 itself.
    Modern,
}

/// One row of the table.
pub struct Row {
    pub name: &'static str,
    pub title: &'static str,
    pub right: &'static str,
    /// Seconds that a token lives.
    pub life: u64,
    /// Seconds that a client plays, counted from when it is ready.
    pub span: u64,
    /// What the play has beyond the end of the first token: it is longer where that is later.
    pub past_end: bool,
    /// Seconds after which a client is to renew, if `life` is not to lie within its own window of renewal.
    pub renew_at: Option<u64>,
    /// Busy rather than waiting: few play at once.
    pub busy: bool,
    pub place: Place,
    pub events: &'static [(At, Event)],
    pub read: fn(&Value, &Seen) -> Reading,
}

/// What was counted outside the client while it played.
#[derive(Default)]
pub struct Seen {
    pub token_requests: u64,
    pub auths: u64,
    pub expired: u64,
}

/// What a client did in one row.
#[derive(Clone)]
pub struct Reading {
    pub text: String,
    pub right: bool,
}

/// Messages in the pub/sub rows, to each of two subscribers.
pub const MESSAGES: u32 = 4000;

fn number(result: &Value, key: &str) -> u64 {
    result[key].as_u64().unwrap_or(0)
}

fn commands(result: &Value) -> String {
    let first = result["error"].as_str().map(|error| format!(" (first: `{}`)", tame(error))).unwrap_or_default();
    format!(
        "{} of {} commands failed{first}",
        number(result, "failed"),
        number(result, "ok") + number(result, "failed")
    )
}

/// Text of others, fit for a cell of a table.
pub fn tame(text: &str) -> String {
    text.chars().map(|c| if "|`\r\n".contains(c) { ' ' } else { c }).take(100).collect()
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| "nothing".to_owned(), tame)
}

/// No command failed, and no connection came to its token's end.
fn unharmed(result: &Value, seen: &Seen, at_least: u64) -> bool {
    number(result, "failed") == 0 && number(result, "ok") >= at_least && seen.expired == 0
}

fn lived(result: &Value, seen: &Seen) -> String {
    format!(
        "{}; {} connections closed at expiry; {} token requests, {} AUTHs",
        commands(result),
        seen.expired,
        seen.token_requests,
        seen.auths
    )
}

/// Every number once and in order, by both subscribers.
fn numbered(result: &Value, seen: &Seen) -> Reading {
    let of = |index: usize| -> Vec<u64> {
        result["received"][index].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
    };
    let all = [of(0), of(1)];
    let disorder: usize = all.iter().map(|numbers| numbers.windows(2).filter(|pair| pair[0] >= pair[1]).count()).sum();
    let lost: Vec<usize> = all
        .iter()
        .map(|numbers| {
            (0..u64::from(MESSAGES)).collect::<BTreeSet<_>>().difference(&numbers.iter().copied().collect()).count()
        })
        .collect();
    let error = result["error"].as_str().map(|error| format!(" (`{}`)", tame(error))).unwrap_or_default();
    Reading {
        right: lost == [0, 0] && disorder == 0,
        text: format!(
            "lost {} and {}; twice or out of order {disorder}; {} connections closed at expiry; {} AUTHs{error}",
            lost[0], lost[1], seen.expired, seen.auths
        ),
    }
}

pub static ROWS: [Row; 10] = [
    Row {
        name: "outage",
        title: "The identity endpoint answers 503 for 18 s around the moment of renewal, and is back 6 s before a token of 60 s ends",
        right: "renewed by itself in time: no command fails, no connection reaches its token's end",
        life: 60,
        span: 80,
        past_end: true,
        renew_at: Some(42),
        busy: false,
        place: Place::Gate,
        events: &[(At::Start(36), Event::Outage(true)), (At::Start(54), Event::Outage(false))],
        read: |result, seen| Reading { right: unharmed(result, seen, 100), text: lived(result, seen) },
    },
    Row {
        name: "window",
        title: "Tokens of 40 s from the start, as an endpoint gives that repeats an old one: inside the windows of 240 s and 300 s that some clients have; one connection, 75 s",
        right: "renewed in time, with at most 8 token requests and 8 AUTHs",
        life: 40,
        span: 75,
        past_end: false,
        renew_at: None,
        busy: false,
        place: Place::Gate,
        events: &[],
        read: |result, seen| Reading {
            right: unharmed(result, seen, 100) && seen.token_requests <= 8 && seen.auths <= 8,
            text: lived(result, seen),
        },
    },
    Row {
        name: "clock",
        title: "The client's clock is 40 s ahead of everybody else's, tokens live 30 s: each looks expired when it comes",
        right: "renewed in time by what the reply says, with at most 12 token requests in 60 s",
        life: 30,
        span: 60,
        past_end: false,
        renew_at: None,
        busy: false,
        place: Place::Behind(40),
        events: &[],
        read: |result, seen| Reading {
            right: unharmed(result, seen, 100) && seen.token_requests <= 12,
            text: lived(result, seen),
        },
    },
    Row {
        name: "blocking",
        title: "`BLPOP` held across a renewal, another held past the end of the token it began with; then a command every 0.2 s on the first connection",
        right: "both get their element, no command fails",
        life: 48,
        span: 75,
        past_end: true,
        renew_at: Some(34),
        busy: false,
        place: Place::Gate,
        events: &[(At::Start(42), Event::Push("before")), (At::End(10), Event::Push("after"))],
        read: |result, _| Reading {
            right: result["before"] == "element" && result["after"] == "element" && number(result, "failed") == 0,
            text: format!(
                "across the renewal: {}; past the end: {}; {}",
                word(&result["before"]),
                word(&result["after"]),
                commands(result)
            ),
        },
    },
    Row {
        name: "multi",
        title: "`MULTI`, a command, 5 s across a renewal, another command, `EXEC`, sent as plain commands; then a command every 0.2 s",
        right: "`EXEC` brings two replies, or the client refuses before it sends anything; no command fails",
        life: 10,
        span: 24,
        past_end: false,
        renew_at: Some(7),
        busy: false,
        place: Place::Gate,
        events: &[],
        read: |result, _| {
            let replies = result["exec"].as_array();
            let text = match (replies, result["refused"].as_str()) {
                (Some(replies), Some(_)) => format!("refused; as an atomic pipeline {} replies", replies.len()),
                (Some(replies), None) => format!("{} replies", replies.len()),
                _ => word(&result["exec"]),
            };
            let exact = replies.is_some_and(|replies| *replies == ["first", "second"]);
            Reading { right: exact && number(result, "failed") == 0, text: format!("{text}; {}", commands(result)) }
        },
    },
    Row {
        name: "cluster",
        title: "A cluster of three nodes and a fourth that takes over 1,000 slots with their keys after 5 s; a command every 50 ms over 400 keys, past the end of a 20 s token",
        right: "no command fails, no connection reaches its token's end",
        life: 20,
        span: 50,
        past_end: true,
        renew_at: Some(14),
        busy: false,
        place: Place::Cluster,
        events: &[(At::Start(5), Event::Reshard)],
        read: |result, seen| Reading { right: unharmed(result, seen, 200), text: lived(result, seen) },
    },
    Row {
        name: "resp2",
        title: "Two RESP2 subscribers, 4,000 numbered messages each in 16 s, a token every 2 to 3 s",
        right: "all of them, in order, once",
        life: 4,
        span: 24,
        past_end: false,
        renew_at: Some(2),
        busy: true,
        place: Place::Gate,
        events: &[(At::Start(1), Event::Publish)],
        read: numbered,
    },
    Row {
        name: "resp3",
        title: "The same with two RESP3 subscribers",
        right: "all of them, in order, once",
        life: 4,
        span: 24,
        past_end: false,
        renew_at: Some(2),
        busy: true,
        place: Place::Gate,
        events: &[(At::Start(1), Event::Publish)],
        read: numbered,
    },
    Row {
        name: "rejected",
        title: "Redis 8.2.3 without a gate: the renewed token is rejected while 8 connections (a pool in redis-py) have 50 readers each",
        right: "no reader gets another's value",
        life: 6,
        span: 12,
        past_end: false,
        renew_at: Some(4),
        busy: true,
        place: Place::Modern,
        events: &[(At::Start(1), Event::RejectTokens)],
        read: |result, _| Reading {
            right: number(result, "wrong") == 0 && number(result, "right") > 1000,
            text: format!(
                "{} wrong, {} right, {} errors",
                number(result, "wrong"),
                number(result, "right"),
                number(result, "failed")
            ),
        },
    },
    Row {
        name: "pool",
        title: "1,000 connections, a command every 2 s on each, past the end of a 60 s token",
        right: "no command fails, no connection reaches its token's end",
        life: 60,
        span: 80,
        past_end: true,
        renew_at: Some(42),
        busy: true,
        place: Place::Gate,
        events: &[],
        read: |result, seen| Reading { right: unharmed(result, seen, 20_000), text: lived(result, seen) },
    },
];
