//! List commands. BLPOP and BRPOP wait in [`blocking`](super::super::blocking).

use entrant_proto::resp::ReplyWriter;

use super::super::call::{Argv, Done, Failure, NO_SUCH_KEY, SYNTAX, range};
use super::super::db::Db;
use super::super::value::Items;

/// LPUSH and RPUSH.
pub(in super::super) fn push(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let left = args.is(0, "LPUSH");
    let len = db.write(args.at(1), |items: &mut Items| {
        for item in args.from(2) {
            items.push(left, item.to_vec());
        }
        (true, items.len())
    })?;
    out.integer(len as i64);
    Ok(())
}

/// LPOP and RPOP.
pub(in super::super) fn pop(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let left = args.is(0, "LPOP");
    if args.len() > 3 {
        let name = String::from_utf8_lossy(args.at(0)).to_ascii_lowercase();
        return Err(format!("ERR wrong number of arguments for '{name}' command").into());
    }
    if args.len() < 3 {
        match db.edit(args.at(1), |items: &mut Items| (true, items.pop(left)))?.flatten() {
            Some(item) => out.bulk(&item),
            None => out.null(),
        }
        return Ok(());
    }
    let count = args
        .integer(2)
        .ok()
        .and_then(|count| usize::try_from(count).ok())
        .ok_or("ERR value is out of range, must be positive")?;
    let popped = db.edit(args.at(1), |items: &mut Items| {
        let popped: Vec<_> = (0..count.min(items.len())).filter_map(|_| items.pop(left)).collect();
        (!popped.is_empty(), popped)
    })?;
    match popped {
        None => out.null_array(),
        Some(popped) => {
            out.array(popped.len());
            for item in popped {
                out.bulk(&item);
            }
        }
    }
    Ok(())
}

pub(in super::super) fn llen(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    out.integer(db.read::<Items>(args.at(1))?.map_or(0, Items::len) as i64);
    Ok(())
}

pub(in super::super) fn lrange(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let (start, stop) = (args.integer(2)?, args.integer(3)?);
    let items = db.read::<Items>(args.at(1))?;
    let (start, end) = range(start, stop, items.map_or(0, Items::len));
    out.array(end - start);
    for item in items.into_iter().flat_map(|items| items.iter().skip(start).take(end - start)) {
        out.bulk(item);
    }
    Ok(())
}

/// Where an index points; `None` outside.
fn index(at: i64, len: usize) -> Option<usize> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let at = if at < 0 { at.checked_add(len)? } else { at };
    usize::try_from(at).ok()
}

pub(in super::super) fn lindex(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let at = args.integer(2)?;
    match db.read::<Items>(args.at(1))?.and_then(|items| items.get(index(at, items.len())?)) {
        Some(item) => out.bulk(item),
        None => out.null(),
    }
    Ok(())
}

pub(in super::super) fn lset(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    if db.read::<Items>(args.at(1))?.is_none() {
        return Err(NO_SUCH_KEY.into());
    }
    let at = args.integer(2)?;
    let set = db.edit(args.at(1), |items: &mut Items| {
        let set = index(at, items.len()).is_some_and(|at| items.set(at, args.at(3).to_vec()));
        (set, set)
    })?;
    if set != Some(true) {
        return Err("ERR index out of range".into());
    }
    out.simple("OK");
    Ok(())
}

pub(in super::super) fn lrem(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let count = args.integer(2)?;
    let limit = if count == 0 { usize::MAX } else { usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX) };
    let removed = db.edit(args.at(1), |items: &mut Items| {
        let removed = items.remove(args.at(3), limit, count >= 0);
        (removed > 0, removed)
    })?;
    out.integer(removed.unwrap_or(0) as i64);
    Ok(())
}

pub(in super::super) fn ltrim(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let (start, stop) = (args.integer(2)?, args.integer(3)?);
    db.edit(args.at(1), |items: &mut Items| {
        let (start, end) = range(start, stop, items.len());
        items.keep(start, end);
        (true, ())
    })?;
    out.simple("OK");
    Ok(())
}

/// LMOVE and RPOPLPUSH.
pub(in super::super) fn lmove(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let end = |at: usize| -> Result<bool, Failure> {
        match () {
            () if args.is(at, "LEFT") => Ok(true),
            () if args.is(at, "RIGHT") => Ok(false),
            () => Err(SYNTAX.into()),
        }
    };
    let (from, to) = if args.is(0, "LMOVE") { (end(3)?, end(4)?) } else { (false, true) };
    if db.read::<Items>(args.at(1))?.is_none() {
        out.null();
        return Ok(());
    }
    // The target's kind is checked before anything moves.
    db.read::<Items>(args.at(2))?;
    match db.edit(args.at(1), |items: &mut Items| (true, items.pop(from)))?.flatten() {
        Some(item) => {
            out.bulk(&item);
            db.write(args.at(2), |items: &mut Items| (true, items.push(to, item)))?;
        }
        None => out.null(),
    }
    Ok(())
}
