//! Sessions: a 256-bit value in the browser's cookie, a sealed record in the store.

pub mod memory;
pub mod redis;
pub mod seal;
pub mod store;
pub mod suite;
