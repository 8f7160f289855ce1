//! The web app and the protected API: sign-in, sessions, pages.
//!
//! The only place in the house that knows axum and cookies.

pub mod api;
pub mod app;
pub mod cookie;
pub mod guard;
pub mod login_state;
pub mod page;
pub mod return_path;
pub mod session;
