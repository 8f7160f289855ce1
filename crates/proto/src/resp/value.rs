//! One reply as a tree, for the few that are read and not only forwarded.

use super::error::ProtocolError;
use super::limits::ReplyLimits;
use super::reply::ReplyFramer;
use super::scan::{Line, decimal, line};

/// A reply. Attributes are left out.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A simple string.
    Simple(Vec<u8>),
    /// An error of either form, its code first.
    Error(Vec<u8>),
    /// An integer.
    Integer(i64),
    /// A string.
    Bulk(Vec<u8>),
    /// Null of any form.
    Null,
    /// A boolean.
    Boolean(bool),
    /// A floating-point number, as written.
    Double(Vec<u8>),
    /// A big number, as written.
    BigNumber(Vec<u8>),
    /// A string with its format (`txt`, `mkd`).
    Verbatim(Vec<u8>, Vec<u8>),
    /// An array.
    Array(Vec<Value>),
    /// A map, in the server's order.
    Map(Vec<(Value, Value)>),
    /// A set, in the server's order.
    Set(Vec<Value>),
    /// A push message.
    Push(Vec<Value>),
}

impl Value {
    /// Reads the reply at the start of `bytes`, and how many bytes it takes. `None`: more are needed.
    ///
    /// # Errors
    /// The bytes are not a reply, or exceed [`ReplyLimits::WHOLE`].
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(piece) = ReplyFramer::new(ReplyLimits::WHOLE).next(bytes)? else { return Ok(None) };
        let mut reader = Reader { rest: bytes.get(..piece.len).unwrap_or_default() };
        reader.value().map(|value| Some((value, piece.len)))
    }

    /// The text of a simple, bulk or verbatim string.
    #[must_use]
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(text) | Self::Bulk(text) | Self::Verbatim(_, text) => Some(text),
            _ => None,
        }
    }

    /// The elements of an array, set or push message.
    #[must_use]
    pub fn elements(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) | Self::Set(elements) | Self::Push(elements) => Some(elements),
            _ => None,
        }
    }
}

/// Reads bytes in which the framer has found one whole reply.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn line(&mut self) -> Result<(u8, &'a [u8]), ProtocolError> {
        match line(self.rest, 0, self.rest.len())? {
            Some(Line::Text([byte, body @ ..])) => {
                self.rest = self.rest.get(body.len() + 3..).unwrap_or_default();
                Ok((*byte, body))
            }
            _ => Err(ProtocolError::InvalidReply),
        }
    }

    fn string(&mut self, body: &[u8]) -> Result<Vec<u8>, ProtocolError> {
        let length =
            decimal(body).and_then(|length| usize::try_from(length).ok()).ok_or(ProtocolError::InvalidReply)?;
        let text = self.rest.get(..length).ok_or(ProtocolError::InvalidReply)?;
        self.rest = self.rest.get(length + 2..).unwrap_or_default();
        Ok(text.to_vec())
    }

    fn value(&mut self) -> Result<Value, ProtocolError> {
        let (byte, body) = loop {
            let (byte, body) = self.line()?;
            if byte != b'|' {
                break (byte, body);
            }
            self.values(body, 2)?;
        };
        Ok(match byte {
            b'+' => Value::Simple(body.to_vec()),
            b'-' => Value::Error(body.to_vec()),
            b'!' => Value::Error(self.string(body)?),
            b':' => {
                Value::Integer(decimal(body.strip_prefix(b"+").unwrap_or(body)).ok_or(ProtocolError::InvalidReply)?)
            }
            b'$' | b'*' if body == b"-1" => Value::Null,
            b'_' => Value::Null,
            b'$' if body == b"?" => self.chunks()?,
            b'$' => Value::Bulk(self.string(body)?),
            b'=' => self.verbatim(body)?,
            b'#' => Value::Boolean(body == b"t"),
            b',' => Value::Double(body.to_vec()),
            b'(' => Value::BigNumber(body.to_vec()),
            b'*' => Value::Array(self.values(body, 1)?),
            b'~' => Value::Set(self.values(body, 1)?),
            b'>' => Value::Push(self.values(body, 1)?),
            b'%' => Value::Map(pairs(self.values(body, 2)?)),
            other => return Err(ProtocolError::UnknownType(other)),
        })
    }

    fn chunks(&mut self) -> Result<Value, ProtocolError> {
        let mut text = Vec::new();
        loop {
            let (_, body) = self.line()?;
            if body == b"0" {
                return Ok(Value::Bulk(text));
            }
            text.extend(self.string(body)?);
        }
    }

    fn verbatim(&mut self, body: &[u8]) -> Result<Value, ProtocolError> {
        let text = self.string(body)?;
        match text.split_at_checked(4) {
            Some((format, rest)) => Ok(Value::Verbatim(format.get(..3).unwrap_or_default().to_vec(), rest.to_vec())),
            None => Err(ProtocolError::InvalidReply),
        }
    }

    fn values(&mut self, body: &[u8], per_pair: u64) -> Result<Vec<Value>, ProtocolError> {
        let mut values = Vec::new();
        if body == b"?" {
            while self.rest.first() != Some(&b'.') {
                values.push(self.value()?);
            }
            self.line()?;
            return Ok(values);
        }
        let count = decimal(body).and_then(|count| u64::try_from(count).ok()).ok_or(ProtocolError::InvalidReply)?;
        for _ in 0..count.saturating_mul(per_pair) {
            values.push(self.value()?);
        }
        Ok(values)
    }
}

fn pairs(values: Vec<Value>) -> Vec<(Value, Value)> {
    let mut pairs = Vec::with_capacity(values.len() / 2);
    let mut values = values.into_iter();
    while let (Some(key), Some(value)) = (values.next(), values.next()) {
        pairs.push((key, value));
    }
    pairs
}
