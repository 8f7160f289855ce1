//! Which managed-identity endpoint this host announces by its variables.

use std::sync::Arc;

use entrant_proto::managed_identity::Selector;
use entrant_types::Outside;

use super::imds::BASE_VARIABLE;
use super::{AppService, AzureArc, AzureMl, CloudShell, Imds, ServiceFabric};
use crate::source::Source;

/// Managed identity where configuration chose it: the endpoint that the host announces, else the virtual
/// machine's metadata service at its link-local address.
#[must_use]
pub fn managed_identity(selector: Selector, outside: &Outside) -> Arc<dyn Source> {
    announced_managed_identity(selector.clone(), outside).unwrap_or_else(|| Arc::new(Imds::chosen(selector, outside)))
}

/// Managed identity only where the host announces an endpoint by its variables: nothing is dialled on
/// suspicion. The order is that of the Azure SDKs.
#[must_use]
pub fn announced_managed_identity(selector: Selector, outside: &Outside) -> Option<Arc<dyn Source>> {
    let set = |name: &str| outside.env.get(name).is_some();
    if set("IDENTITY_ENDPOINT") {
        if set("IDENTITY_HEADER") && set("IDENTITY_SERVER_THUMBPRINT") {
            return Some(Arc::new(ServiceFabric::new(selector, outside)));
        }
        if set("IDENTITY_HEADER") {
            return Some(Arc::new(AppService::new(selector, outside)));
        }
        if set("IMDS_ENDPOINT") {
            return Some(Arc::new(AzureArc::new(selector, outside)));
        }
    }
    if set("MSI_ENDPOINT") {
        if set("MSI_SECRET") {
            return Some(Arc::new(AzureMl::new(selector, outside)));
        }
        return Some(Arc::new(CloudShell::new(selector, outside)));
    }
    let base = outside.env.get(BASE_VARIABLE)?;
    Some(Arc::new(Imds::at(base, selector, outside)))
}
