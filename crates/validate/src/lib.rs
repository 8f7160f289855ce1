//! The only maker of a verified token: bearer tokens and ID tokens of Entra ID, v1 and v2.
//!
//! A [`Verified`] can be constructed nowhere else, so holding one proves that signature, issuer, audience,
//! tenant, times and world were checked. What a caller may then do ([`Requirement`]: scopes, roles, client
//! applications) is a separate question with separate answers: 401 for a token that is not good, 403 for a
//! good token that does not suffice.

#[cfg(feature = "axum")]
pub mod bearer;
mod cached;
mod check;
mod claims;
mod discovery;
mod id_token;
mod keys;
mod payload;
mod policy;
mod rejected;
mod validator;
mod verdicts;

pub use cached::Freshness;
pub use claims::Verified;
pub use discovery::{Discovery, DiscoveryPolicy, Metadata};
pub use id_token::{Expected, IdTokenPolicy, IdTokenValidator, Subject};
pub use keys::KeySet;
pub use policy::{IssuerRule, Policy, Requirement, Tenants};
pub use rejected::Rejected;
pub use validator::Validator;
