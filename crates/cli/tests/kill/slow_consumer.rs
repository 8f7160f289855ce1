//! A client that asks for 100 MB and does not read: memory stays, others are served, and at last every byte is right.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::memory::resident_mib;
use crate::process::pause;
use crate::rounds;
use crate::stage::Stage;

const VALUE: usize = 1 << 20;
const REPLIES: usize = 100;
/// What the buffers on the way may take: of 100 MB they can hold nothing like it.
const GROWTH_MIB: u64 = 64;

#[test]
fn a_slow_consumer_with_100_mb_outstanding_costs_little_memory_and_disturbs_nobody() {
    let Some(mut stage) = Stage::start("60") else { return };
    for round in 1..=rounds() {
        for route in 0..2 {
            let before = resident(&stage);
            let port = stage.sidecars[route].port("proxy_port");
            let mut greedy = TcpStream::connect(("127.0.0.1", port)).expect("the sidecar listens");
            greedy.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
            let letter = b'a' + u8::try_from(round % 26).expect("a letter");
            let value = vec![letter; VALUE];
            let key = format!("big{route}");
            let mut command = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${VALUE}\r\n", key.len()).into_bytes();
            command.extend_from_slice(&value);
            command.extend_from_slice(b"\r\n");
            greedy.write_all(&command).expect("the sidecar reads");
            let mut ok = [0; 5];
            greedy.read_exact(&mut ok).expect("a reply");
            assert_eq!(&ok, b"+OK\r\n");
            greedy.write_all(format!("GET {key}\r\n").repeat(REPLIES).as_bytes()).expect("the sidecar reads");
            pause(1000);
            stage.served(&format!("beside slow consumer {round}"));
            for (held, before) in resident(&stage).into_iter().zip(before) {
                assert!(held < before + GROWTH_MIB, "{before} MiB have become {held}");
            }
            let mut reply = vec![0; VALUE + 12];
            for number in 0..REPLIES {
                greedy.read_exact(&mut reply).unwrap_or_else(|error| panic!("reply {number}: {error}"));
                assert!(reply.starts_with(b"$1048576\r\n") && reply.ends_with(b"\r\n"), "reply {number}");
                assert!(reply[10..VALUE + 10] == value[..], "reply {number} is somebody else's");
            }
        }
    }
    stage.end("slow consumer, 100 MB", rounds());
}

fn resident(stage: &Stage) -> Vec<u64> {
    stage.sidecars.iter().chain(&stage.gate).map(resident_mib).collect()
}
