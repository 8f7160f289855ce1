//! Why bytes are not RESP, with the texts that Redis answers.

use std::fmt;

/// Bytes that are not RESP or exceed a limit. The framer that returned it stays failed: the stream has no
/// known boundary any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtocolError {
    /// The argument count is not a number, out of range, or too long.
    InvalidMultibulkLength,
    /// More arguments than a client may send before authentication.
    UnauthenticatedMultibulkLength,
    /// An argument does not begin with `$` but with this byte.
    ExpectedDollar(u8),
    /// The argument's length is not a number or out of range.
    InvalidBulkLength,
    /// An argument longer than a client may send before authentication.
    UnauthenticatedBulkLength,
    /// An inline command longer than the limit.
    TooBigInline,
    /// An inline command with unbalanced quotes.
    UnbalancedQuotes,
    /// CR without LF, or a string that does not end where its length says.
    MissingCrlf,
    /// A reply begins with a byte that is no RESP type.
    UnknownType(u8),
    /// A number, boolean or null of a reply is malformed.
    InvalidReply,
    /// A reply is nested deeper than the limit.
    TooDeep,
    /// A reply's length, element count or line exceeds the limit.
    TooBig,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidMultibulkLength => "invalid multibulk length",
            Self::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Self::ExpectedDollar(byte) => {
                let shown = match byte {
                    // A line end would end the error line itself: Redis writes a space.
                    b' '..=b'~' => char::from(*byte),
                    b'\r' | b'\n' => ' ',
                    _ => '?',
                };
                return write!(f, "expected '$', got '{shown}'");
            }
            Self::InvalidBulkLength => "invalid bulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
            Self::TooBigInline => "too big inline request",
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::MissingCrlf => "missing CRLF",
            Self::UnknownType(_) => "unknown reply type",
            Self::InvalidReply => "malformed reply",
            Self::TooDeep => "reply nested too deep",
            Self::TooBig => "reply too big",
        })
    }
}

impl std::error::Error for ProtocolError {}

impl ProtocolError {
    /// The error reply that Redis sends before it closes the connection.
    #[must_use]
    pub fn reply(&self) -> String {
        format!("-ERR Protocol error: {self}\r\n")
    }
}
