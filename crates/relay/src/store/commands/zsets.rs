//! Sorted-set commands.

use entrant_proto::resp::{ReplyWriter, Version};

use super::super::call::{Argv, Done, Failure, SYNTAX, float, range};
use super::super::db::Db;
use super::super::value::Scored;
use super::strings::write_float;

#[derive(Clone, Copy, Default)]
struct AddFlags {
    new: bool,
    existing: bool,
    greater: bool,
    less: bool,
    changed: bool,
    increment: bool,
}

impl AddFlags {
    /// Reads the flags; where the scores begin.
    fn read(args: Argv<'_>) -> Result<(Self, usize), Failure> {
        let mut flags = Self::default();
        let mut at = 2;
        loop {
            match args.at(at).to_ascii_uppercase().as_slice() {
                b"NX" => flags.new = true,
                b"XX" => flags.existing = true,
                b"GT" => flags.greater = true,
                b"LT" => flags.less = true,
                b"CH" => flags.changed = true,
                b"INCR" => flags.increment = true,
                _ => break,
            }
            at += 1;
        }
        let pairs = args.len().saturating_sub(at);
        if pairs == 0 || pairs % 2 == 1 {
            return Err(SYNTAX.into());
        }
        if flags.new && flags.existing {
            return Err("ERR XX and NX options at the same time are not compatible".into());
        }
        if flags.greater && flags.less || (flags.greater || flags.less) && flags.new {
            return Err("ERR GT, LT, and/or NX options at the same time are not compatible".into());
        }
        if flags.increment && pairs > 2 {
            return Err("ERR INCR option supports a single increment-element pair".into());
        }
        Ok((flags, at))
    }

    fn allows(self, old: Option<f64>, new: f64) -> bool {
        match old {
            None => !self.existing,
            Some(old) => !(self.new || self.greater && new <= old || self.less && new >= old),
        }
    }
}

pub(in super::super) fn zadd(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let (flags, first) = AddFlags::read(args)?;
    let mut pairs = Vec::new();
    for at in (first..args.len()).step_by(2) {
        pairs.push((args.float(at)?, args.at(at + 1)));
    }
    add(db, args.at(1), &pairs, flags, out)
}

fn add(db: &mut Db, key: &[u8], pairs: &[(f64, &[u8])], flags: AddFlags, out: &mut ReplyWriter<'_>) -> Done {
    let (mut added, mut changed, mut last) = (0, 0, None);
    db.write(key, |scored: &mut Scored| {
        for (score, member) in pairs {
            let old = scored.score(member);
            let new = if flags.increment { old.unwrap_or(0.0) + score } else { *score };
            if new.is_nan() {
                last = Some(new);
                break;
            }
            if flags.allows(old, new) {
                added += i64::from(old.is_none());
                if old != Some(new) {
                    changed += 1;
                    scored.insert(member, new);
                }
                last = Some(new);
            }
        }
        (changed > 0, ())
    })?;
    if !flags.increment {
        out.integer(if flags.changed { changed } else { added });
        return Ok(());
    }
    match last {
        Some(score) if score.is_nan() => Err("ERR resulting score is not a number (NaN)".into()),
        Some(score) => {
            write_float(out, score);
            Ok(())
        }
        None => {
            out.null();
            Ok(())
        }
    }
}

pub(in super::super) fn zincrby(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let flags = AddFlags { increment: true, ..AddFlags::default() };
    add(db, args.at(1), &[(args.float(2)?, args.at(3))], flags, out)
}

pub(in super::super) fn zrem(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let removed = db.edit(args.at(1), |scored: &mut Scored| {
        let removed = args.from(2).filter(|member| scored.remove(member)).count();
        (removed > 0, removed)
    })?;
    out.integer(removed.unwrap_or(0) as i64);
    Ok(())
}

pub(in super::super) fn zscore(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    match db.read::<Scored>(args.at(1))?.and_then(|scored| scored.score(args.at(2))) {
        Some(score) => write_float(out, score),
        None => out.null(),
    }
    Ok(())
}

pub(in super::super) fn zcard(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    out.integer(db.read::<Scored>(args.at(1))?.map_or(0, Scored::len) as i64);
    Ok(())
}

pub(in super::super) fn zrank(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let scored = db.read::<Scored>(args.at(1))?;
    match scored.and_then(|scored| scored.iter().position(|(member, _)| member == args.at(2))) {
        Some(rank) => out.integer(rank as i64),
        None => out.null(),
    }
    Ok(())
}

