//! Set commands.

use entrant_proto::resp::ReplyWriter;

use super::super::call::{Argv, Done, Failure};
use super::super::db::Db;
use super::super::value::Members;
use super::keys::scan_options;

pub(in super::super) fn sadd(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let added = db.write(args.at(1), |members: &mut Members| {
        let added = args.from(2).filter(|member| members.insert(member)).count();
        (added > 0, added)
    })?;
    out.integer(added as i64);
    Ok(())
}

pub(in super::super) fn srem(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let removed = db.edit(args.at(1), |members: &mut Members| {
        let removed = args.from(2).filter(|member| members.remove(member)).count();
        (removed > 0, removed)
    })?;
    out.integer(removed.unwrap_or(0) as i64);
    Ok(())
}

pub(in super::super) fn sismember(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let members = db.read::<Members>(args.at(1))?;
    out.integer(i64::from(members.is_some_and(|members| members.contains(args.at(2)))));
    Ok(())
}

pub(in super::super) fn smismember(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let members = db.read::<Members>(args.at(1))?;
    out.array(args.len() - 2);
    for member in args.from(2) {
        out.integer(i64::from(members.is_some_and(|members| members.contains(member))));
    }
    Ok(())
}

pub(in super::super) fn scard(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    out.integer(db.read::<Members>(args.at(1))?.map_or(0, Members::len) as i64);
    Ok(())
}

/// SPOP. Takes the first members: any is as good as another.
pub(in super::super) fn spop(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    if args.len() > 3 {
        return Err(super::super::call::SYNTAX.into());
    }
    let count = match args.len() {
        2 => 1,
        _ => args
            .integer(2)
            .ok()
            .and_then(|count| usize::try_from(count).ok())
            .ok_or("ERR value is out of range, must be positive")?,
    };
    let popped = db.edit(args.at(1), |members: &mut Members| {
        let popped: Vec<_> = members.iter().take(count).cloned().collect();
        for member in &popped {
            members.remove(member);
        }
        (!popped.is_empty(), popped)
    })?;
    let popped = popped.unwrap_or_default();
    if args.len() == 2 {
        match popped.first() {
            Some(member) => out.bulk(member),
            None => out.null(),
        }
        return Ok(());
    }
    write_set(out, &popped);
    Ok(())
}

fn write_set(out: &mut ReplyWriter<'_>, members: &[Vec<u8>]) {
    out.set(members.len());
    for member in members {
        out.bulk(member);
    }
}

fn members(db: &mut Db, key: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    Ok(db.read::<Members>(key)?.map(|members| members.iter().cloned().collect()).unwrap_or_default())
}

/// SMEMBERS and SUNION.
pub(in super::super) fn sunion(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let mut all = Vec::new();
    for key in args.from(1) {
        all.extend(members(db, key)?);
    }
    all.sort_unstable();
    all.dedup();
    write_set(out, &all);
    Ok(())
}

/// SINTER and SDIFF.
pub(in super::super) fn sinter(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let both = args.is(0, "SINTER");
    let mut found = members(db, args.at(1))?;
    for key in args.from(2) {
        let other = db.read::<Members>(key)?;
        found.retain(|member| other.is_some_and(|other| other.contains(member)) == both);
    }
    write_set(out, &found);
    Ok(())
}

pub(in super::super) fn sscan(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let options = scan_options(args, 2)?;
    let mut found = members(db, args.at(1))?;
    found.retain(|member| args.at(2) == b"0" && options.takes(member));
    out.array(2);
    out.bulk(b"0");
    out.array(found.len());
    for member in found {
        out.bulk(&member);
    }
    Ok(())
}
