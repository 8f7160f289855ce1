//! Any bytes in any chunks: the request framer finds the same commands as in one piece, and never panics.
#![no_main]

use entrant_proto::resp::{Args, RequestFramer, RequestLimits};
use libfuzzer_sys::fuzz_target;

/// Bytes of each command found, and whether the stream ended in an error.
fn commands(input: &[u8], chunk: usize) -> (Vec<Vec<u8>>, bool) {
    let mut framer = RequestFramer::new(RequestLimits::AUTHENTICATED);
    let (mut waiting, mut open, mut found) = (Vec::new(), Vec::new(), Vec::new());
    for part in input.chunks(chunk) {
        waiting.extend_from_slice(part);
        loop {
            match framer.next(&waiting) {
                Err(_) => return (found, true),
                Ok(None) => break,
                Ok(Some(piece)) => {
                    open.extend(waiting.drain(..piece.len));
                    if piece.last {
                        let command = std::mem::take(&mut open);
                        let _ = Args::of(&command);
                        found.push(command);
                    }
                }
            }
        }
    }
    (found, false)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (chunk, bytes) = input;
    let whole = commands(bytes, bytes.len().max(1));
    let parts = commands(bytes, usize::from(chunk).max(1));
    assert_eq!(whole, parts);
});
