//! Managed identity on a Service Fabric managed cluster.

use entrant_proto::managed_identity::{Selector, with_query};
use entrant_types::outside::HttpRequest;
use entrant_types::{BoxFuture, Outside, Scope};

use super::endpoint::IdentityEndpoint;
use crate::source::{Outcome, Source};

/// The endpoint that `IDENTITY_ENDPOINT`, `IDENTITY_HEADER` and `IDENTITY_SERVER_THUMBPRINT` announce. The
/// application's manifest decides which identity answers. The endpoint's certificate is self-signed: it is
/// trusted by its file (`--ca`, `SSL_CERT_FILE`), not by the SHA-1 thumbprint.
#[derive(Debug)]
pub struct ServiceFabric {
    selector: Selector,
    endpoint: IdentityEndpoint,
}

impl ServiceFabric {
    /// For the identity that `selector` names, which is refused if it is user-assigned.
    #[must_use]
    pub fn new(selector: Selector, outside: &Outside) -> Self {
        Self { selector, endpoint: IdentityEndpoint::new("the identity endpoint of Service Fabric", outside) }
    }
}

impl Source for ServiceFabric {
    fn name(&self) -> &str {
        "service-fabric"
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let names = ["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"];
            let [url, header, _] = match self.endpoint.variables(names) {
                Ok(values) => values,
                Err(outcome) => return outcome,
            };
            if self.selector.is_user_assigned() {
                let fix = "Name the identity in the application manifest, and no client id here.";
                return self.endpoint.unsupported(&self.selector, fix);
            }
            let query =
                [("api-version", "2019-07-01-preview".to_owned()), ("resource", scope.resource().as_str().to_owned())];
            self.endpoint.token(HttpRequest::get(with_query(&url, query)).header("secret", header)).await
        })
    }

    fn skew_millis(&self) -> Option<i64> {
        self.endpoint.skew.get()
    }
}
