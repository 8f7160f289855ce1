//! Where an Entra token comes from, and keeping it fresh.
//!
//! A [`Source`] gets one token for one scope. A [`Keeper`] keeps that token fresh for as long as the process
//! lives: its [`KeeperDriver`] refreshes ahead of time, and readers never wait while a valid token exists.

#[cfg(feature = "azure-sdk")]
pub mod azure_sdk;
pub mod client_auth;
pub mod keeper;
pub mod keepers;
pub mod source;
pub mod sources;
pub mod token_endpoint;

pub use client_auth::{ClientAssertion, ClientAuth, ManagedIdentityAssertion};
pub use entrant_proto::managed_identity::Selector;
pub use entrant_proto::refresh::Policy;
pub use keeper::{Keeper, KeeperDriver, KeeperOptions, Reader, Snapshot};
pub use keepers::{Keepers, KeepersDriver};
pub use source::{Outcome, Source};
pub use token_endpoint::TokenEndpoint;
