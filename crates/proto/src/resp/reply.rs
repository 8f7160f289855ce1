//! The reply framer: where one reply of a server ends, and whether it answers a command at all.

use super::error::ProtocolError;
use super::limits::ReplyLimits;
use super::scan::{Line, decimal, line};

/// What a top-level reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `+`
    Simple,
    /// `-` or the RESP3 blob error `!`
    Error,
    /// `:`
    Integer,
    /// `$`, also streamed or null
    Bulk,
    /// `*`, also streamed or null
    Array,
    /// `_`
    Null,
    /// `#`
    Boolean,
    /// `,`
    Double,
    /// `(`
    BigNumber,
    /// `=`
    Verbatim,
    /// `%`
    Map,
    /// `~`
    Set,
    /// `>`: answers no command
    Push,
}

/// A stretch of a server's bytes that belongs to one reply and may be forwarded as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyPiece {
    /// How many bytes, from the start of what was given to [`ReplyFramer::next`].
    pub len: usize,
    /// What the reply is, its attributes aside; the same in every piece of one reply.
    pub kind: Kind,
    /// Whether the reply begins here.
    pub first: bool,
    /// Whether the reply ends here.
    pub last: bool,
}

/// One open aggregate.
#[derive(Clone, Copy, Debug)]
enum Open {
    /// This many elements to come.
    Counted(u64),
    /// Elements until `.`.
    Streamed,
    /// This many elements of an attribute to come, then the value that it describes.
    Attribute(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a type byte.
    Type,
    /// Inside a string: this many bytes to come.
    Payload(u64),
    Cr,
    Lf,
    /// Before a chunk (`;N`) of a streamed string.
    Chunk,
}

/// Finds reply boundaries. See the [module](super) for how to feed it.
#[derive(Clone, Debug)]
pub struct ReplyFramer {
    limits: ReplyLimits,
    state: State,
    /// Whether the string being read is a chunk of a streamed one.
    chunked: bool,
    open: Vec<Open>,
    kind: Option<Kind>,
    /// Bytes of the waiting input that were looked at.
    scanned: usize,
    /// Bytes behind `scanned` in which no CR was found.
    line_scanned: usize,
    started: bool,
    failed: Option<ProtocolError>,
}

impl ReplyFramer {
    /// A framer at the start of a connection.
    #[must_use]
    pub const fn new(limits: ReplyLimits) -> Self {
        Self {
            limits,
            state: State::Type,
            chunked: false,
            open: Vec::new(),
            kind: None,
            scanned: 0,
            line_scanned: 0,
            started: false,
            failed: None,
        }
    }

    /// Whether the next byte begins a reply.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.scanned == 0 && !self.started && self.open.is_empty() && self.state == State::Type
    }

