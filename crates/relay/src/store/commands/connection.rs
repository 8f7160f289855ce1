//! Commands on the connection itself.

use entrant_proto::resp::{Version, decimal};

use super::super::call::{Call, Done, NOT_INTEGER, SYNTAX};
use super::super::session::{ReplyMode, Session};
use super::super::state::{DATABASES, Peer};

/// What HELLO and INFO call this version: the one whose behaviour is the measure.
pub(in super::super) const REDIS_VERSION: &str = "7.0.15";

const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";

pub(in super::super) fn auth(call: &mut Call<'_>) -> Done {
    let (user, password) = match call.args.len() {
        2 => (&b"default"[..], call.args.at(1)),
        3 => (call.args.at(1), call.args.at(2)),
        _ => return Err(SYNTAX.into()),
    };
    log_in(call, user, password)?;
    call.ok()
}

fn log_in(call: &mut Call<'_>, user: &[u8], password: &[u8]) -> Done {
    let user = std::str::from_utf8(user).map_err(|_| WRONGPASS)?;
    if !call.state.acl.accepts(user, password) {
        return Err(WRONGPASS.into());
    }
    call.session.user = Some(user.to_owned());
    Ok(())
}

pub(in super::super) fn hello(call: &mut Call<'_>) -> Done {
    let mut version = call.session.version();
    if call.args.len() > 1 {
        version = match decimal(call.args.at(1)) {
            Some(2) => Version::Resp2,
            Some(3) => Version::Resp3,
            Some(_) => return Err("NOPROTO unsupported protocol version".into()),
            None => return Err("ERR Protocol version is not an integer or out of range".into()),
        };
    }
    let mut at = 2;
    let mut name = None;
    while at < call.args.len() {
        let more = call.args.len() - 1 - at;
        if call.args.is(at, "AUTH") && more >= 2 {
            log_in(call, call.args.at(at + 1), call.args.at(at + 2))?;
            at += 3;
        } else if call.args.is(at, "SETNAME") && more >= 1 {
            name = Some(client_name(call.args.at(at + 1))?);
            at += 2;
        } else {
            let option = String::from_utf8_lossy(call.args.at(at)).into_owned();
            return Err(format!("ERR Syntax error in HELLO option '{option}'").into());
        }
    }
    if call.session.user.is_none() {
        return Err("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time".into());
    }
    if let Some(name) = name {
        call.session.name = name;
    }
    call.session.set_version(version);
    let id = call.session.id;
    let mut out = call.reply();
    out.map(7);
    for (key, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        out.bulk(key.as_bytes());
        out.bulk(value.as_bytes());
    }
    out.bulk(b"proto");
    out.integer(version.number());
    out.bulk(b"id");
    out.integer(i64::try_from(id).unwrap_or(i64::MAX));
    for (key, value) in [("mode", "standalone"), ("role", "master")] {
        out.bulk(key.as_bytes());
        out.bulk(value.as_bytes());
    }
    out.bulk(b"modules");
    out.array(0);
    Ok(())
}

pub(in super::super) fn ping(call: &mut Call<'_>) -> Done {
    if call.args.len() > 2 {
        return Err("ERR wrong number of arguments for 'ping' command".into());
    }
    let (text, given) = (call.args.at(1), call.args.len() == 2);
    let subscribed = call.session.is_subscribed() && call.session.version() == Version::Resp2;
    let mut out = call.reply();
    if subscribed {
        out.array(2);
        out.bulk(b"pong");
        out.bulk(text);
    } else if given {
        out.bulk(text);
    } else {
        out.simple("PONG");
    }
    Ok(())
}

pub(in super::super) fn echo(call: &mut Call<'_>) -> Done {
    let text = call.args.at(1);
    call.reply().bulk(text);
    Ok(())
}

pub(in super::super) fn quit(call: &mut Call<'_>) -> Done {
    call.session.ending = true;
    call.ok()
}

pub(in super::super) fn reset(call: &mut Call<'_>) -> Done {
    let id = call.session.id;
    call.session.discard(call.state);
    super::pubsub::leave_all(call);
    let user = call.state.acl.default_user();
    let outbox = call.session.outbox.clone();
    *call.session = Session::new(id, outbox, user);
    call.session.set_version(Version::Resp2);
    call.reply().simple("RESET");
    Ok(())
}

pub(in super::super) fn select(call: &mut Call<'_>) -> Done {
    let index = decimal(call.args.at(1)).ok_or(NOT_INTEGER)?;
    let index = usize::try_from(index).ok().filter(|index| *index < DATABASES).ok_or("ERR DB index is out of range")?;
    call.session.db = index;
    call.ok()
}

fn client_name(text: &[u8]) -> Result<String, &'static str> {
    let good = text.iter().all(|byte| (b'!'..=b'~').contains(byte));
    let text = std::str::from_utf8(text).ok().filter(|_| good);
    text.map(str::to_owned).ok_or("ERR Client names cannot contain spaces, newlines or special characters.")
}

/// The CLIENT subcommands.
pub(in super::super) fn client(call: &mut Call<'_>) -> Done {
    match call.args.at(1).to_ascii_lowercase().as_slice() {
        b"id" => {
            let id = i64::try_from(call.session.id).unwrap_or(i64::MAX);
            call.reply().integer(id);
            Ok(())
        }
        b"getname" => {
            let name = call.session.name.clone();
            if name.is_empty() {
                call.reply().null()
            } else {
                call.reply().bulk(name.as_bytes())
            }
            Ok(())
        }
        b"setname" => {
            call.session.name = client_name(call.args.at(2))?;
            call.ok()
        }
        b"info" => {
            call.sync_peer();
            let line = call.state.peers.get(&call.session.id).map(|peer| describe(call.session.id, peer, call.now));
            call.reply().verbatim(&line.unwrap_or_default());
            Ok(())
        }
        b"list" => {
            call.sync_peer();
            let lines: String = call.state.peers.iter().map(|(id, peer)| describe(*id, peer, call.now)).collect();
            call.reply().verbatim(&lines);
            Ok(())
        }
        b"reply" => reply_mode(call),
        // NO-EVICT: nothing is evicted here.
        _ if call.args.is(2, "on") || call.args.is(2, "off") => call.ok(),
        _ => Err(SYNTAX.into()),
    }
}

fn reply_mode(call: &mut Call<'_>) -> Done {
    match call.args.at(2).to_ascii_lowercase().as_slice() {
        b"on" => {
            call.session.reply_mode = ReplyMode::On;
            return call.ok();
        }
        b"off" => call.session.reply_mode = ReplyMode::Off,
        b"skip" if call.session.reply_mode != ReplyMode::Off => call.session.reply_mode = ReplyMode::SkipNext,
        b"skip" => {}
        _ => return Err(SYNTAX.into()),
    }
    Ok(())
}

/// A line of CLIENT LIST, of the fields that people look for.
fn describe(id: u64, peer: &Peer, now: i64) -> String {
    let age = now.saturating_sub(peer.since.millis()) / 1000;
    let user = peer.user.as_deref().unwrap_or("(none)");
    format!("id={id} addr=embedded name={} age={age} db={} user={user}\n", peer.name, peer.db)
}
