//! The web app and the protected API from outside, through their routers.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at a broken promise")]

mod api;
mod browser;
mod calling;
mod design;
mod identity;
mod pages;
mod redis_server;
mod session_store;
mod sessions;
mod sign_in;
mod sign_out;
mod token_store;
