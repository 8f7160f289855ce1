//! The sources, one file each. Each asks once per fetch; caching and retrying are the keeper's.

mod app_service;
mod azd;
mod azure_arc;
mod azure_cli;
mod azure_ml;
mod callback;
mod chain;
mod client_certificate;
mod client_secret;
mod cloud_shell;
mod command;
mod development;
mod endpoint;
mod environment;
mod federated;
mod imds;
mod managed_identity;
mod service_fabric;
mod workload_identity;

pub use app_service::AppService;
pub use azd::Azd;
pub use azure_arc::AzureArc;
pub use azure_cli::AzureCli;
pub use azure_ml::AzureMl;
pub use callback::Assertion;
pub use chain::Chain;
pub use client_certificate::{Certificate, ClientCertificate};
pub use client_secret::ClientSecret;
pub use cloud_shell::CloudShell;
pub use development::development;
pub use environment::{Environment, authority_from_environment};
pub use federated::{Federated, federation_subject};
pub use imds::Imds;
pub use managed_identity::{announced_managed_identity, managed_identity};
pub use service_fabric::ServiceFabric;
pub use workload_identity::{FileAssertion, WorkloadIdentity};
