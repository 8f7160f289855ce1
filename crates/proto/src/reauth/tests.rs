//! The edge cases of re-authentication, named by the case. Numbers are those of the table in
//! `docs/concepts/redis-reauthentication.md`; cases that belong to the server half live in `entrant-relay` (gate),
//! those of the token itself in `entrant-credential` (keeper), those of a program's connection in `entrant-redis`.

use std::time::Duration;

use entrant_types::{Guid, ObjectId, Timestamp};

use super::*;

const START: Timestamp = Timestamp::from_secs(1_000_000);
const LIFE: Duration = Duration::from_secs(3600);
const NONCE: [u8; 16] = *b"0123456789abcdef";

fn credential(generation: u64, owner: u8, expires: Timestamp) -> Credential {
    Credential { generation, object_id: ObjectId::new(Guid::from_bytes([owner; 16])), expires }
}

/// A connection whose token ends an hour after the start, at the earliest phase.
struct Wire {
    machine: Machine,
    now: Timestamp,
}

impl Wire {
    fn new() -> Self {
        Self { machine: Machine::new(credential(1, 1, START + LIFE), 0.0, START), now: START }
    }

    fn resp3() -> Self {
        let mut wire = Self::new();
        wire.forward("HELLO 3");
        assert_eq!(wire.reply("%1\r\n+proto\r\n:3\r\n"), Delivery::Client);
        wire
    }

    fn send(&mut self, line: &str) -> Verdict {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let verdict = self.machine.admit(&Request::of(&words).unwrap(), self.now);
        if !matches!(verdict, Verdict::Wait | Verdict::Close) {
            self.machine.request_done();
        }
        verdict
    }

    fn forward(&mut self, line: &str) {
        let verdict = self.send(line);
        assert!(matches!(verdict, Verdict::Forward | Verdict::ForwardWithoutCredentials), "{line}: {verdict:?}");
    }

    fn reply(&mut self, frame: &str) -> Delivery {
        self.machine.reply(frame.as_bytes(), self.now)
    }

    /// Sends a command and takes its one reply.
    fn exchange(&mut self, line: &str, frame: &str) {
        self.forward(line);
        assert_eq!(self.reply(frame), Delivery::Client);
    }

    fn step(&mut self) -> Step {
        self.machine.step(|| NONCE, self.now)
    }

    /// A newer token of the same identity, with a fresh hour.
    fn offer(&mut self, generation: u64) {
        self.machine.offer(credential(generation, 1, self.now + LIFE), self.now);
    }

    fn at(&mut self, secs_before_expiry: u64) {
        self.now = START + LIFE - Duration::from_secs(secs_before_expiry);
    }

    fn injects(&mut self) -> bool {
        matches!(self.step(), Step::Inject { .. })
    }
}

const SUBSCRIBED: &str = "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
const SUBSCRIBED_3: &str = ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n";
const WRONGPASS: &str = "-WRONGPASS invalid username-password pair\r\n";

#[test]
fn case_01_sidecar_an_open_multi_is_never_touched_and_auth_waits_for_its_end() {
    let mut wire = Wire::new();
    wire.exchange("MULTI", "+OK\r\n");
    wire.offer(2);
    wire.exchange("SET k v", "+QUEUED\r\n");
    wire.at(100);
    assert_eq!(wire.step(), Step::Nothing);
    wire.exchange("GET k", "+QUEUED\r\n");
    wire.forward("EXEC");
    assert!(!wire.injects(), "EXEC is not answered yet");
    assert_eq!(wire.reply("*2\r\n+OK\r\n$1\r\nv\r\n"), Delivery::Client);
    assert!(wire.injects());
}

#[test]
fn case_01_sidecar_a_transaction_held_past_expiry_is_left_to_the_server_and_counted() {
    let mut wire = Wire::new();
    wire.exchange("MULTI", "+OK\r\n");
    wire.offer(2);
    for before in [180, 30, 1, 0] {
        wire.at(before);
        assert_eq!(wire.step(), Step::Nothing);
        wire.exchange("INCR k", "+QUEUED\r\n");
    }
    assert_eq!(wire.machine.drop_reason(wire.now), DropReason::ExpiredInTransaction);
}

