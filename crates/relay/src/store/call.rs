//! One command being carried out: its arguments, its reply, and the words for what can go wrong.

use std::borrow::Cow;

use bytes::BytesMut;
use entrant_proto::resp::{ReplyWriter, decimal};

use super::db::Db;
use super::session::Session;
use super::state::State;

/// An error reply, its code first.
pub(super) type Failure = Cow<'static, str>;
/// Nothing: the reply was written.
pub(super) type Done = Result<(), Failure>;

pub(super) const WRONGTYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
pub(super) const SYNTAX: &str = "ERR syntax error";
pub(super) const NOT_INTEGER: &str = "ERR value is not an integer or out of range";
pub(super) const NOT_FLOAT: &str = "ERR value is not a valid float";
pub(super) const NO_SUCH_KEY: &str = "ERR no such key";

/// A command's arguments, its name at 0. Reading beyond the end gives an empty argument.
#[derive(Clone, Copy)]
pub(super) struct Argv<'a>(pub(super) &'a [Cow<'a, [u8]>]);

impl<'a> Argv<'a> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn at(&self, index: usize) -> &'a [u8] {
        self.0.get(index).map(|arg| arg.as_ref()).unwrap_or_default()
    }

    /// The arguments from `index` on.
    pub(super) fn from(&self, index: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        self.0.get(index..).unwrap_or_default().iter().map(|arg| arg.as_ref())
    }

    /// Whether the argument is this word, in any case.
    pub(super) fn is(&self, index: usize, word: &str) -> bool {
        self.at(index).eq_ignore_ascii_case(word.as_bytes())
    }

    pub(super) fn integer(&self, index: usize) -> Result<i64, Failure> {
        decimal(self.at(index)).ok_or(NOT_INTEGER.into())
    }

    pub(super) fn float(&self, index: usize) -> Result<f64, Failure> {
        float(self.at(index)).ok_or(NOT_FLOAT.into())
    }
}

/// A floating-point number as Redis reads it: no spaces, no NaN, `inf` allowed.
pub(super) fn float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: f64 = text.parse().ok()?;
    if number.is_nan() { None } else { Some(number) }
}

/// A floating-point number as Redis 7.2 and later write it: the shortest text that reads back the same.
pub(super) fn float_text(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "inf".to_owned() } else { "-inf".to_owned() };
    }
    if number != 0.0 && !(1e-5..1e17).contains(&number.abs()) {
        let text = format!("{number:e}");
        return if text.contains("e-") { text } else { text.replace('e', "e+") };
    }
    format!("{number}")
}

/// A command on one database.
pub(super) type DataCommand = fn(&mut Db, Argv<'_>, &mut ReplyWriter<'_>) -> Done;
/// A command on the connection or on the whole store.
pub(super) type SessionCommand = fn(&mut Call<'_>) -> Done;

/// A command with everything around it.
pub(super) struct Call<'a> {
    pub(super) state: &'a mut State,
    pub(super) session: &'a mut Session,
    pub(super) args: Argv<'a>,
    pub(super) out: &'a mut BytesMut,
    /// Unix milliseconds.
    pub(super) now: i64,
}

impl Call<'_> {
    pub(super) fn reply(&mut self) -> ReplyWriter<'_> {
        ReplyWriter::new(self.out, self.session.version())
    }

    pub(super) fn ok(&mut self) -> Done {
        self.reply().simple("OK");
        Ok(())
    }
}

/// Redis's index arithmetic: negative counts from the end. The range as `start..end`, empty if there is none.
pub(super) fn range(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let from_end = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len - 1));
    if start > stop || start >= len {
        return (0, 0);
    }
    (usize::try_from(start).unwrap_or(0), usize::try_from(stop).map_or(0, |stop| stop + 1))
}
