//! The web app and the protected API: sign-in, sessions, pages.
//!
//! The only place in the house that knows axum and cookies.

pub mod cookie;
pub mod return_path;
pub mod session;
