//! String commands.

use entrant_proto::resp::{ReplyWriter, decimal};

use super::super::call::{Argv, Done, Failure, NOT_FLOAT, NOT_INTEGER, SYNTAX, float, float_text, range};
use super::super::db::Db;
use super::super::value::{Text, Value};
use super::keys::{Unit, deadline};

/// Longest string that APPEND makes: `proto-max-bulk-len`.
const MAX_STRING: usize = 512 << 20;

pub(in super::super) fn get(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    match db.read::<Text>(args.at(1))? {
        Some(text) => out.bulk(&text.0),
        None => out.null(),
    }
    Ok(())
}

#[derive(Default)]
struct SetOptions {
    only_new: bool,
    only_existing: bool,
    get: bool,
    keep: bool,
    expires: Option<i64>,
}

fn set_options(db: &Db, args: Argv<'_>) -> Result<SetOptions, Failure> {
    let mut options = SetOptions::default();
    let mut at = 3;
    while at < args.len() {
        let unit = Unit::of(args.at(at));
        if args.is(at, "NX") && !options.only_existing {
            options.only_new = true;
        } else if args.is(at, "XX") && !options.only_new {
            options.only_existing = true;
        } else if args.is(at, "GET") {
            options.get = true;
        } else if args.is(at, "KEEPTTL") && options.expires.is_none() {
            options.keep = true;
        } else if let Some(unit) = unit
            && !options.keep
            && options.expires.is_none()
            && at + 1 < args.len()
        {
            at += 1;
            options.expires = Some(deadline(args.at(at), unit, db.now, "set", true)?);
        } else {
            return Err(SYNTAX.into());
        }
        at += 1;
    }
    Ok(options)
}

pub(in super::super) fn set(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let options = set_options(db, args)?;
    let key = args.at(1);
    let old = if options.get { db.read::<Text>(key)?.map(|text| text.0.clone()) } else { None };
    let exists = db.contains(key);
    let set = !(options.only_new && exists || options.only_existing && !exists);
    if set {
        let expires = if options.keep { db.expires(key).flatten() } else { options.expires };
        put(db, key, args.at(2), expires);
    }
    match (options.get, old) {
        (true, Some(old)) => out.bulk(&old),
        (true, None) => out.null(),
        (false, _) if set => out.simple("OK"),
        (false, _) => out.null(),
    }
    Ok(())
}

/// Puts a string; one whose time is over already is not there at all.
fn put(db: &mut Db, key: &[u8], text: &[u8], expires: Option<i64>) {
    db.put(key, Value::String(Text(text.to_vec())), expires);
    if expires.is_some_and(|end| end <= db.now) {
        db.remove(key);
    }
}

pub(in super::super) fn setnx(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let new = !db.contains(args.at(1));
    if new {
        put(db, args.at(1), args.at(2), None);
    }
    out.integer(i64::from(new));
    Ok(())
}

pub(in super::super) fn setex(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let (unit, name) = if args.is(0, "PSETEX") { (Unit::Millis, "psetex") } else { (Unit::Seconds, "setex") };
    let expires = deadline(args.at(2), unit, db.now, name, true)?;
    put(db, args.at(1), args.at(3), Some(expires));
    out.simple("OK");
    Ok(())
}

pub(in super::super) fn getset(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    get(db, args, out)?;
    put(db, args.at(1), args.at(2), None);
    Ok(())
}

pub(in super::super) fn getdel(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    get(db, args, out)?;
    db.remove(args.at(1));
    Ok(())
}

pub(in super::super) fn getex(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let key = args.at(1);
    let change = match args.len() {
        2 => None,
        3 if args.is(2, "PERSIST") => Some(None),
        4 => match Unit::of(args.at(2)) {
            Some(unit) => Some(Some(deadline(args.at(3), unit, db.now, "getex", true)?)),
            None => return Err(SYNTAX.into()),
        },
        _ => return Err(SYNTAX.into()),
    };
    get(db, args, out)?;
    if let Some(expires) = change
        && (expires.is_some() || db.expires(key).flatten().is_some())
    {
        db.set_expires(key, expires);
    }
    Ok(())
}

pub(in super::super) fn mget(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    out.array(args.len() - 1);
    for key in args.from(1) {
        match db.get(key) {
            Some(Value::String(text)) => out.bulk(&text.0),
            _ => out.null(),
        }
    }
    Ok(())
}

pub(in super::super) fn mset(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    if args.len().is_multiple_of(2) {
        return Err("ERR wrong number of arguments for 'mset' command".into());
    }
    for at in (1..args.len()).step_by(2) {
        put(db, args.at(at), args.at(at + 1), None);
    }
    out.simple("OK");
    Ok(())
}

pub(in super::super) fn incr(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let by = match args.at(0).to_ascii_uppercase().as_slice() {
        b"INCR" => 1,
        b"DECR" => -1,
        b"INCRBY" => args.integer(2)?,
        _ => args.integer(2)?.checked_neg().ok_or("ERR decrement would overflow")?,
    };
    let old = match db.read::<Text>(args.at(1))? {
        Some(text) => decimal(&text.0).ok_or(NOT_INTEGER)?,
        None => 0,
    };
    let new = old.checked_add(by).ok_or("ERR increment or decrement would overflow")?;
    db.write(args.at(1), |text: &mut Text| {
        text.0 = new.to_string().into_bytes();
        (true, ())
    })?;
    out.integer(new);
    Ok(())
}

pub(in super::super) fn incrbyfloat(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let old = match db.read::<Text>(args.at(1))? {
        Some(text) => float(&text.0).ok_or(NOT_FLOAT)?,
        None => 0.0,
    };
    let new = old + args.float(2)?;
    if !new.is_finite() {
        return Err("ERR increment would produce NaN or Infinity".into());
    }
    // Unlike scores, these are written without an exponent.
    let text = format!("{new}");
    out.bulk(text.as_bytes());
    db.write(args.at(1), |own: &mut Text| {
        own.0 = text.into_bytes();
        (true, ())
    })
}

pub(in super::super) fn append(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let have = db.read::<Text>(args.at(1))?.map_or(0, |text| text.0.len());
    if have + args.at(2).len() > MAX_STRING {
        return Err("ERR string exceeds maximum allowed size (proto-max-bulk-len)".into());
    }
    let len = db.write(args.at(1), |text: &mut Text| {
        text.0.extend_from_slice(args.at(2));
        (true, text.0.len())
    })?;
    out.integer(len as i64);
    Ok(())
}

pub(in super::super) fn strlen(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    out.integer(db.read::<Text>(args.at(1))?.map_or(0, |text| text.0.len()) as i64);
    Ok(())
}

pub(in super::super) fn getrange(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let (start, stop) = (args.integer(2)?, args.integer(3)?);
    match db.read::<Text>(args.at(1))? {
        Some(text) if !(start < 0 && stop < 0 && start > stop) => {
            // Unlike for lists, an end before the beginning is the beginning.
            let len = i64::try_from(text.0.len()).unwrap_or(i64::MAX);
            let stop = if stop < 0 { (stop + len).max(0) } else { stop };
            let (start, end) = range(start.max(-len), stop, text.0.len());
            out.bulk(text.0.get(start..end).unwrap_or_default());
        }
        _ => out.bulk(b""),
    }
    Ok(())
}

/// A score as a reply.
pub(in super::super) fn write_float(out: &mut ReplyWriter<'_>, number: f64) {
    out.double(&float_text(number));
}