#[test]
fn case_01_sidecar_a_discard_that_was_refused_leaves_the_transaction_open() {
    let mut wire = Wire::new();
    wire.exchange("MULTI", "+OK\r\n");
    wire.exchange("DISCARD", "-NOPERM this user has no permissions to run the 'discard' command\r\n");
    wire.offer(2);
    assert_eq!(wire.step(), Step::Nothing);
}

#[test]
fn case_01_sidecar_a_client_s_own_auth_inside_multi_is_refused_without_touching_the_transaction() {
    let mut wire = Wire::new();
    wire.exchange("MULTI", "+OK\r\n");
    assert_eq!(wire.send("AUTH user password"), Verdict::Answer);
    assert_eq!(wire.machine.take_answer(), Some(LocalAnswer::NoAuthInTransaction));
}

#[test]
fn case_02_sidecar_a_watch_does_not_delay_auth() {
    let mut wire = Wire::new();
    wire.exchange("WATCH k", "+OK\r\n");
    wire.offer(2);
    assert!(wire.injects());
}

#[test]
fn case_03_and_35_sidecar_another_identity_drains_and_reconnects_and_is_never_authenticated_in_place() {
    let mut wire = Wire::new();
    wire.forward("GET k");
    wire.machine.offer(credential(2, 9, wire.now + LIFE), wire.now);
    assert_eq!(wire.step(), Step::Nothing, "a reply is outstanding");
    wire.reply("$-1\r\n");
    assert_eq!(wire.step(), Step::Close(CloseReason::IdentityChanged));
    assert_eq!(wire.send("GET k"), Verdict::Close);
}

#[test]
fn case_03_sidecar_an_open_transaction_is_finished_before_the_identity_changes() {
    let mut wire = Wire::new();
    wire.exchange("MULTI", "+OK\r\n");
    wire.machine.offer(credential(2, 9, wire.now + LIFE), wire.now);
    wire.at(100);
    assert_eq!(wire.step(), Step::Nothing);
    wire.exchange("EXEC", "*0\r\n");
    assert_eq!(wire.step(), Step::Close(CloseReason::IdentityChanged));
}

#[test]
fn case_04_sidecar_a_resp2_subscriber_is_replaced_before_three_minutes_are_left() {
    let mut wire = Wire::new();
    wire.exchange("SUBSCRIBE a", SUBSCRIBED);
    wire.offer(2);
    assert_eq!(wire.step(), Step::Nothing);
    assert_eq!(wire.reply("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"), Delivery::Client);
    wire.at(180);
    assert_eq!(wire.step(), Step::Replace);
    assert_eq!(wire.machine.subscriptions().names(Family::Channel).collect::<Vec<_>>(), [b"a"]);
    wire.machine.succeeded(credential(2, 1, wire.now + LIFE), wire.now);
    assert_eq!(wire.step(), Step::Nothing);
}

#[test]
fn case_04_sidecar_a_subscriber_that_unsubscribes_can_be_authenticated_again() {
    let mut wire = Wire::new();
    wire.forward("SUBSCRIBE a b");
    wire.reply(SUBSCRIBED);
    wire.reply("*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n");
    wire.offer(2);
    assert_eq!(wire.step(), Step::Nothing);
    wire.forward("UNSUBSCRIBE");
    wire.reply("*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n");
    assert!(!wire.injects());
    wire.reply("*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n");
    assert!(wire.injects());
}

#[test]
fn case_05_sidecar_a_resp3_subscriber_is_authenticated_in_line_and_pushes_take_no_reply() {
    let mut wire = Wire::resp3();
    wire.exchange("SUBSCRIBE a", SUBSCRIBED_3);
    wire.offer(2);
    let Step::Inject { nonce: Some(NONCE), .. } = wire.step() else { panic!("a sentinel is needed") };
    assert_eq!(wire.reply(">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"), Delivery::Client);
    assert_eq!(wire.reply("+OK\r\n"), Delivery::Swallow);
    let nonce: String = NONCE.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(wire.reply(&format!("$32\r\n{nonce}\r\n")), Delivery::Confirmed(wire.now + LIFE));
    assert!(!wire.machine.holds_client());
}

