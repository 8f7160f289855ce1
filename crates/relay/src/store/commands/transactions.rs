//! MULTI, EXEC, DISCARD, WATCH.

use std::borrow::Cow;

use super::super::call::{Argv, Call, Done};
use super::super::session::Transaction;

pub(in super::super) fn multi(call: &mut Call<'_>) -> Done {
    if call.session.transaction.is_some() {
        return Err("ERR MULTI calls can not be nested".into());
    }
    call.session.transaction = Some(Transaction::default());
    call.ok()
}

pub(in super::super) fn discard(call: &mut Call<'_>) -> Done {
    if call.session.transaction.is_none() {
        return Err("ERR DISCARD without MULTI".into());
    }
    call.session.discard(call.state);
    call.ok()
}

pub(in super::super) fn watch(call: &mut Call<'_>) -> Done {
    if call.session.transaction.is_some() {
        return Err("ERR WATCH inside MULTI is not allowed".into());
    }
    for key in call.args.from(1) {
        // A key whose time is over is gone before it is watched.
        if let Some(db) = call.state.db(call.session.db, call.now) {
            db.contains(key);
        }
        call.state.watch(call.session.id, call.session.db, key);
    }
    call.ok()
}

pub(in super::super) fn unwatch(call: &mut Call<'_>) -> Done {
    call.state.unwatch(call.session.id);
    call.ok()
}

pub(in super::super) fn exec(call: &mut Call<'_>) -> Done {
    let Some(transaction) = call.session.transaction.take() else { return Err("ERR EXEC without MULTI".into()) };
    let dirty = call.state.is_dirty(call.session.id, call.now);
    call.state.unwatch(call.session.id);
    if transaction.broken {
        return Err("EXECABORT Transaction discarded because of previous errors.".into());
    }
    if dirty {
        call.reply().null_array();
        return Ok(());
    }
    call.reply().array(transaction.queue.len());
    call.session.in_exec = true;
    for command in transaction.queue {
        let args: Vec<Cow<'_, [u8]>> = command.iter().map(|arg| Cow::Borrowed(arg.as_slice())).collect();
        let mut inner = Call {
            state: &mut *call.state,
            session: &mut *call.session,
            args: Argv(&args),
            out: &mut *call.out,
            now: call.now,
        };
        inner.execute();
    }
    call.session.in_exec = false;
    Ok(())
}
