//! Promises of the RESP framers: the same frames whatever the chunking, and no panic on any bytes.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

use bytes::BytesMut;
use entrant_proto::resp::{
    Args, Kind, ProtocolError, ReplyFramer, ReplyLimits, ReplyWriter, RequestFramer, RequestLimits, Value, Version,
    encode_command,
};
use proptest::prelude::*;

/// Commands found in a stream: argument count and bytes of each, and the error that ended it.
type Requests = (Vec<(u32, Vec<u8>)>, Option<ProtocolError>);
type Replies = (Vec<(Kind, Vec<u8>)>, Option<ProtocolError>);

/// Feeds `input` in chunks of the given sizes (in turn) and joins pieces into commands.
fn requests(input: &[u8], chunks: &[usize], limits: RequestLimits) -> Requests {
    let mut framer = RequestFramer::new(limits);
    let (mut waiting, mut found, mut open) = (Vec::new(), Vec::new(), Vec::new());
    let mut fed = 0;
    for size in chunks.iter().copied().cycle() {
        let end = (fed + size.max(1)).min(input.len());
        waiting.extend_from_slice(&input[fed..end]);
        fed = end;
        loop {
            match framer.next(&waiting) {
                Err(error) => {
                    assert_eq!(framer.next(&waiting), Err(error), "a failed framer stays failed");
                    return (found, Some(error));
                }
                Ok(None) => break,
                Ok(Some(piece)) => {
                    assert!(piece.len > 0 && piece.len <= waiting.len());
                    assert_eq!(piece.first, open.is_empty());
                    open.extend(waiting.drain(..piece.len));
                    if piece.last {
                        found.push((piece.argc, std::mem::take(&mut open)));
                    }
                }
            }
        }
        if fed == input.len() {
            return (found, None);
        }
    }
    unreachable!("cycle never ends")
}

fn replies(input: &[u8], chunks: &[usize], limits: ReplyLimits) -> Replies {
    let mut framer = ReplyFramer::new(limits);
    let (mut waiting, mut found, mut open) = (Vec::new(), Vec::new(), Vec::new());
    let mut kind = None;
    let mut fed = 0;
    for size in chunks.iter().copied().cycle() {
        let end = (fed + size.max(1)).min(input.len());
        waiting.extend_from_slice(&input[fed..end]);
        fed = end;
        loop {
            match framer.next(&waiting) {
                Err(error) => {
                    assert_eq!(framer.next(&waiting), Err(error), "a failed framer stays failed");
                    return (found, Some(error));
                }
                Ok(None) => break,
                Ok(Some(piece)) => {
                    assert!(piece.len > 0 && piece.len <= waiting.len());
                    assert_eq!(piece.first, open.is_empty());
                    assert_eq!(*kind.get_or_insert(piece.kind), piece.kind, "one reply, one kind");
                    open.extend(waiting.drain(..piece.len));
                    if piece.last {
                        kind = None;
                        found.push((piece.kind, std::mem::take(&mut open)));
                    }
                }
            }
        }
        if fed == input.len() {
            return (found, None);
        }
    }
    unreachable!("cycle never ends")
}

const WHOLE: RequestLimits = RequestLimits { stream_after: usize::MAX, ..RequestLimits::AUTHENTICATED };
/// Pieces after 8 bytes, so that small inputs are cut.
const CUT: RequestLimits = RequestLimits { stream_after: 8, ..RequestLimits::AUTHENTICATED };
const CUT_REPLY: ReplyLimits = ReplyLimits { stream_after: 8, ..ReplyLimits::RELAY };

fn command() -> impl Strategy<Value = Vec<u8>> {
    let bulk = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6).prop_map(|args| {
        let mut out = BytesMut::new();
        encode_command(&mut out, &args);
        out.to_vec()
    });
    let inline = "[A-Za-z][a-z0-9 ]{0,20}\r?\n".prop_map(String::into_bytes);
    prop_oneof![4 => bulk, 1 => inline, 1 => Just(b"*0\r\n".to_vec()), 1 => Just(b"\r\n".to_vec())]
}

