//! The re-AUTH machine: when a connection to Redis may be authenticated again, and what must wait for it.
//!
//! A Redis connection lives as long as the token of its last `AUTH`. [`Machine`] is that connection's memory: it
//! is told of every request and every reply, of newer tokens and of the time, and says what to do. It reads no
//! clock and touches no socket.
//!
//! * [`Window`]: the moments of one re-AUTH, spread by a random phase so that connections do not go together.
//! * [`Effect`]: what a command does to the connection, as far as an injected `AUTH` could disturb it.
//! * [`Machine`]: requests in, replies in, [`Verdict`] and [`Step`] out.
//! * [`encode`]: the bytes of what is injected.
//!
//! **The quiet rule.** Redis 7.2 and later drop the reply of a failing `AUTH` when any other reply is pending for
//! the client (redis/redis#15640), which shifts every later reply by one: one caller reads another's value.
//! So an `AUTH` goes out alone, at a command boundary, with no reply outstanding, and is confirmed before the
//! next byte. A client that never leaves a gap is made to: its next command waits. Where pushes may be pending
//! (RESP3 subscribers, client tracking) quietness cannot be known, and an `ECHO` of a nonce follows the `AUTH`.

mod admission;
mod command;
pub mod encode;
mod identity;
mod machine;
mod notice;
mod reply;
mod step;
mod subscriptions;
mod window;

pub use admission::Verdict;
pub use command::{Effect, Family, Request, effect};
pub use identity::{object_id, refusal};
pub use machine::{Credential, Machine, Opaque};
pub use notice::Notice;
pub use reply::{Delivery, LocalAnswer, error_code};
pub use step::{CloseReason, DropReason, Step};
pub use subscriptions::Subscriptions;
pub use window::Window;

#[cfg(test)]
mod tests;
