//! The default chain of a developer's machine.

use std::sync::Arc;

use entrant_proto::managed_identity::Selector;
use entrant_types::{BoxFuture, Outside, Scope};

use super::{Azd, AzureCli, Chain, Environment, WorkloadIdentity, announced_managed_identity};
use crate::source::{Outcome, Source};

/// Environment, workload identity, managed identity, Azure CLI, Azure Developer CLI, in this order: what is
/// decided by a variable comes before what starts a program. Managed identity takes part only where the
/// variables name its endpoint: the link-local address is never dialled from here. The choice is logged.
#[must_use]
pub fn development(tenant: Option<String>, selector: Selector, outside: &Outside) -> Chain {
    let identity = announced_managed_identity(selector, outside).unwrap_or_else(|| Arc::new(Unannounced));
    Chain::first_try(Environment::new(outside))
        .or_else(WorkloadIdentity::new(tenant.clone(), None, outside))
        .or_else(identity)
        .or_else(AzureCli::new(tenant.clone(), outside))
        .or_else(Azd::new(tenant, outside))
}

/// Managed identity on a host that does not announce it, for the list of what was passed over.
#[derive(Debug)]
struct Unannounced;

impl Source for Unannounced {
    fn name(&self) -> &str {
        "managed-identity"
    }

    fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Outcome> {
        let why = "no variable names an identity endpoint (on a virtual machine choose managed identity explicitly)";
        Box::pin(std::future::ready(Outcome::NotApplicable(why.to_owned())))
    }
}
