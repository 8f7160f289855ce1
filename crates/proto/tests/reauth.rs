//! Whatever client and server say, the re-AUTH machine does not panic and keeps the quiet rule.

use std::time::Duration;

use entrant_proto::reauth::{Credential, Machine, Request, Step, Verdict};
use entrant_types::{Guid, ObjectId, Timestamp};
use proptest::prelude::*;

const START: Timestamp = Timestamp::from_secs(1_000_000);

/// One event on a connection.
#[derive(Clone, Debug)]
enum Event {
    Request(&'static str),
    Reply(String),
    Token { owner: u8 },
    Wait(u64),
}

#[rustfmt::skip]
fn request() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "GET k", "MULTI", "EXEC", "DISCARD", "RESET", "HELLO 2", "HELLO 3 AUTH a b", "AUTH a b", "AUTH", "ASKING",
        "CLIENT CACHING YES", "CLIENT REPLY SKIP", "CLIENT REPLY OFF", "CLIENT REPLY ON", "CLIENT TRACKING on",
        "SUBSCRIBE a b", "UNSUBSCRIBE", "PSUBSCRIBE p", "PUNSUBSCRIBE p", "MONITOR", "BLPOP q 0", "SELECT 3", "PSYNC ? -1",
        "CLUSTER SLOTS", "SUBSCRIBE", "SSUBSCRIBE s",
    ])
}

#[rustfmt::skip]
fn reply() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "+OK\r\n", "+QUEUED\r\n", "+RESET\r\n", "-NOPERM no\r\n", "-WRONGPASS no\r\n", "-ERR WRONGPASS no\r\n", "$1\r\nv\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", ">3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n",
        ">3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n",
        ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n", "+1700000000.1 [0 x] \"PING\"\r\n", "|1\r\n+a\r\n+b\r\n+OK\r\n",
        "%1\r\n+proto\r\n:3\r\n", "*0\r\n", "_\r\n", "$32\r\n00000000000000000000000000000000\r\n",
    ]);
    prop_oneof![8 => fixed.prop_map(str::to_owned), 1 => any::<String>()]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => request().prop_map(Event::Request),
        5 => reply().prop_map(Event::Reply),
        1 => (1_u8..3).prop_map(|owner| Event::Token { owner }),
        2 => (0_u64..1200).prop_map(Event::Wait),
    ]
}

fn credential(generation: u64, owner: u8, now: Timestamp) -> Credential {
    let object_id = ObjectId::new(Guid::from_bytes([owner; 16]));
    Credential { generation, object_id, expires: now + Duration::from_secs(3600) }
}

proptest! {
    #[test]
    fn an_auth_goes_out_only_alone_at_a_boundary_and_outside_any_transaction(
        events in prop::collection::vec(event(), 0..80),
        phase in 0.0..1.0_f64,
    ) {
        let (mut now, mut generation) = (START, 1);
        let mut machine = Machine::new(credential(1, 1, now), phase, now);
        for event in events {
            match event {
                Event::Request(line) => {
                    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
                    let held = machine.holds_client();
                    let verdict = machine.admit(&Request::of(&words).unwrap(), now);
                    prop_assert!(!held || matches!(verdict, Verdict::Wait | Verdict::Close), "{verdict:?} while held");
                    if !matches!(verdict, Verdict::Wait | Verdict::Close) {
                        machine.request_done();
                    }
                }
                Event::Reply(frame) => {
                    machine.reply(frame.as_bytes(), now);
                }
                Event::Token { owner } => {
                    generation += 1;
                    machine.offer(credential(generation, owner, now), now);
                }
                Event::Wait(seconds) => now = now + Duration::from_secs(seconds),
            }
            while machine.take_answer().is_some() {}
            for _ in 0..8 {
                let before = (machine.outstanding(), machine.in_transaction(), machine.opaque());
                let owner = machine.credential().object_id;
                match machine.step(|| [0; 16], now) {
                    Step::Inject { credential, .. } => {
                        prop_assert_eq!(before, (0, false, None), "not alone");
                        prop_assert_eq!(credential.object_id, owner, "another identity on a live connection");
                        prop_assert!(machine.holds_client(), "the client may go on before the answer");
                    }
                    Step::Nothing | Step::Close(_) => break,
                    _ => {}
                }
            }
            if let Some(moment) = machine.wake_at(now) {
                prop_assert!(moment > now || machine.holds_client(), "a timer that never stops ringing");
            }
        }
    }
}
