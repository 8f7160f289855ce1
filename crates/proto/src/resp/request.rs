//! The request framer: where one command of a client ends.

use super::args::split_inline;
use super::error::ProtocolError;
use super::limits::RequestLimits;
use super::scan::{HEADER_BYTES, Line, decimal, line};

/// A stretch of a client's bytes that belongs to one command and may be forwarded as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestPiece {
    /// How many bytes, from the start of what was given to [`RequestFramer::next`].
    pub len: usize,
    /// Arguments of the whole command, its name included. 0: nothing to do and nothing to answer (`*0`, an
    /// empty line). For an inline command known from the start, since those are handed out whole.
    pub argc: u32,
    /// Whether the command begins here. Its name and first arguments are read by [`Args`](super::Args).
    pub first: bool,
    /// Whether the command ends here.
    pub last: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Inline,
    /// Before an argument's `$…` line.
    Header,
    /// Inside an argument: this many bytes to come.
    Payload(u64),
    /// Before the CR, or the LF, that ends an argument.
    Cr,
    Lf,
}

/// Finds command boundaries. See the [module](super) for how to feed it.
#[derive(Clone, Debug)]
pub struct RequestFramer {
    limits: RequestLimits,
    state: State,
    /// Bytes of the waiting input that were looked at.
    scanned: usize,
    /// Whether a piece of the present command has been handed out.
    started: bool,
    argc: u32,
    /// Arguments not yet complete.
    left: u32,
    failed: Option<ProtocolError>,
}

impl RequestFramer {
    /// A framer at the start of a connection.
    #[must_use]
    pub const fn new(limits: RequestLimits) -> Self {
        Self { limits, state: State::Start, scanned: 0, started: false, argc: 0, left: 0, failed: None }
    }

    /// Other limits from the next length on (after authentication).
    pub const fn set_limits(&mut self, limits: RequestLimits) {
        self.limits = limits;
    }

    /// Whether the next byte begins a command: nothing of an unfinished one has been handed out or looked at.
    #[must_use]
    pub const fn at_boundary(&self) -> bool {
        matches!(self.state, State::Start) && self.scanned == 0 && !self.started
    }

    /// Whether nothing of an unfinished command has been handed out: what was looked at may still be replaced.
    #[must_use]
    pub const fn at_command_start(&self) -> bool {
        !self.started
    }

    /// The next piece of `bytes`, which are all bytes not yet handed out. `None`: more are needed.
    ///
    /// # Errors
    /// The bytes are not a command or exceed a limit; every later call returns the same.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<RequestPiece>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.advance(bytes);
        if let Err(error) = result {
            self.failed = Some(error);
        }
        result
    }

    fn advance(&mut self, bytes: &[u8]) -> Result<Option<RequestPiece>, ProtocolError> {
        loop {
            let rest = bytes.get(self.scanned..).unwrap_or_default();
            let Some(byte) = rest.first().copied() else { return Ok(self.partial()) };
            match self.state {
                State::Start if byte == b'*' => match self.count(rest)? {
                    None => return Ok(self.partial()),
                    Some(true) => {}
                    Some(false) => return Ok(Some(self.finish())),
                },
                State::Start => self.state = State::Inline,
                State::Inline => return self.inline(bytes),
                State::Header => {
                    if !self.header(rest, byte)? {
                        return Ok(self.partial());
                    }
                }
                State::Payload(left) => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    self.scanned += take;
                    let left = left - take as u64;
                    self.state = if left == 0 { State::Cr } else { State::Payload(left) };
                }
                State::Cr if byte == b'\r' => {
                    self.scanned += 1;
                    self.state = State::Lf;
                }
                State::Lf if byte == b'\n' => {
                    self.scanned += 1;
                    self.left -= 1;
                    self.state = State::Header;
                    if self.left == 0 {
                        return Ok(Some(self.finish()));
                    }
                }
                State::Cr | State::Lf => return Err(ProtocolError::MissingCrlf),
            }
        }
    }

    /// Reads `*N`. `None`: more bytes needed; `Some(false)`: a command without arguments.
    fn count(&mut self, rest: &[u8]) -> Result<Option<bool>, ProtocolError> {
        let text = match line(rest, 0, HEADER_BYTES)? {
            None => return Err(ProtocolError::InvalidMultibulkLength),
            Some(Line::Unfinished) => return Ok(None),
            Some(Line::Text(text)) => text,
        };
        let count = decimal(text.get(1..).unwrap_or_default())
            .filter(|count| *count <= i64::from(i32::MAX))
            .ok_or(ProtocolError::InvalidMultibulkLength)?;
        let count = u32::try_from(count).unwrap_or(0);
        if count > self.limits.arguments {
            return Err(if self.limits.before_auth {
                ProtocolError::UnauthenticatedMultibulkLength
            } else {
                ProtocolError::InvalidMultibulkLength
            });
        }
        self.scanned += text.len() + 2;
        (self.argc, self.left, self.state) = (count, count, State::Header);
        Ok(Some(count > 0))
    }

    /// Reads `$N`. `false`: more bytes needed.
    fn header(&mut self, rest: &[u8], byte: u8) -> Result<bool, ProtocolError> {
        if byte != b'$' {
            return Err(ProtocolError::ExpectedDollar(byte));
        }
        let text = match line(rest, 0, HEADER_BYTES)? {
            None => return Err(ProtocolError::InvalidBulkLength),
            Some(Line::Unfinished) => return Ok(false),
            Some(Line::Text(text)) => text,
        };
        let length = decimal(text.get(1..).unwrap_or_default())
            .and_then(|length| u64::try_from(length).ok())
            .filter(|length| *length <= RequestLimits::AUTHENTICATED.bulk_bytes)
            .ok_or(ProtocolError::InvalidBulkLength)?;
        if length > self.limits.bulk_bytes {
            return Err(if self.limits.before_auth {
                ProtocolError::UnauthenticatedBulkLength
            } else {
                ProtocolError::InvalidBulkLength
            });
        }
        self.scanned += text.len() + 2;
        self.state = if length == 0 { State::Cr } else { State::Payload(length) };
        Ok(true)
    }

    fn inline(&mut self, bytes: &[u8]) -> Result<Option<RequestPiece>, ProtocolError> {
        let window = bytes.get(self.scanned..).unwrap_or_default();
        let end = window.iter().position(|byte| *byte == b'\n').map(|at| self.scanned + at);
        if end.unwrap_or(bytes.len()) > self.limits.inline_bytes {
            return Err(ProtocolError::TooBigInline);
        }
        let Some(end) = end else {
            self.scanned = bytes.len();
            return Ok(None);
        };
        let args = split_inline(bytes.get(..end).unwrap_or_default()).ok_or(ProtocolError::UnbalancedQuotes)?;
        self.argc = u32::try_from(args.len()).unwrap_or(u32::MAX);
        self.scanned = end + 1;
        Ok(Some(self.finish()))
    }

    fn finish(&mut self) -> RequestPiece {
        let piece = RequestPiece { len: self.scanned, argc: self.argc, first: !self.started, last: true };
        (self.state, self.scanned, self.started) = (State::Start, 0, false);
        piece
    }

    fn partial(&mut self) -> Option<RequestPiece> {
        if self.scanned == 0 || self.scanned < self.limits.stream_after || self.state == State::Inline {
            return None;
        }
        let piece = RequestPiece { len: self.scanned, argc: self.argc, first: !self.started, last: false };
        (self.scanned, self.started) = (0, true);
        Some(piece)
    }
}
