//! Hard limits of both framers, with the reason beside each number.

/// What a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Longest single argument in bytes; above 512 MiB has no effect.
    pub bulk_bytes: u64,
    /// Most arguments of one command, its name included.
    pub arguments: u32,
    /// Longest inline command in bytes, without its line end.
    pub inline_bytes: usize,
    /// Whether the two limits above are those before authentication, which have error texts of their own.
    pub before_auth: bool,
    /// Once this many bytes of an unfinished command wait, they are handed out as a piece, so that a large
    /// value is never held whole. `usize::MAX`: commands are handed out whole only.
    pub stream_after: usize,
}

impl RequestLimits {
    /// Redis's own: `proto-max-bulk-len` 512 MiB, `INT_MAX` arguments, `PROTO_INLINE_MAX_SIZE` 64 KiB.
    /// Pieces from 32 KiB on: two TLS records, large enough to be cheap and small enough to be held.
    pub const AUTHENTICATED: Self = Self {
        bulk_bytes: 512 << 20,
        arguments: i32::MAX as u32,
        inline_bytes: 64 << 10,
        before_auth: false,
        stream_after: 32 << 10,
    };

    /// Redis's limits for a client that has not authenticated: 16,384 bytes and 10 arguments.
    pub const BEFORE_AUTH: Self =
        Self { bulk_bytes: 16_384, arguments: 10, inline_bytes: 64 << 10, before_auth: true, stream_after: usize::MAX };
}

/// What a server may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// Longest string in bytes, and longest chunk of a streamed one.
    pub bulk_bytes: u64,
    /// Most elements of one aggregate (a map of `n` pairs has `2n`).
    pub elements: u64,
    /// Deepest nesting of aggregates.
    pub depth: usize,
    /// Longest simple string, error, number or attribute in front of a reply, in bytes.
    pub line_bytes: usize,
    /// Once this many bytes of an unfinished reply wait, they are handed out as a piece.
    pub stream_after: usize,
}

impl ReplyLimits {
    /// For a relay, which holds no values: 4 GiB strings and 2^32 elements (what a server can be configured
    /// to send), depth 128 (Redis's Lua conversion stops at about 100), lines up to 1 MiB.
    pub const RELAY: Self =
        Self { bulk_bytes: 4 << 30, elements: 1 << 32, depth: 128, line_bytes: 1 << 20, stream_after: 32 << 10 };

    /// For replies that are held whole as a [`Value`](super::Value): 16 MiB strings, a million elements.
    pub const WHOLE: Self =
        Self { bulk_bytes: 16 << 20, elements: 1 << 20, depth: 32, line_bytes: 1 << 20, stream_after: usize::MAX };
}