fn reply() -> impl Strategy<Value = Vec<u8>> {
    let text = "[a-z ]{0,12}";
    let leaf = prop_oneof![
        text.prop_map(|t| format!("+{t}\r\n").into_bytes()),
        text.prop_map(|t| format!("-ERR {t}\r\n").into_bytes()),
        any::<i64>().prop_map(|n| format!(":{n}\r\n").into_bytes()),
        prop::collection::vec(any::<u8>(), 0..30).prop_map(|b| {
            let mut out = format!("${}\r\n", b.len()).into_bytes();
            out.extend(b);
            out.extend(b"\r\n");
            out
        }),
        Just(b"$-1\r\n".to_vec()),
        Just(b"*-1\r\n".to_vec()),
        Just(b"_\r\n".to_vec()),
        Just(b"#t\r\n".to_vec()),
        Just(b",1.5\r\n".to_vec()),
        Just(b"(123456789012345678901234567890\r\n".to_vec()),
        Just(b"=8\r\ntxt:abcd\r\n".to_vec()),
        Just(b"!5\r\nERR x\r\n".to_vec()),
        Just(b"$?\r\n;3\r\nabc\r\n;1\r\nd\r\n;0\r\n".to_vec()),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let many = prop::collection::vec(inner.clone(), 0..5);
        prop_oneof![
            (many.clone(), prop::sample::select(vec!['*', '~'])).prop_map(|(v, c)| [
                format!("{c}{}\r\n", v.len()).into_bytes(),
                v.concat()
            ]
            .concat()),
            many.clone().prop_map(|v| {
                let pairs: Vec<_> = v.iter().flat_map(|item| [b"+k\r\n".to_vec(), item.clone()]).collect();
                [format!("%{}\r\n", v.len()).into_bytes(), pairs.concat()].concat()
            }),
            many.prop_map(|v| [b"*?\r\n".to_vec(), v.concat(), b".\r\n".to_vec()].concat()),
            (inner.clone(), inner).prop_map(|(a, b)| [b"|1\r\n+ttl\r\n".to_vec(), a, b].concat()),
        ]
    })
}

fn chunks() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1_usize..24, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn commands_are_framed_the_same_whatever_the_chunking(
        commands in prop::collection::vec(command(), 0..6),
        sizes in chunks(),
    ) {
        let input = commands.concat();
        let whole = requests(&input, &[usize::MAX], WHOLE);
        prop_assert_eq!(&whole.1, &None);
        prop_assert_eq!(whole.0.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>(), commands);
        prop_assert_eq!(&requests(&input, &sizes, WHOLE), &whole);
        prop_assert_eq!(&requests(&input, &sizes, CUT), &whole);
    }

    #[test]
    fn replies_are_framed_the_same_whatever_the_chunking(
        replies_in in prop::collection::vec(reply(), 0..6),
        sizes in chunks(),
    ) {
        let input = replies_in.concat();
        let whole = replies(&input, &[usize::MAX], ReplyLimits::RELAY);
        prop_assert_eq!(&whole.1, &None);
        prop_assert_eq!(whole.0.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>(), replies_in);
        prop_assert_eq!(&replies(&input, &sizes, ReplyLimits::RELAY), &whole);
        prop_assert_eq!(&replies(&input, &sizes, CUT_REPLY), &whole);
    }

    #[test]
    fn every_framed_reply_reads_as_a_value(bytes in reply()) {
        let (_, taken) = Value::parse(&bytes).unwrap().unwrap();
        prop_assert_eq!(taken, bytes.len());
    }

    #[test]
    fn any_bytes_give_the_same_frames_or_error_in_any_chunking(
        input in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(b"*$+-:%~|>_#,(=!;.?\r\n 0123\"'\\x".to_vec()),
            1 => any::<u8>(),
        ], 0..200),
        sizes in chunks(),
    ) {
        for limits in [WHOLE, CUT, RequestLimits::BEFORE_AUTH] {
            prop_assert_eq!(requests(&input, &sizes, limits), requests(&input, &[usize::MAX], limits));
        }
        for limits in [ReplyLimits::RELAY, CUT_REPLY, ReplyLimits::WHOLE] {
            prop_assert_eq!(replies(&input, &sizes, limits), replies(&input, &[usize::MAX], limits));
        }
        let _ = Value::parse(&input);
        let _: Vec<_> = Args::of(&input).collect();
    }

    #[test]
    fn a_valid_stream_with_one_byte_changed_never_panics_and_is_read_the_same_in_any_chunking(
        replies_in in prop::collection::vec(reply(), 1..4),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        sizes in chunks(),
    ) {
        let mut input = replies_in.concat();
        let at = at.index(input.len());
        input[at] = byte;
        prop_assert_eq!(replies(&input, &sizes, CUT_REPLY), replies(&input, &[usize::MAX], CUT_REPLY));
        let _ = Value::parse(&input);
    }

    #[test]
    fn arguments_come_back_as_they_were_encoded(
        args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..8),
    ) {
        let mut out = BytesMut::new();
        encode_command(&mut out, &args);
        let read: Vec<_> = Args::of(&out).map(std::borrow::Cow::into_owned).collect();
        prop_assert_eq!(read, args);
    }
}

fn request_error(input: &[u8], limits: RequestLimits) -> ProtocolError {
    requests(input, &[usize::MAX], limits).1.unwrap()
}

