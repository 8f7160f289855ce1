//! The rows: which moment, what is right, and how a client's result is read.

use serde_json::Value;

/// What happens outside the client, in seconds after it is ready.
pub enum Event {
    Outage(bool),
    Push(&'static str),
    Publish,
    RejectTokens,
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
    /// Busy rather than waiting: it runs by itself, the others side by side.
    pub busy: bool,
    /// On Redis 8.2.3 itself, past the gate.
    pub direct: bool,
    pub events: &'static [(u64, Event)],
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
pub struct Reading {
    pub text: String,
    pub right: bool,
}

/// Messages in the pub/sub row, to each of two subscribers.
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
fn tame(text: &str) -> String {
    text.chars().map(|c| if "|`\r\n".contains(c) { ' ' } else { c }).take(70).collect()
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| "nothing".to_owned(), tame)
}

pub static ROWS: [Row; 7] = [
    Row {
        name: "outage",
        title: "The identity endpoint answers 503 for 8 s around the moment of renewal, and is back 4 s before the token ends",
        right: "renewed by itself in time: no command fails, no connection reaches its token's end",
        life: 30,
        span: 48,
        busy: false,
        direct: false,
        events: &[(17, Event::Outage(true)), (25, Event::Outage(false))],
        read: |result, seen| Reading {
            right: number(result, "failed") == 0 && number(result, "ok") > 100 && seen.expired == 0,
            text: format!("{}; {} connections closed at expiry; {} AUTHs", commands(result), seen.expired, seen.auths),
        },
    },
    Row {
        name: "blocking",
        title: "`BLPOP` held across a renewal, another held past the end of the token it began with; then a command every 0.2 s on the first connection",
        right: "both get their element, no command fails",
        life: 48,
        span: 75,
        busy: false,
        direct: false,
        events: &[(42, Event::Push("before")), (58, Event::Push("after"))],
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
        name: "pubsub",
        title: "Two RESP3 subscribers, 4,000 numbered messages each in 16 s, a token every 2 to 3 s",
        right: "all of them, in order, once",
        life: 4,
        span: 24,
        busy: true,
        direct: false,
        events: &[(1, Event::Publish)],
        read: |result, seen| {
            let per_subscriber: Vec<(usize, usize)> = [0, 1]
                .map(|index| {
                    let numbers: Vec<u64> =
                        result["received"][index].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
                    (numbers.len(), numbers.windows(2).filter(|pair| pair[0] >= pair[1]).count())
                })
                .into();
            let right = per_subscriber.iter().all(|(count, disorder)| *count == MESSAGES as usize && *disorder == 0);
            let lost: Vec<String> =
                per_subscriber.iter().map(|(count, _)| (MESSAGES as usize).abs_diff(*count).to_string()).collect();
            let disorder: usize = per_subscriber.iter().map(|(_, disorder)| disorder).sum();
            let error = result["error"].as_str().map(|error| format!(" (`{}`)", tame(error))).unwrap_or_default();
            Reading {
                right,
                text: format!("lost {}; out of order {disorder}; {} AUTHs{error}", lost.join(" and "), seen.auths),
            }
        },
    },
    Row {
        name: "multi",
        title: "`MULTI`, a command, 5 s across a renewal, another command, `EXEC`, sent as plain commands; then a command every 0.2 s",
        right: "`EXEC` brings two replies, or the client refuses before it sends anything; no command fails",
        life: 10,
        span: 24,
        busy: false,
        direct: false,
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
        name: "rejected",
        title: "Redis 8.2.3 without a gate: the renewed token is rejected while 8 connections (a pool in redis-py) have 50 readers each",
        right: "no reader gets another's value",
        life: 6,
        span: 10,
        busy: true,
        direct: true,
        events: &[(1, Event::RejectTokens)],
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
        name: "window",
        title: "Tokens with 200 s left, which is inside the 240 s and 300 s windows of some clients; 10 s, one connection",
        right: "at most 3 token requests and 3 AUTHs",
        life: 200,
        span: 10,
        busy: false,
        direct: false,
        events: &[],
        read: |result, seen| Reading {
            right: seen.token_requests <= 3 && seen.auths <= 3 && number(result, "failed") == 0,
            text: format!("{} token requests, {} AUTHs; {}", seen.token_requests, seen.auths, commands(result)),
        },
    },
    Row {
        name: "pool",
        title: "100 connections, a command each 0.5 s, over two ends of a 10 s token",
        right: "no command fails, no connection reaches its token's end",
        life: 10,
        span: 25,
        busy: true,
        direct: false,
        events: &[],
        read: |result, seen| Reading {
            right: number(result, "failed") == 0 && number(result, "ok") > 1000 && seen.expired == 0,
            text: format!("{}; {} connections closed at expiry; {} AUTHs", commands(result), seen.expired, seen.auths),
        },
    },
];
