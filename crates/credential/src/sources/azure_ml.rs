//! Managed identity on Azure Machine Learning: the App Service protocol of 2017.

use entrant_proto::managed_identity::{Selector, with_query};
use entrant_types::outside::HttpRequest;
use entrant_types::{BoxFuture, Outside, Scope};

use super::endpoint::IdentityEndpoint;
use crate::source::{Outcome, Source};

/// The endpoint that `MSI_ENDPOINT` and `MSI_SECRET` name. It takes a client id only; without one,
/// `DEFAULT_IDENTITY_CLIENT_ID` is the compute's own.
#[derive(Debug)]
pub struct AzureMl {
    selector: Selector,
    endpoint: IdentityEndpoint,
}

impl AzureMl {
    /// For the identity that `selector` names.
    #[must_use]
    pub fn new(selector: Selector, outside: &Outside) -> Self {
        Self { selector, endpoint: IdentityEndpoint::new("the identity endpoint of Azure Machine Learning", outside) }
    }
}

impl Source for AzureMl {
    fn name(&self) -> &str {
        "azure-ml"
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let [url, secret] = match self.endpoint.variables(["MSI_ENDPOINT", "MSI_SECRET"]) {
                Ok(values) => values,
                Err(outcome) => return outcome,
            };
            let client_id = match &self.selector {
                Selector::ClientId(id) => Some(id.to_string()),
                Selector::SystemAssigned => self.endpoint.outside.env.get("DEFAULT_IDENTITY_CLIENT_ID"),
                other => return self.endpoint.unsupported(other, "Name the identity by its client id."),
            };
            let query = [("api-version", "2017-09-01".to_owned()), ("resource", scope.resource().as_str().to_owned())];
            let query = query.into_iter().chain(client_id.map(|id| ("clientid", id)));
            self.endpoint.token(HttpRequest::get(with_query(&url, query)).header("secret", secret)).await
        })
    }

    fn skew_millis(&self) -> Option<i64> {
        self.endpoint.skew.get()
    }
}