/// `min max` of scores, `(` for exclusive.
struct Scores {
    min: (f64, bool),
    max: (f64, bool),
}

impl Scores {
    fn read(min: &[u8], max: &[u8]) -> Result<Self, Failure> {
        let bound = |text: &[u8]| {
            let (text, open) = text.strip_prefix(b"(").map_or((text, false), |rest| (rest, true));
            float(text).map(|score| (score, open)).ok_or(Failure::from("ERR min or max is not a float"))
        };
        Ok(Self { min: bound(min)?, max: bound(max)? })
    }

    fn hold(&self, score: f64) -> bool {
        let above = if self.min.1 { score > self.min.0 } else { score >= self.min.0 };
        let below = if self.max.1 { score < self.max.0 } else { score <= self.max.0 };
        above && below
    }
}

pub(in super::super) fn zcount(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let scores = Scores::read(args.at(2), args.at(3))?;
    let scored = db.read::<Scored>(args.at(1))?;
    let count = scored.into_iter().flat_map(Scored::iter).filter(|(_, score)| scores.hold(*score)).count();
    out.integer(count as i64);
    Ok(())
}

pub(in super::super) fn zremrangebyscore(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let scores = Scores::read(args.at(2), args.at(3))?;
    let removed = db.edit(args.at(1), |scored: &mut Scored| {
        let gone: Vec<_> =
            scored.iter().filter(|(_, score)| scores.hold(*score)).map(|(member, _)| member.clone()).collect();
        for member in &gone {
            scored.remove(member);
        }
        (!gone.is_empty(), gone.len())
    })?;
    out.integer(removed.unwrap_or(0) as i64);
    Ok(())
}

/// ZRANGE by index or score, and ZRANGEBYSCORE; by name (BYLEX) is left out.
pub(in super::super) fn zrange(db: &mut Db, args: Argv<'_>, out: &mut ReplyWriter<'_>) -> Done {
    let by_score_command = args.is(0, "ZRANGEBYSCORE");
    let (mut by_score, mut reverse, mut with_scores, mut limit) = (by_score_command, false, false, None);
    let mut at = 4;
    while at < args.len() {
        match args.at(at).to_ascii_uppercase().as_slice() {
            b"BYSCORE" if !by_score_command => by_score = true,
            b"REV" if !by_score_command => reverse = true,
            b"WITHSCORES" => with_scores = true,
            b"LIMIT" if at + 2 < args.len() => {
                limit = Some((args.integer(at + 1)?, args.integer(at + 2)?));
                at += 2;
            }
            _ => return Err(SYNTAX.into()),
        }
        at += 1;
    }
    if limit.is_some() && !by_score {
        return Err("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX".into());
    }
    let (first, second) = if by_score && reverse { (args.at(3), args.at(2)) } else { (args.at(2), args.at(3)) };
    let found: Vec<(Vec<u8>, f64)> = if by_score {
        let scores = Scores::read(first, second)?;
        let scored = db.read::<Scored>(args.at(1))?;
        let held = scored.into_iter().flat_map(Scored::iter).filter(|(_, score)| scores.hold(*score));
        let mut held: Vec<_> = held.map(|(member, score)| (member.clone(), score)).collect();
        if reverse {
            held.reverse();
        }
        let (offset, count) = limit.unwrap_or((0, -1));
        match usize::try_from(offset) {
            Ok(offset) => held.into_iter().skip(offset).take(usize::try_from(count).unwrap_or(usize::MAX)).collect(),
            Err(_) => Vec::new(),
        }
    } else {
        let (start, stop) = (args.integer(2)?, args.integer(3)?);
        let scored = db.read::<Scored>(args.at(1))?;
        let (start, end) = range(start, stop, scored.map_or(0, Scored::len));
        let all = scored.into_iter().flat_map(Scored::iter).map(|(member, score)| (member.clone(), score));
        let mut all: Vec<_> = all.collect();
        if reverse {
            all.reverse();
        }
        all.into_iter().skip(start).take(end - start).collect()
    };
    write_range(out, &found, with_scores);
    Ok(())
}

/// RESP3 gives pairs, RESP2 one flat array.
fn write_range(out: &mut ReplyWriter<'_>, found: &[(Vec<u8>, f64)], with_scores: bool) {
    let nested = with_scores && out.version() == Version::Resp3;
    out.array(if with_scores && !nested { found.len() * 2 } else { found.len() });
    for (member, score) in found {
        if nested {
            out.array(2);
        }
        out.bulk(member);
        if with_scores {
            write_float(out, *score);
        }
    }
}
