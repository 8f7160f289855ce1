//! OAuth 2.0 as Entra ID speaks it: authorities, request forms, token replies, errors and their remedies.

pub mod authority;
pub mod certificate;
pub mod challenge;
pub mod error;
pub mod form;
pub mod http_date;
pub mod pkce;
pub mod remedy;
pub mod reply;
pub(crate) mod seconds;

pub use authority::{Authority, Cloud, Tenant};
pub use certificate::Certificate;
pub use error::{TokenError, transport_fault};
pub use form::Form;
pub use pkce::Pkce;
pub use remedy::{Remedy, remedy};
pub use reply::{ClientInfo, TokenReply};
pub use seconds::rfc_3339;

/// `client_assertion_type` of every JWT client assertion (RFC 7523 §2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// `grant_type` of the on-behalf-of flow (RFC 7523 §2.1).
pub const JWT_BEARER_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
