//! Sessions: a 256-bit value in the browser's cookie, a sealed record in the store.

pub mod memory;
pub mod partition;
pub mod record;
pub mod redis;
pub mod seal;
pub mod sessions;
pub mod store;
pub mod suite;
