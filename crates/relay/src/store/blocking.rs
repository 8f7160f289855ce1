//! BLPOP and BRPOP: who waits for an element, and who gets the next one.

use entrant_proto::resp::ReplyWriter;
use entrant_types::Timestamp;
use tokio::sync::oneshot;

use super::call::{Argv, Call, Done, Failure, float};
use super::state::State;
use super::value::Items;

/// A key and its element.
pub(super) type Served = (Vec<u8>, Vec<u8>);

/// One who waits.
#[derive(Debug)]
pub(super) struct Blocked {
    db: usize,
    keys: Vec<Vec<u8>>,
    left: bool,
    served: oneshot::Sender<Served>,
}

/// The waiting connection's end.
#[derive(Debug)]
pub(super) struct Waiting {
    ticket: u64,
    pub(super) served: oneshot::Receiver<Served>,
    /// When it gives up.
    pub(super) until: Option<Timestamp>,
}

pub(super) fn bpop(call: &mut Call<'_>) -> Done {
    let left = call.args.is(0, "BLPOP");
    let last = call.args.len() - 1;
    let until = timeout(call.args, last, call.now)?;
    let index = call.session.db;
    for at in 1..last {
        let key = call.args.at(at);
        let Some(db) = call.state.db(index, call.now) else { continue };
        if db.read::<Items>(key)?.is_none() {
            continue;
        }
        if let Some(item) = db.edit(key, |items: &mut Items| (true, items.pop(left)))?.flatten() {
            write(&mut call.reply(), key, &item);
            return Ok(());
        }
    }
    if call.session.in_exec {
        call.reply().null_array();
        return Ok(());
    }
    let (served, receiver) = oneshot::channel();
    let keys = call.args.from(1).take(last - 1).map(<[u8]>::to_vec).collect();
    let ticket = call.state.blocked.last_key_value().map_or(0, |(ticket, _)| ticket + 1);
    call.state.blocked.insert(ticket, Blocked { db: index, keys, left, served });
    call.state.observe();
    call.session.waiting = Some(Waiting { ticket, served: receiver, until });
    Ok(())
}

fn timeout(args: Argv<'_>, at: usize, now: i64) -> Result<Option<Timestamp>, Failure> {
    let seconds = float(args.at(at)).ok_or("ERR timeout is not a float or out of range")?;
    if seconds < 0.0 {
        return Err("ERR timeout is negative".into());
    }
    let millis = (seconds * 1000.0).ceil();
    // 2^53: beyond it a float has no whole milliseconds.
    if millis > 9_007_199_254_740_992.0 {
        return Err("ERR timeout is out of range".into());
    }
    Ok((millis > 0.0).then(|| Timestamp::from_millis(now.saturating_add(millis as i64))))
}

/// The reply of one who was served.
pub(super) fn write(out: &mut ReplyWriter<'_>, key: &[u8], item: &[u8]) {
    out.array(2);
    out.bulk(key);
    out.bulk(item);
}

impl State {
    /// Gives elements of a list to those who wait for it, first come, first served.
    pub(super) fn serve_blocked(&mut self, index: usize, key: &[u8], now: i64) {
        loop {
            let first = self.blocked.iter().find(|(_, blocked)| {
                blocked.db == index && blocked.keys.iter().any(|own| own == key) && !blocked.served.is_closed()
            });
            let Some((ticket, left)) = first.map(|(ticket, blocked)| (*ticket, blocked.left)) else { return };
            let Some(db) = self.db(index, now) else { return };
            let Ok(Some(Some(item))) = db.edit(key, |items: &mut Items| (true, items.pop(left))) else { return };
            let Some(blocked) = self.blocked.remove(&ticket) else { return };
            if let Err((_, item)) = blocked.served.send((key.to_vec(), item))
                && let Some(db) = self.db(index, now)
            {
                // It left in this very moment: the element goes back to where it was.
                let _ = db.write(key, |items: &mut Items| (true, items.push(left, item)));
            }
            self.observe();
        }
    }

    /// Gives up waiting; an element that came in the last moment is returned.
    pub(super) fn give_up(&mut self, waiting: &mut Waiting) -> Option<Served> {
        self.blocked.remove(&waiting.ticket);
        self.observe();
        waiting.served.try_recv().ok()
    }
}
