//! Commands on keys of any kind, and their expiry.

use entrant_proto::resp::{ReplyWriter, decimal};

use super::super::call::{Argv, Done, Failure, NO_SUCH_KEY, NOT_INTEGER, SYNTAX};
use super::super::db::Db;
use super::super::glob;

/// How a moment is given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Unit {
    Seconds,
    Millis,
    UnixSeconds,
    UnixMillis,
}

impl Unit {
    /// By the option of SET and GETEX.
    pub(in super::super) fn of(word: &[u8]) -> Option<Self> {
        match word.to_ascii_uppercase().as_slice() {
            b"EX" => Some(Self::Seconds),
            b"PX" => Some(Self::Millis),
            b"EXAT" => Some(Self::UnixSeconds),
            b"PXAT" => Some(Self::UnixMillis),
            _ => None,
        }
    }
}

/// Reads an expiry as Unix milliseconds. `positive`: zero and less are refused.
pub(in super::super) fn deadline(
    text: &[u8],
    unit: Unit,
    now: i64,
    command: &str,
    positive: bool,
) -> Result<i64, Failure> {
    let invalid = || Failure::from(format!("ERR invalid expire time in '{command}' command"));
    let number = decimal(text).ok_or(NOT_INTEGER)?;
    if positive && number <= 0 {
        return Err(invalid());
    }
    let millis = match unit {
        Unit::Seconds | Unit::UnixSeconds => number.checked_mul(1000).ok_or_else(invalid)?,
        Unit::Millis | Unit::UnixMillis => number,
    };
    match unit {
        Unit::Seconds | Unit::Millis => millis.checked_add(now).ok_or_else(invalid),
        Unit::UnixSeconds | Unit::UnixMillis => Ok(millis),
    }
}

pub(in super::super) fn del(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let removed = args.from(1).filter(|key| db.remove(key)).count();
    out.integer(removed as i64);
    Ok(())
}

/// EXISTS and TOUCH.
pub(in super::super) fn exists(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let found = args.from(1).filter(|key| db.contains(key)).count();
    out.integer(found as i64);
    Ok(())
}

pub(in super::super) fn type_of(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    out.simple(db.get(args.at(1)).map_or("none", |value| value.type_name()));
    Ok(())
}

pub(in super::super) fn rename(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    if !db.rename(args.at(1), args.at(2)) {
        return Err(NO_SUCH_KEY.into());
    }
    out.simple("OK");
    Ok(())
}

pub(in super::super) fn renamenx(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    if !db.contains(args.at(1)) {
        return Err(NO_SUCH_KEY.into());
    }
    let free = !db.contains(args.at(2));
    if free {
        db.rename(args.at(1), args.at(2));
    }
    out.integer(i64::from(free));
    Ok(())
}

pub(in super::super) fn keys(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let names: Vec<_> = db.names().into_iter().filter(|name| glob::matches(args.at(1), name)).collect();
    out.array(names.len());
    for name in names {
        out.bulk(&name);
    }
    Ok(())
}

/// What SCAN, HSCAN and SSCAN can be asked.
pub(in super::super) struct ScanOptions<'a> {
    pub(in super::super) pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
}

/// Reads the options behind the cursor at `at`. Every scan here ends at once, so that what stands in the store
/// throughout is always found; COUNT is a hint that is not taken.
pub(in super::super) fn scan_options<'a>(args: Argv<'a>, cursor: usize) -> Result<ScanOptions<'a>, Failure> {
    if std::str::from_utf8(args.at(cursor)).ok().and_then(|text| text.parse::<u64>().ok()).is_none() {
        return Err("ERR invalid cursor".into());
    }
    let mut options = ScanOptions { pattern: None, kind: None };
    let mut at = cursor + 1;
    while at < args.len() {
        if at + 1 >= args.len() {
            return Err(SYNTAX.into());
        }
        if args.is(at, "MATCH") {
            options.pattern = Some(args.at(at + 1));
        } else if args.is(at, "COUNT") {
            if args.integer(at + 1)? < 1 {
                return Err(SYNTAX.into());
            }
        } else if args.is(at, "TYPE") && cursor == 1 {
            options.kind = Some(args.at(at + 1));
        } else {
            return Err(SYNTAX.into());
        }
        at += 2;
    }
    Ok(options)
}

