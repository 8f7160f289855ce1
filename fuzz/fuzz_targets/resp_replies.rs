//! Any bytes in any chunks: the reply framer finds the same replies as in one piece, and never panics.
#![no_main]

use entrant_proto::resp::{Kind, ReplyFramer, ReplyLimits, Value};
use libfuzzer_sys::fuzz_target;

/// Kind and bytes of each reply found, and whether the stream ended in an error.
fn replies(input: &[u8], chunk: usize) -> (Vec<(Option<Kind>, Vec<u8>)>, bool) {
    let mut framer = ReplyFramer::new(ReplyLimits::RELAY);
    let (mut waiting, mut open, mut found) = (Vec::new(), Vec::new(), Vec::new());
    let mut kind = None;
    for part in input.chunks(chunk) {
        waiting.extend_from_slice(part);
        loop {
            match framer.next(&waiting) {
                Err(_) => return (found, true),
                Ok(None) => break,
                Ok(Some(piece)) => {
                    if open.is_empty() {
                        kind = Some(piece.kind);
                    }
                    open.extend(waiting.drain(..piece.len));
                    if piece.last {
                        found.push((kind.take(), std::mem::take(&mut open)));
                    }
                }
            }
        }
    }
    (found, false)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (chunk, bytes) = input;
    let _ = Value::parse(bytes);
    let whole = replies(bytes, bytes.len().max(1));
    let parts = replies(bytes, usize::from(chunk).max(1));
    assert_eq!(whole, parts);
});
