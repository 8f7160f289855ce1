//! Writing commands and replies.

use bytes::{BufMut, BytesMut};

/// Which protocol a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// RESP2, what every connection begins with.
    #[default]
    Resp2,
    /// RESP3, after `HELLO 3`.
    Resp3,
}

impl Version {
    /// The number that `HELLO` takes and reports.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// Writes one command as an array of bulk strings.
pub fn encode_command<A: AsRef<[u8]>>(out: &mut BytesMut, args: &[A]) {
    head(out, b'*', args.len());
    for arg in args {
        bulk(out, b'$', arg.as_ref());
    }
}

fn head(out: &mut BytesMut, byte: u8, count: usize) {
    out.put_u8(byte);
    number(out, i64::try_from(count).unwrap_or(i64::MAX));
}

fn bulk(out: &mut BytesMut, byte: u8, text: &[u8]) {
    head(out, byte, text.len());
    out.put_slice(text);
    out.put_slice(b"\r\n");
}

/// Decimal digits and CR LF, without an allocation.
fn number(out: &mut BytesMut, value: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut left = value.unsigned_abs();
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (left % 10) as u8;
        }
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        out.put_u8(b'-');
    }
    out.put_slice(digits.get(at..).unwrap_or_default());
    out.put_slice(b"\r\n");
}

/// Writes replies in the connection's protocol: types that RESP2 has not become what Redis sends there.
#[derive(Debug)]
pub struct ReplyWriter<'a> {
    out: &'a mut BytesMut,
    version: Version,
}

impl<'a> ReplyWriter<'a> {
    /// Appends to `out`.
    pub const fn new(out: &'a mut BytesMut, version: Version) -> Self {
        Self { out, version }
    }

    /// The protocol that is written.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// A simple string; line ends become spaces.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text);
    }

    /// An error, its code first (`ERR …`); line ends become spaces.
    pub fn error(&mut self, text: &str) {
        self.line(b'-', text);
    }

    fn line(&mut self, byte: u8, text: &str) {
        self.out.put_u8(byte);
        for byte in text.bytes() {
            self.out.put_u8(if matches!(byte, b'\r' | b'\n') { b' ' } else { byte });
        }
        self.out.put_slice(b"\r\n");
    }

    /// An integer.
    pub fn integer(&mut self, value: i64) {
        self.out.put_u8(b':');
        number(self.out, value);
    }

    /// A string.
    pub fn bulk(&mut self, text: &[u8]) {
        bulk(self.out, b'$', text);
    }

    /// A string for people to read: RESP3 `=…txt:`, RESP2 an ordinary string.
    pub fn verbatim(&mut self, text: &str) {
        match self.version {
            Version::Resp2 => self.bulk(text.as_bytes()),
            Version::Resp3 => {
                head(self.out, b'=', text.len() + 4);
                self.out.put_slice(b"txt:");
                self.out.put_slice(text.as_bytes());
                self.out.put_slice(b"\r\n");
            }
        }
    }

    /// No value, where a string could stand.
    pub fn null(&mut self) {
        self.out.put_slice(match self.version {
            Version::Resp2 => b"$-1\r\n",
            Version::Resp3 => b"_\r\n",
        });
    }

    /// No value, where an array could stand.
    pub fn null_array(&mut self) {
        self.out.put_slice(match self.version {
            Version::Resp2 => b"*-1\r\n",
            Version::Resp3 => b"_\r\n",
        });
    }

    /// A floating-point number: RESP2 writes it as a string.
    pub fn double(&mut self, text: &str) {
        match self.version {
            Version::Resp2 => self.bulk(text.as_bytes()),
            Version::Resp3 => self.line(b',', text),
        }
    }

    /// The head of an array; `count` elements must follow.
    pub fn array(&mut self, count: usize) {
        head(self.out, b'*', count);
    }

    /// The head of a map of `pairs`; RESP2 writes a flat array.
    pub fn map(&mut self, pairs: usize) {
        match self.version {
            Version::Resp2 => head(self.out, b'*', pairs.saturating_mul(2)),
            Version::Resp3 => head(self.out, b'%', pairs),
        }
    }

    /// The head of a set; RESP2 writes an array.
    pub fn set(&mut self, count: usize) {
        head(self.out, if self.version == Version::Resp3 { b'~' } else { b'*' }, count);
    }

    /// The head of a push message; RESP2 writes an array.
    pub fn push(&mut self, count: usize) {
        head(self.out, if self.version == Version::Resp3 { b'>' } else { b'*' }, count);
    }

    /// Bytes that are a reply already.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.put_slice(bytes);
    }
}