impl ScanOptions<'_> {
    pub(in super::super) fn takes(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name))
    }
}

pub(in super::super) fn scan(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let options = scan_options(args, 1)?;
    let mut names = if args.at(1) == b"0" { db.names() } else { Vec::new() };
    names.retain(|name| {
        options.takes(name)
            && options.kind.is_none_or(|kind| {
                db.get(name).is_some_and(|value| value.type_name().as_bytes().eq_ignore_ascii_case(kind))
            })
    });
    out.array(2);
    out.bulk(b"0");
    out.array(names.len());
    for name in names {
        out.bulk(&name);
    }
    Ok(())
}

pub(in super::super) fn randomkey(db: &mut Db, _: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    match db.any_name() {
        Some(name) => out.bulk(&name),
        None => out.null(),
    }
    Ok(())
}

/// EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT.
pub(in super::super) fn expire(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let name = String::from_utf8_lossy(args.at(0)).to_ascii_lowercase();
    let unit = match name.as_str() {
        "expire" => Unit::Seconds,
        "pexpire" => Unit::Millis,
        "expireat" => Unit::UnixSeconds,
        _ => Unit::UnixMillis,
    };
    let mut flags = [false; 4];
    for word in args.from(3) {
        match word.to_ascii_uppercase().as_slice() {
            b"NX" => flags[0] = true,
            b"XX" => flags[1] = true,
            b"GT" => flags[2] = true,
            b"LT" => flags[3] = true,
            _ => return Err(format!("ERR Unsupported option {}", String::from_utf8_lossy(word)).into()),
        }
    }
    let [new, existing, greater, less] = flags;
    if new && (existing || greater || less) {
        return Err("ERR NX and XX, GT or LT options at the same time are not compatible".into());
    }
    if greater && less {
        return Err("ERR GT and LT options at the same time are not compatible".into());
    }
    let expires = deadline(args.at(2), unit, db.now, &name, false)?;
    let set = match db.expires(args.at(1)) {
        None => false,
        Some(old) => {
            !(new && old.is_some()
                || existing && old.is_none()
                || greater && old.is_none_or(|old| expires <= old)
                || less && old.is_some_and(|old| expires >= old))
        }
    };
    if set {
        db.set_expires(args.at(1), Some(expires));
    }
    out.integer(i64::from(set));
    Ok(())
}

/// TTL and PTTL: -2 without key, -1 without expiry.
pub(in super::super) fn ttl(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let seconds = args.is(0, "TTL");
    out.integer(match db.expires(args.at(1)) {
        None => -2,
        Some(None) => -1,
        Some(Some(end)) => {
            let left = end.saturating_sub(db.now).max(0);
            if seconds { left.saturating_add(500) / 1000 } else { left }
        }
    });
    Ok(())
}

pub(in super::super) fn persist(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let had = db.expires(args.at(1)).flatten().is_some();
    if had {
        db.set_expires(args.at(1), None);
    }
    out.integer(i64::from(had));
    Ok(())
}

pub(in super::super) fn dbsize(db: &mut Db, _: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    out.integer(db.len() as i64);
    Ok(())
}

/// FLUSHDB; ASYNC and SYNC are the same here.
pub(in super::super) fn flushdb(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    check_flush(args)?;
    db.clear();
    out.simple("OK");
    Ok(())
}

pub(in super::super) fn check_flush(args: Argv<'_>) -> Done {
    if args.len() > 2 || args.len() == 2 && !args.is(1, "SYNC") && !args.is(1, "ASYNC") {
        return Err(SYNTAX.into());
    }
    Ok(())
}
