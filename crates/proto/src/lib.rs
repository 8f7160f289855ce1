//! Sans-I/O protocol: OAuth, JOSE, managed identity, RESP, the refresh machine, the re-AUTH machine.
//!
//! No I/O, no clock, no randomness: bytes and `now` in, values and actions out.

pub mod jose;
pub mod managed_identity;
pub mod oauth;
pub mod reauth;
pub mod refresh;
pub mod resp;
