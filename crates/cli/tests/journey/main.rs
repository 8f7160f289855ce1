//! End to end: the real binary, a real browser, a real Redis server. Each test is a promise to a person.
//!
//! What is not installed (`cargo xtask install` installs it) is skipped on a laptop and fails in CI.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "these tests stand outside the product: they start processes, wait for them, and stop at a broken promise"
)]

mod accessibility;
mod assertions;
mod bad_input;
mod browser;
mod doctor;
mod failures;
mod folder;
mod http;
mod life;
mod pages;
mod process;
mod provider;
mod second_provider;
mod seed;
mod separate;
mod sidecar;
mod sign_in;
mod time_lapse;
mod two_programs;
