//! Hash commands.

use entrant_proto::resp::{ReplyWriter, decimal};

use super::super::call::{Argv, Done, NOT_INTEGER};
use super::super::db::Db;
use super::super::value::Fields;
use super::keys::scan_options;

/// HSET and HMSET.
pub(in super::super) fn hset(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let name = String::from_utf8_lossy(args.at(0)).to_ascii_lowercase();
    if args.len() % 2 == 1 {
        return Err(format!("ERR wrong number of arguments for '{name}' command").into());
    }
    let new = db.write(args.at(1), |fields: &mut Fields| {
        let pairs = (2..args.len()).step_by(2);
        (true, pairs.filter(|at| fields.insert(args.at(*at), args.at(at + 1).to_vec())).count())
    })?;
    if name == "hset" {
        out.integer(new as i64)
    } else {
        out.simple("OK")
    }
    Ok(())
}

pub(in super::super) fn hsetnx(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let new = db.write(args.at(1), |fields: &mut Fields| {
        let new = fields.get(args.at(2)).is_none();
        if new {
            fields.insert(args.at(2), args.at(3).to_vec());
        }
        (new, new)
    })?;
    out.integer(i64::from(new));
    Ok(())
}

pub(in super::super) fn hget(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    match db.read::<Fields>(args.at(1))?.and_then(|fields| fields.get(args.at(2))) {
        Some(value) => out.bulk(value),
        None => out.null(),
    }
    Ok(())
}

pub(in super::super) fn hmget(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let fields = db.read::<Fields>(args.at(1))?;
    out.array(args.len() - 2);
    for name in args.from(2) {
        match fields.and_then(|fields| fields.get(name)) {
            Some(value) => out.bulk(value),
            None => out.null(),
        }
    }
    Ok(())
}

pub(in super::super) fn hgetall(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let fields = db.read::<Fields>(args.at(1))?;
    out.map(fields.map_or(0, Fields::len));
    for (name, value) in fields.into_iter().flat_map(Fields::iter) {
        out.bulk(name);
        out.bulk(value);
    }
    Ok(())
}

/// HKEYS and HVALS.
pub(in super::super) fn hkeys(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let names = args.is(0, "HKEYS");
    let fields = db.read::<Fields>(args.at(1))?;
    out.array(fields.map_or(0, Fields::len));
    for (name, value) in fields.into_iter().flat_map(Fields::iter) {
        out.bulk(if names { name } else { value });
    }
    Ok(())
}

pub(in super::super) fn hdel(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let removed = db.edit(args.at(1), |fields: &mut Fields| {
        let removed = args.from(2).filter(|name| fields.remove(name)).count();
        (removed > 0, removed)
    })?;
    out.integer(removed.unwrap_or(0) as i64);
    Ok(())
}

pub(in super::super) fn hexists(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let found = db.read::<Fields>(args.at(1))?.is_some_and(|fields| fields.get(args.at(2)).is_some());
    out.integer(i64::from(found));
    Ok(())
}

pub(in super::super) fn hlen(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    out.integer(db.read::<Fields>(args.at(1))?.map_or(0, Fields::len) as i64);
    Ok(())
}

pub(in super::super) fn hincrby(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let by = args.integer(3)?;
    let old = match db.read::<Fields>(args.at(1))?.and_then(|fields| fields.get(args.at(2))) {
        Some(text) => {
            decimal(text).ok_or(if text.is_empty() { NOT_INTEGER } else { "ERR hash value is not an integer" })?
        }
        None => 0,
    };
    let new = old.checked_add(by).ok_or("ERR increment or decrement would overflow")?;
    db.write(args.at(1), |fields: &mut Fields| {
        fields.insert(args.at(2), new.to_string().into_bytes());
        (true, ())
    })?;
    out.integer(new);
    Ok(())
}

pub(in super::super) fn hscan(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let options = scan_options(args, 2)?;
    let fields = db.read::<Fields>(args.at(1))?.filter(|_| args.at(2) == b"0");
    let found: Vec<_> = fields.into_iter().flat_map(Fields::iter).filter(|(name, _)| options.takes(name)).collect();
    out.array(2);
    out.bulk(b"0");
    out.array(found.len() * 2);
    for (name, value) in found {
        out.bulk(name);
        out.bulk(value);
    }
    Ok(())
}