    /// The next piece of `bytes`, which are all bytes not yet handed out. `None`: more are needed.
    ///
    /// # Errors
    /// The bytes are not a reply or exceed a limit; every later call returns the same.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<ReplyPiece>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.advance(bytes);
        if let Err(error) = result {
            self.failed = Some(error);
        }
        result
    }

    fn advance(&mut self, bytes: &[u8]) -> Result<Option<ReplyPiece>, ProtocolError> {
        loop {
            if self.kind.is_none() && self.scanned > self.limits.line_bytes {
                return Err(ProtocolError::TooBig);
            }
            let rest = bytes.get(self.scanned..).unwrap_or_default();
            let Some(byte) = rest.first().copied() else { return self.partial() };
            let complete = match self.state {
                State::Type | State::Chunk => match self.element(rest, byte)? {
                    Some(complete) => complete,
                    None => return self.partial(),
                },
                State::Payload(left) => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    self.scanned += take;
                    let left = left - take as u64;
                    self.state = if left == 0 { State::Cr } else { State::Payload(left) };
                    false
                }
                State::Cr if byte == b'\r' => {
                    self.scanned += 1;
                    self.state = State::Lf;
                    false
                }
                State::Lf if byte == b'\n' => {
                    self.scanned += 1;
                    self.state = if self.chunked { State::Chunk } else { State::Type };
                    !self.chunked
                }
                State::Cr | State::Lf => return Err(ProtocolError::MissingCrlf),
            };
            if complete && self.close() {
                return self.piece(true);
            }
        }
    }

    /// Reads one line: a whole small value, or the head of a string or aggregate. `None`: more bytes are
    /// needed; `Some(true)`: a value is complete.
    fn element(&mut self, rest: &[u8], byte: u8) -> Result<Option<bool>, ProtocolError> {
        if self.state == State::Type && !b"+-:$*_,#!=(%~|>.".contains(&byte) {
            return Err(ProtocolError::UnknownType(byte));
        }
        let text = match line(rest, self.line_scanned, self.limits.line_bytes)? {
            None => return Err(ProtocolError::TooBig),
            Some(Line::Unfinished) => {
                // The last byte may be the CR.
                self.line_scanned = rest.len() - 1;
                return Ok(None);
            }
            Some(Line::Text(text)) => text,
        };
        let body = text.get(1..).unwrap_or_default();
        let complete = if self.state == State::Chunk { self.chunk(byte, body)? } else { self.value(byte, body)? };
        self.scanned += text.len() + 2;
        self.line_scanned = 0;
        Ok(Some(complete))
    }

    fn chunk(&mut self, byte: u8, body: &[u8]) -> Result<bool, ProtocolError> {
        if byte != b';' {
            return Err(ProtocolError::InvalidReply);
        }
        let length = self.length(body)?.ok_or(ProtocolError::InvalidReply)?;
        if length > 0 {
            self.state = State::Payload(length);
            return Ok(false);
        }
        (self.state, self.chunked) = (State::Type, false);
        Ok(true)
    }

    fn value(&mut self, byte: u8, body: &[u8]) -> Result<bool, ProtocolError> {
        let kind = match byte {
            b'+' => Kind::Simple,
            b'-' | b'!' => Kind::Error,
            b':' => Kind::Integer,
            b'$' => Kind::Bulk,
            b'*' => Kind::Array,
            b'_' => Kind::Null,
            b'#' => Kind::Boolean,
            b',' => Kind::Double,
            b'(' => Kind::BigNumber,
            b'=' => Kind::Verbatim,
            b'%' => Kind::Map,
            b'~' => Kind::Set,
            b'>' => Kind::Push,
            b'|' => return self.open_aggregate(body, Open::Attribute, 2),
            _ => return self.end_of_stream(body),
        };
        if self.kind.is_none() && self.open.is_empty() {
            self.kind = Some(kind);
        }
        match kind {
            Kind::Simple => Ok(true),
            Kind::Error if byte == b'-' => Ok(true),
            Kind::Integer => {
                decimal(body.strip_prefix(b"+").unwrap_or(body)).map(|_| true).ok_or(ProtocolError::InvalidReply)
            }
            Kind::Boolean if matches!(body, b"t" | b"f") => Ok(true),
            Kind::Null if body.is_empty() => Ok(true),
            Kind::Double | Kind::BigNumber if !body.is_empty() => Ok(true),
            Kind::Bulk | Kind::Error | Kind::Verbatim => self.open_string(kind, body),
            Kind::Array if body == b"-1" => Ok(true),
            Kind::Array | Kind::Set if body == b"?" => self.push(Open::Streamed),
            Kind::Map if body == b"?" => self.push(Open::Streamed),
            Kind::Array | Kind::Set | Kind::Push => self.open_aggregate(body, Open::Counted, 1),
            Kind::Map => self.open_aggregate(body, Open::Counted, 2),
            Kind::Boolean | Kind::Null | Kind::Double | Kind::BigNumber => Err(ProtocolError::InvalidReply),
        }
    }

    fn open_string(&mut self, kind: Kind, body: &[u8]) -> Result<bool, ProtocolError> {
        if kind == Kind::Bulk && body == b"?" {
            (self.state, self.chunked) = (State::Chunk, true);
            return Ok(false);
        }
        match self.length(body)? {
            None if kind == Kind::Bulk => Ok(true),
            None => Err(ProtocolError::InvalidReply),
            Some(0) => {
                self.state = State::Cr;
                Ok(false)
            }
            Some(length) => {
                self.state = State::Payload(length);
                Ok(false)
            }
        }
    }

    /// A string's length; `None` for the null string's -1.
    fn length(&self, body: &[u8]) -> Result<Option<u64>, ProtocolError> {
        match decimal(body) {
            Some(-1) => Ok(None),
            Some(length) => match u64::try_from(length) {
                Ok(length) if length <= self.limits.bulk_bytes => Ok(Some(length)),
                Ok(_) => Err(ProtocolError::TooBig),
                Err(_) => Err(ProtocolError::InvalidReply),
            },
            None => Err(ProtocolError::InvalidReply),
        }
    }

    fn open_aggregate(&mut self, body: &[u8], open: fn(u64) -> Open, per_pair: u64) -> Result<bool, ProtocolError> {
        let count = decimal(body).and_then(|count| u64::try_from(count).ok()).ok_or(ProtocolError::InvalidReply)?;
        let elements = count.checked_mul(per_pair).filter(|count| *count <= self.limits.elements);
        let elements = elements.ok_or(ProtocolError::TooBig)?;
        if elements == 0 {
            // An empty attribute describes the value that follows; it is none itself.
            return Ok(!matches!(open(0), Open::Attribute(_)));
        }
        self.push(open(elements))
    }

    fn push(&mut self, open: Open) -> Result<bool, ProtocolError> {
        if self.open.len() >= self.limits.depth {
            return Err(ProtocolError::TooDeep);
        }
        self.open.push(open);
        Ok(false)
    }

    /// `.` ends a streamed aggregate.
    fn end_of_stream(&mut self, body: &[u8]) -> Result<bool, ProtocolError> {
        if !body.is_empty() || !matches!(self.open.last(), Some(Open::Streamed)) {
            return Err(ProtocolError::InvalidReply);
        }
        self.open.pop();
        Ok(true)
    }

    /// Counts one complete value in the aggregates around it. Whether the whole reply is complete.
    fn close(&mut self) -> bool {
        loop {
            let Some(open) = self.open.last_mut() else { return true };
            match open {
                Open::Streamed => return false,
                Open::Counted(left) | Open::Attribute(left) if *left > 1 => {
                    *left -= 1;
                    return false;
                }
                Open::Attribute(_) => {
                    self.open.pop();
                    return false;
                }
                Open::Counted(_) => {
                    self.open.pop();
                }
            }
        }
    }

    fn partial(&mut self) -> Result<Option<ReplyPiece>, ProtocolError> {
        if self.scanned == 0 || self.scanned < self.limits.stream_after || self.kind.is_none() {
            return Ok(None);
        }
        self.piece(false)
    }

    fn piece(&mut self, last: bool) -> Result<Option<ReplyPiece>, ProtocolError> {
        let kind = self.kind.ok_or(ProtocolError::InvalidReply)?;
        let piece = ReplyPiece { len: self.scanned, kind, first: !self.started, last };
        (self.scanned, self.started) = (0, !last);
        if last {
            self.kind = None;
        }
        Ok(Some(piece))
    }
}
