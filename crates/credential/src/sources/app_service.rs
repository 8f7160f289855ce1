//! Managed identity on App Service, Functions and Container Apps.

use entrant_proto::managed_identity::{Selector, app_service_request};
use entrant_types::{BoxFuture, Outside, Scope, Secret};

use super::endpoint::IdentityEndpoint;
use crate::source::{Outcome, Source};

/// The endpoint that `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` name. Both are read at every fetch: the
/// platform may change them.
#[derive(Debug)]
pub struct AppService {
    selector: Selector,
    endpoint: IdentityEndpoint,
}

impl AppService {
    /// For the identity that `selector` names.
    #[must_use]
    pub fn new(selector: Selector, outside: &Outside) -> Self {
        Self { selector, endpoint: IdentityEndpoint::new("the identity endpoint of App Service", outside) }
    }
}

impl Source for AppService {
    fn name(&self) -> &str {
        "app-service"
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let [url, header] = match self.endpoint.variables(["IDENTITY_ENDPOINT", "IDENTITY_HEADER"]) {
                Ok(values) => values,
                Err(outcome) => return outcome,
            };
            let request = app_service_request(&url, &Secret::new(header), &scope.resource(), &self.selector);
            self.endpoint.token(request).await
        })
    }

    fn skew_millis(&self) -> Option<i64> {
        self.endpoint.skew.get()
    }
}