#[test]
fn limits_before_authentication_have_redis_s_own_error_texts() {
    let before = RequestLimits::BEFORE_AUTH;
    assert_eq!(request_error(b"*11\r\n", before).reply(), "-ERR Protocol error: unauthenticated multibulk length\r\n");
    assert_eq!(
        request_error(b"*1\r\n$16385\r\n", before).reply(),
        "-ERR Protocol error: unauthenticated bulk length\r\n"
    );
    assert_eq!(requests(b"*10\r\n$16384\r\n", &[5], before), (vec![], None));
    for (input, reply) in [
        (&b"*x\r\n"[..], "-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*1\r\n:1\r\n", "-ERR Protocol error: expected '$', got ':'\r\n"),
        (b"*1\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        (b"GET \"k\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"),
    ] {
        assert_eq!(request_error(input, RequestLimits::AUTHENTICATED).reply(), reply);
    }
    assert_eq!(request_error(&[b'a'; 70_000], before), ProtocolError::TooBigInline);
}

#[test]
fn a_large_value_is_handed_out_in_pieces_and_never_held_whole() {
    let mut framer = RequestFramer::new(RequestLimits::AUTHENTICATED);
    let mut waiting = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10000000\r\n".to_vec();
    waiting.extend(vec![7; 40_000]);
    let first = framer.next(&waiting).unwrap().unwrap();
    assert!(first.first && !first.last && first.argc == 3 && first.len == waiting.len());
    assert_eq!(Args::of(&waiting[..first.len]).collect::<Vec<_>>(), [&b"SET"[..], b"k"]);
    assert!(!framer.at_boundary());
    let mut left = 10_000_000 - 40_000;
    while left > 0 {
        let size = left.min(50_000);
        let piece = framer.next(&vec![7; size]).unwrap();
        assert!(piece.is_none_or(|piece| !piece.first && !piece.last));
        left -= if let Some(piece) = piece { piece.len } else { break };
    }
    let mut rest = vec![7; left];
    rest.extend(b"\r\n");
    let end = framer.next(&rest).unwrap().unwrap();
    assert!(end.last && !end.first && framer.at_boundary());
}

#[test]
fn nesting_counts_and_lengths_beyond_the_limits_are_refused() {
    let deep = "*1\r\n".repeat(200);
    assert_eq!(replies(deep.as_bytes(), &[7], ReplyLimits::RELAY).1, Some(ProtocolError::TooDeep));
    assert_eq!(replies(b"*4294967297\r\n", &[1], ReplyLimits::RELAY).1, Some(ProtocolError::TooBig));
    assert_eq!(replies(b"$4294967297\r\n", &[1], ReplyLimits::RELAY).1, Some(ProtocolError::TooBig));
    assert_eq!(replies(b"%9223372036854775807\r\n", &[1], ReplyLimits::RELAY).1, Some(ProtocolError::TooBig));
    assert_eq!(replies(b".\r\n", &[1], ReplyLimits::RELAY).1, Some(ProtocolError::InvalidReply));
    let attributes = "|0\r\n".repeat(600_000);
    assert_eq!(replies(attributes.as_bytes(), &[4096], ReplyLimits::WHOLE).1, Some(ProtocolError::TooBig));
}

#[test]
fn push_messages_are_told_from_replies_even_behind_an_attribute() {
    let (found, error) = replies(b">2\r\n+message\r\n+x\r\n|1\r\n+a\r\n+b\r\n>0\r\n+OK\r\n", &[3], ReplyLimits::RELAY);
    assert_eq!(error, None);
    assert_eq!(found.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [Kind::Push, Kind::Push, Kind::Simple]);
}

#[test]
fn resp2_has_a_form_for_every_type() {
    let write = |version| {
        let mut out = BytesMut::new();
        let mut writer = ReplyWriter::new(&mut out, version);
        writer.map(1);
        writer.bulk(b"k");
        writer.double("1.5");
        writer.null();
        writer.null_array();
        writer.set(0);
        writer.push(0);
        writer.verbatim("hi");
        writer.error("ERR a\r\nb");
        String::from_utf8(out.to_vec()).unwrap()
    };
    assert_eq!(
        write(Version::Resp2),
        "*2\r\n$1\r\nk\r\n$3\r\n1.5\r\n$-1\r\n*-1\r\n*0\r\n*0\r\n$2\r\nhi\r\n-ERR a  b\r\n"
    );
    assert_eq!(write(Version::Resp3), "%1\r\n$1\r\nk\r\n,1.5\r\n_\r\n_\r\n~0\r\n>0\r\n=6\r\ntxt:hi\r\n-ERR a  b\r\n");
}
