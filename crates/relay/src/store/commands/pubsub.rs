//! Publish and subscribe, by channel and by pattern, in RESP2 and RESP3.

use std::collections::{BTreeMap, BTreeSet};

use entrant_proto::resp::ReplyWriter;

use super::super::call::{Call, Done};
use super::super::glob;

/// SUBSCRIBE and PSUBSCRIBE.
pub(in super::super) fn subscribe(call: &mut Call<'_>) -> Done {
    let patterns = call.args.is(0, "PSUBSCRIBE");
    let word = if patterns { "psubscribe" } else { "subscribe" };
    let id = call.session.id;
    for name in call.args.from(1) {
        let all = if patterns { &mut call.state.patterns } else { &mut call.state.channels };
        all.entry(name.to_vec()).or_default().insert(id);
        let own = if patterns { &mut call.session.patterns } else { &mut call.session.channels };
        own.insert(name.to_vec());
        confirm(call, word, Some(name));
    }
    Ok(())
}

/// UNSUBSCRIBE and PUNSUBSCRIBE; without names, from all.
pub(in super::super) fn unsubscribe(call: &mut Call<'_>) -> Done {
    let patterns = call.args.is(0, "PUNSUBSCRIBE");
    let word = if patterns { "punsubscribe" } else { "unsubscribe" };
    let own = if patterns { &call.session.patterns } else { &call.session.channels };
    let names: Vec<Vec<u8>> = match call.args.len() {
        1 => own.iter().cloned().collect(),
        _ => call.args.from(1).map(<[u8]>::to_vec).collect(),
    };
    if names.is_empty() {
        confirm(call, word, None);
    }
    for name in names {
        leave(call, patterns, &name);
        confirm(call, word, Some(&name));
    }
    Ok(())
}

/// Ends every subscription, without a word.
pub(in super::super) fn leave_all(call: &mut Call<'_>) {
    for patterns in [false, true] {
        let own = if patterns { &mut call.session.patterns } else { &mut call.session.channels };
        for name in std::mem::take(own) {
            leave(call, patterns, &name);
        }
    }
}

fn leave(call: &mut Call<'_>, patterns: bool, name: &[u8]) {
    let (own, all) = if patterns {
        (&mut call.session.patterns, &mut call.state.patterns)
    } else {
        (&mut call.session.channels, &mut call.state.channels)
    };
    own.remove(name);
    if let Some(peers) = all.get_mut(name) {
        peers.remove(&call.session.id);
        if peers.is_empty() {
            all.remove(name);
        }
    }
}

fn confirm(call: &mut Call<'_>, word: &str, name: Option<&[u8]>) {
    let count = call.session.channels.len() + call.session.patterns.len();
    let mut out = call.reply();
    out.push(3);
    out.bulk(word.as_bytes());
    match name {
        Some(name) => out.bulk(name),
        None => out.null(),
    }
    out.integer(count as i64);
}

pub(in super::super) fn publish(call: &mut Call<'_>) -> Done {
    let (channel, message) = (call.args.at(1), call.args.at(2));
    let mut receivers = 0;
    let mut send = |peers: &BTreeSet<u64>, write: &dyn Fn(&mut ReplyWriter<'_>)| {
        for peer in peers.iter().filter_map(|id| call.state.peers.get(id)) {
            peer.outbox.write(write);
            receivers += 1;
        }
    };
    if let Some(peers) = call.state.channels.get(channel) {
        send(peers, &|out| {
            out.push(3);
            out.bulk(b"message");
            out.bulk(channel);
            out.bulk(message);
        });
    }
    for (pattern, peers) in call.state.patterns.iter().filter(|(pattern, _)| glob::matches(pattern, channel)) {
        send(peers, &|out| {
            out.push(4);
            out.bulk(b"pmessage");
            out.bulk(pattern);
            out.bulk(channel);
            out.bulk(message);
        });
    }
    call.reply().integer(receivers);
    Ok(())
}

/// PUBSUB CHANNELS, NUMSUB and NUMPAT.
pub(in super::super) fn inspect(call: &mut Call<'_>) -> Done {
    let args = call.args;
    match args.at(1).to_ascii_lowercase().as_slice() {
        b"numpat" => {
            let count = call.state.patterns.len();
            call.reply().integer(count as i64);
        }
        b"numsub" => {
            let counts: BTreeMap<&[u8], usize> =
                args.from(2).map(|name| (name, call.state.channels.get(name).map_or(0, BTreeSet::len))).collect();
            let mut out = call.reply();
            out.array((args.len() - 2) * 2);
            for name in args.from(2) {
                out.bulk(name);
                out.integer(counts.get(name).copied().unwrap_or(0) as i64);
            }
        }
        _ => {
            let takes = |name: &&Vec<u8>| args.len() < 3 || glob::matches(args.at(2), name);
            let names: Vec<_> = call.state.channels.keys().filter(takes).cloned().collect();
            let mut out = call.reply();
            out.array(names.len());
            for name in names {
                out.bulk(&name);
            }
        }
    }
    Ok(())
}