#[test]
fn case_06_sidecar_a_monitor_is_ended_with_a_reason_because_auth_s_ok_would_drown_in_its_lines() {
    let mut wire = Wire::new();
    wire.exchange("MONITOR", "+OK\r\n");
    assert_eq!(wire.reply("+1700000000.1 [0 127.0.0.1:1] \"PING\"\r\n"), Delivery::Client);
    wire.offer(2);
    assert_eq!(wire.step(), Step::Nothing);
    wire.at(180);
    assert_eq!(wire.step(), Step::Close(CloseReason::CannotReauthenticate));
}

#[test]
fn case_07_sidecar_auth_goes_before_a_blocking_command_when_a_newer_token_is_there() {
    for command in ["BLPOP q 0", "XREAD BLOCK 0 STREAMS s $", "WAIT 1 0", "SUBSCRIBE a", "MONITOR"] {
        let mut wire = Wire::new();
        wire.machine.phase = 1.0;
        wire.offer(2);
        assert_eq!(wire.step(), Step::Nothing, "not due yet");
        assert_eq!(wire.send(command), Verdict::Wait);
        assert!(wire.injects());
        assert_eq!(wire.send(command), Verdict::Wait, "nothing goes before the confirmation");
        assert!(matches!(wire.reply("+OK\r\n"), Delivery::Confirmed(_)));
        wire.forward(command);
    }
}

#[test]
fn case_07_and_19_sidecar_a_late_auth_reply_is_not_a_failure() {
    let mut wire = Wire::new();
    wire.offer(2);
    assert!(wire.injects());
    wire.now = wire.now + Duration::from_secs(29);
    assert_eq!(wire.step(), Step::Nothing);
    assert!(matches!(wire.reply("+OK\r\n"), Delivery::Confirmed(_)));
    wire.forward("GET k");
}

