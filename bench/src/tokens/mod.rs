//! The token path: the same faults and the same load for azure_identity, azure-identity, MSAL and ours.

pub mod accounts;
pub mod client;
mod endpoint;
pub mod faults;
pub mod page;
pub mod speed;
pub mod verification;

/// Whatever went wrong in a run; the run stops with it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
