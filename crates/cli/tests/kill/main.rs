//! What happens to clients when the rest dies, freezes, falls half silent or crawls: real processes, real faults, again
//! and again. In each: no wrong reply, bounded memory, recovery without a restart of what was not killed.
//!
//! `ENTRANT_KILL=N` (or `cargo xtask kill N`) repeats every fault N times; CI does it once.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "these tests stand outside the product: they start processes, wait for them, and stop at a broken promise"
)]

mod faults;
#[path = "../journey/folder.rs"]
mod folder;
mod forwarder;
#[expect(dead_code, reason = "shared with the journeys")]
#[path = "../journey/http.rs"]
mod http;
mod load;
mod managed;
mod many;
mod memory;
#[expect(dead_code, reason = "shared with the journeys")]
#[path = "../journey/process.rs"]
mod process;
mod redis_server;
mod slow_consumer;
mod stage;

/// How often each fault is repeated.
fn rounds() -> u32 {
    std::env::var("ENTRANT_KILL").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}