#[test]
fn case_07_sidecar_a_block_across_the_moment_delays_auth_and_disturbs_nothing() {
    let mut wire = Wire::new();
    wire.forward("BLPOP q 0");
    wire.offer(2);
    wire.at(179);
    assert_eq!(wire.step(), Step::Nothing);
    assert_eq!(wire.send("GET k"), Verdict::Wait, "after T-3 min a gap is made");
    wire.reply("*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
    assert!(wire.injects());
}

#[test]
fn case_08_sidecar_without_replies_nothing_is_injected_and_the_connection_ends_before_expiry() {
    let mut wire = Wire::new();
    wire.forward("CLIENT REPLY OFF");
    assert_eq!(wire.machine.opaque(), Some(Opaque::ReplyOff));
    wire.offer(2);
    wire.forward("SET k v");
    assert_eq!(wire.send("AUTH u p"), Verdict::ForwardOwnAuth, "never the client's own");
    assert_eq!(wire.step(), Step::Nothing);
    wire.at(180);
    assert_eq!(wire.step(), Step::Close(CloseReason::CannotReauthenticate));
}

#[test]
fn case_09_sidecar_nothing_goes_between_a_one_shot_prefix_and_its_command() {
    for prefix in ["ASKING", "CLIENT CACHING YES", "CLIENT CACHING NO"] {
        let mut wire = Wire::new();
        wire.exchange(prefix, "+OK\r\n");
        wire.offer(2);
        wire.at(100);
        assert_eq!(wire.step(), Step::Nothing, "{prefix}");
        wire.exchange("GET k", "$1\r\nv\r\n");
        assert!(wire.injects(), "{prefix}");
    }
}

#[test]
fn case_09_sidecar_client_reply_skip_costs_exactly_two_replies() {
    let mut wire = Wire::new();
    wire.forward("CLIENT REPLY SKIP");
    wire.offer(2);
    assert_eq!(wire.step(), Step::Nothing);
    wire.forward("SET k v");
    assert_eq!(wire.step(), Step::Nothing, "a refused SKIP would answer twice: wait for proof");
    wire.exchange("PING", "+PONG\r\n");
    assert!(wire.injects());
}

#[test]
fn case_09_sidecar_client_reply_on_behind_a_skip_is_answered() {
    let mut wire = Wire::new();
    wire.forward("CLIENT REPLY SKIP");
    wire.forward("CLIENT REPLY ON");
    wire.forward("SET k v");
    wire.offer(2);
    assert_eq!(wire.reply("+OK\r\n"), Delivery::Client);
    assert_eq!(wire.step(), Step::Nothing, "SET is not answered yet");
    assert_eq!(wire.reply("+OK\r\n"), Delivery::Client);
    assert!(wire.injects());
}

#[test]
fn case_09_sidecar_a_refused_skip_shifts_nothing_it_only_ends_injection() {
    let mut wire = Wire::new();
    wire.forward("CLIENT REPLY SKIP");
    wire.forward("SET k v");
    wire.forward("PING");
    assert_eq!(wire.reply("-NOPERM no\r\n"), Delivery::Client);
    assert_eq!(wire.machine.opaque(), Some(Opaque::Uncounted));
    assert_eq!(wire.reply("+OK\r\n"), Delivery::Client);
    assert_eq!(wire.reply("+PONG\r\n"), Delivery::Client);
}

#[test]
fn case_10_sidecar_auth_waits_for_a_quiet_wire_and_makes_a_gap_when_there_is_none() {
    let mut wire = Wire::new();
    wire.forward("GET a");
    wire.offer(2);
    wire.forward("GET b");
    assert_eq!(wire.step(), Step::Nothing);
    wire.reply("$-1\r\n");
    wire.forward("GET c");
    wire.at(180);
    assert_eq!(wire.step(), Step::Nothing);
    assert_eq!(wire.send("GET d"), Verdict::Wait, "back-pressure instead of desync");
    wire.reply("$-1\r\n");
    assert_eq!(wire.step(), Step::Nothing);
    wire.reply("$-1\r\n");
    assert!(wire.injects());
    wire.reply("+OK\r\n");
    wire.forward("GET d");
}

#[test]
fn case_10_sidecar_in_the_last_half_minute_nothing_is_forced() {
    let mut wire = Wire::new();
    wire.forward("GET a");
    wire.offer(2);
    wire.at(30);
    assert_eq!(wire.step(), Step::Nothing);
    wire.forward("GET b");
}

#[test]
fn case_11_sidecar_a_rejection_that_redis_swallows_is_seen_by_the_sentinel() {
    let nonce: String = NONCE.iter().map(|byte| format!("{byte:02x}")).collect();
    let echo = format!("$32\r\n{nonce}\r\n");
    let silent = Delivery::Refused { code: String::new(), silent: true };
    let loud = Delivery::Refused { code: "WRONGPASS".to_owned(), silent: false };
    let no_echo = "-NOPERM this user has no permissions to run the 'echo' command\r\n";
    for (frames, outcomes) in [
        (vec![echo.as_str()], vec![silent.clone()]),
        (vec![no_echo], vec![silent]),
        (vec![WRONGPASS, &echo], vec![loud.clone(), Delivery::Swallow]),
        (vec![WRONGPASS, no_echo], vec![loud, Delivery::Swallow]),
        (vec!["+OK\r\n", no_echo], vec![Delivery::Swallow, Delivery::Confirmed(START + LIFE)]),
    ] {
        let mut wire = Wire::resp3();
        wire.exchange("CLIENT TRACKING on", "+OK\r\n");
        wire.offer(2);
        assert!(wire.injects());
        for (frame, outcome) in frames.iter().zip(outcomes) {
            assert_eq!(wire.reply(frame), outcome, "{frames:?}");
        }
        assert_eq!(wire.machine.outstanding(), 0);
        assert!(!wire.machine.holds_client());
        wire.exchange("GET k", "$1\r\nv\r\n");
    }
}

#[test]
fn case_12_and_13_sidecar_hello_is_stripped_of_credentials_and_switches_the_protocol_at_its_reply() {
    let mut wire = Wire::new();
    assert_eq!(wire.send("HELLO 3 AUTH someone password"), Verdict::ForwardWithoutCredentials);
    assert!(!wire.machine.resp3);
    wire.reply("%1\r\n+proto\r\n:3\r\n");
    assert!(wire.machine.resp3);
    wire.exchange("HELLO", "%1\r\n+proto\r\n:3\r\n");
    assert!(wire.machine.resp3);
    wire.exchange("HELLO 9", "-NOPROTO unsupported protocol version\r\n");
    assert!(wire.machine.resp3);
    assert_eq!(wire.machine.credential().generation, 1, "no identity change");
}

#[test]
fn case_12_sidecar_a_client_s_auth_is_answered_in_its_turn() {
    let mut wire = Wire::new();
    wire.forward("GET a");
    assert_eq!(wire.send("AUTH someone password"), Verdict::Answer);
    wire.forward("GET b");
    assert_eq!(wire.machine.take_answer(), None);
    wire.reply("$-1\r\n");
    assert_eq!(wire.machine.take_answer(), Some(LocalAnswer::Ok));
    assert_eq!(wire.machine.take_answer(), None);
    assert_eq!(wire.reply("$-1\r\n"), Delivery::Client);
}

#[test]
fn case_14_sidecar_after_reset_the_identity_is_restored_before_the_next_command() {
    let mut wire = Wire::resp3();
    wire.exchange("SELECT 3", "+OK\r\n");
    wire.forward("RESET");
    assert_eq!(wire.send("GET k"), Verdict::Wait);
    assert_eq!(wire.step(), Step::Nothing, "RESET is not answered yet");
    wire.reply("+RESET\r\n");
    let Step::Inject { credential, nonce: None } = wire.step() else { panic!("no AUTH after RESET") };
    assert_eq!(credential.generation, 1);
    assert_eq!(wire.send("GET k"), Verdict::Wait);
    assert!(matches!(wire.reply("+OK\r\n"), Delivery::Confirmed(_)));
    wire.forward("GET k");
    assert!(!wire.machine.resp3);
    assert_eq!(wire.machine.replay(), (None, None));
}

#[test]
fn case_14_sidecar_a_connection_without_identity_ends_when_auth_is_refused() {
    let mut wire = Wire::new();
    wire.exchange("RESET", "+RESET\r\n");
    assert!(wire.injects());
    wire.reply(WRONGPASS);
    assert_eq!(wire.step(), Step::Close(CloseReason::Refused));
}

#[test]
fn case_15_sidecar_database_and_name_are_kept_for_a_replacement() {
    let mut wire = Wire::new();
    wire.exchange("SELECT 3", "+OK\r\n");
    wire.exchange("CLIENT SETNAME worker", "+OK\r\n");
    assert_eq!(wire.machine.replay(), (Some(&b"3"[..]), Some(&b"worker"[..])));
    // What the server refuses changes nothing.
    wire.exchange("SELECT 99", "-ERR DB index is out of range\r\n");
    wire.exchange("CLIENT SETNAME no", "-ERR Client names cannot contain spaces\r\n");
    assert_eq!(wire.machine.replay(), (Some(&b"3"[..]), Some(&b"worker"[..])));
    wire.exchange("HELLO 2 AUTH SETNAME SETNAME SETNAME other", "*0\r\n");
    assert_eq!(wire.machine.replay(), (Some(&b"3"[..]), Some(&b"other"[..])));
    wire.exchange("HELLO 2", "*0\r\n");
    wire.exchange("HELLO 9 SETNAME no", "-NOPROTO unsupported protocol version\r\n");
    assert_eq!(wire.machine.replay(), (Some(&b"3"[..]), Some(&b"other"[..])));
}

#[test]
fn case_16_sidecar_a_busy_server_s_refusal_to_echo_still_confirms_auth() {
    let mut wire = Wire::resp3();
    wire.exchange("SUBSCRIBE a", SUBSCRIBED_3);
    wire.offer(2);
    assert!(wire.injects());
    wire.reply("+OK\r\n");
    assert!(matches!(wire.reply("-BUSY Redis is busy running a script.\r\n"), Delivery::Confirmed(_)));
}

#[test]
fn case_20_sidecar_an_end_at_expiry_is_told_apart_from_a_network_failure() {
    let mut wire = Wire::new();
    wire.at(60);
    assert_eq!(wire.machine.drop_reason(wire.now), DropReason::Network);
    wire.at(5);
    assert_eq!(wire.machine.drop_reason(wire.now), DropReason::Expired);
}

#[test]
fn case_21_sidecar_a_refused_token_keeps_the_connection_forces_one_fresh_token_and_then_alarms_once() {
    let mut wire = Wire::new();
    wire.offer(2);
    assert!(wire.injects());
    assert_eq!(wire.reply(WRONGPASS), Delivery::Refused { code: "WRONGPASS".to_owned(), silent: false });
    assert_eq!(wire.step(), Step::ForceToken);
    assert_eq!(wire.step(), Step::Nothing);
    wire.exchange("GET k", "$1\r\nv\r\n");
    wire.offer(2);
    assert_eq!(wire.step(), Step::Nothing, "the same token is not tried again");
    wire.machine.phase = 1.0;
    wire.offer(3);
    assert!(wire.injects(), "the fresh one goes at once");
    wire.reply("-ERR WRONGPASS invalid username-password pair\r\n");
    assert_eq!(wire.step(), Step::Alarm);
    assert_eq!(wire.step(), Step::Nothing);
    wire.exchange("GET k", "$1\r\nv\r\n");
    wire.offer(4);
    assert!(wire.injects(), "recovery by itself");
    assert!(matches!(wire.reply("+OK\r\n"), Delivery::Confirmed(_)));
}

#[test]
fn case_21_sidecar_a_reply_that_cannot_answer_auth_ends_the_connection() {
    let mut wire = Wire::new();
    wire.offer(2);
    assert!(wire.injects());
    assert_eq!(wire.reply("$5\r\nvalue\r\n"), Delivery::Swallow);
    assert_eq!(wire.step(), Step::Close(CloseReason::ReplyInDoubt));
}

#[test]
fn case_26_sidecar_the_same_old_token_changes_nothing() {
    let mut wire = Wire::new();
    wire.offer(1);
    assert_eq!(wire.step(), Step::Nothing);
}

#[test]
fn case_29_sidecar_after_a_suspend_the_due_auth_goes_before_the_first_command() {
    let mut wire = Wire::new();
    wire.machine.phase = 0.5;
    wire.offer(2);
    assert_eq!(wire.step(), Step::Nothing);
    wire.at(170);
    assert!(wire.injects());
    assert_eq!(wire.send("GET k"), Verdict::Wait);
}

#[test]
fn case_33_sidecar_an_auth_without_any_answer_ends_the_connection() {
    let mut wire = Wire::new();
    wire.offer(2);
    assert!(wire.injects());
    wire.now = wire.machine.wake_at(wire.now).unwrap();
    assert_eq!(wire.step(), Step::Close(CloseReason::Unanswered));
}

#[test]
fn case_34_sidecar_an_idle_connection_is_kept_alive_and_noperm_counts_as_alive() {
    let mut wire = Wire::new();
    assert_eq!(wire.machine.wake_at(wire.now), Some(START + Duration::from_secs(300)));
    wire.now = START + Duration::from_secs(300);
    assert_eq!(wire.step(), Step::Ping);
    assert_eq!(wire.step(), Step::Nothing);
    assert_eq!(wire.reply("-NOPERM this user has no permissions to run the 'ping' command\r\n"), Delivery::Swallow);
    wire.now = wire.now + Duration::from_secs(301);
    assert_eq!(wire.step(), Step::Ping);
    wire.now = wire.now + Duration::from_secs(31);
    assert_eq!(wire.step(), Step::Close(CloseReason::Unanswered));
}

#[test]
fn an_unexplained_reply_ends_injection_and_nothing_else() {
    let mut wire = Wire::new();
    assert_eq!(wire.reply("+OK\r\n"), Delivery::Client);
    assert_eq!(wire.machine.opaque(), Some(Opaque::Uncounted));
    wire.offer(2);
    assert_eq!(wire.step(), Step::Nothing);
    wire.exchange("GET k", "$1\r\nv\r\n");
    assert_eq!(wire.send("RESET"), Verdict::Close, "the identity could not be restored");
}

#[test]
fn a_refused_subscription_is_one_reply() {
    let mut wire = Wire::resp3();
    wire.exchange("SUBSCRIBE a b c", "-NOPERM this user has no permissions to access one of the channels\r\n");
    assert_eq!(wire.machine.outstanding(), 0);
    wire.exchange("GET k", "$1\r\nv\r\n");
}
