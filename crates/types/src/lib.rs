//! Vocabulary of Entrant: ids, scopes, tokens, secrets, time, faults and the traits of the outside world.
//!
//! No async runtime and no I/O live here. Everything that a crate needs from the world (time,
//! randomness, HTTP, environment, files, processes) is a trait in [`outside`], handed in as a value.

pub mod access;
pub mod emulation;
pub mod entropy;
pub mod fault;
pub mod id;
pub mod metric;
pub mod outside;
pub mod scope;
pub mod secret;
pub mod time;
pub mod token;

pub use crate::entropy::Entropy;
pub use crate::fault::{Code, Fault, Retry, Whose};
pub use crate::id::{ClientId, Guid, HomeAccountId, ObjectId, TenantId};
pub use crate::outside::{BoxFuture, Commands, Env, Files, HttpTransport, Outside};
pub use crate::scope::{Resource, Scope};
pub use crate::secret::Secret;
pub use crate::time::{Clock, Timestamp};
pub use crate::token::{AccessToken, Lifetime};
