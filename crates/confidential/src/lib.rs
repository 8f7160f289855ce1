//! The confidential client: sign people in, keep their tokens, act for them and as the application itself.
//!
//! [`ConfidentialClient`] is made once for each app registration and shared: metadata, signing keys and the
//! managed identity's assertion are fetched once for any number of sign-ins. It knows no web framework and no
//! cookies: a [`SignInFlow`] and the [`AccountTokens`] are serde values that the caller keeps, the tokens
//! behind a [`TokenStore`].

mod account;
mod app;
mod callback;
pub mod claims;
mod client;
mod config;
mod exposed;
mod interaction;
mod provider;
mod redeem;
mod sign_in;
mod silent;
mod store;
pub mod store_suite;
mod turnstile;

pub use account::{Account, AccountTokens, due_at};
pub use callback::Callback;
pub use client::ConfidentialClient;
pub use config::ConfidentialConfig;
pub use interaction::{Interaction, SilentError};
pub use provider::{Issuer, Provider};
pub use redeem::SignedIn;
pub use sign_in::{Prompt, SignInFlow, SignInRequest};
pub use silent::{Acquired, Origin, SilentRequest};
pub use store::{MemoryTokenStore, Replaced, TokenStore, Versioned};
