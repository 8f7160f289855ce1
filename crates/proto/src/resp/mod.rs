//! RESP2 and RESP3 on the wire: incremental framers for both directions, encoders, hard limits.
//!
//! A relay forwards bytes untouched, so the framers do not build values: they find where one command or one
//! reply ends and what kind it is. Feed them the unconsumed bytes, starting at the first byte not yet handed
//! out, as often as more have arrived; they never look at a byte twice and never panic on any input.
//!
//! * [`RequestFramer`]: client to server, arrays of bulk strings and inline commands ([`Args`] reads them).
//! * [`ReplyFramer`]: server to client, all RESP3 types with attributes, streamed strings and aggregates, push.
//! * [`encode_command`], [`ReplyWriter`]: the other way round.
//! * [`Value`]: one reply as a tree, where its content matters.
//!
//! Sources: the RESP3 specification (github.com/redis/redis-specifications, `protocol/RESP3.md`), and the
//! limits and error texts of Redis 7.0.15, checked by a differential test against it.

mod args;
mod encode;
mod error;
mod limits;
mod reply;
mod request;
mod scan;
mod value;

pub use args::{Args, split_inline};
pub use encode::{ReplyWriter, Version, encode_command};
pub use error::ProtocolError;
pub use limits::{ReplyLimits, RequestLimits};
pub use reply::{Kind, ReplyFramer, ReplyPiece};
pub use request::{RequestFramer, RequestPiece};
pub use scan::decimal;
pub use value::Value;
