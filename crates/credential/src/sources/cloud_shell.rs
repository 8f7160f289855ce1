//! The signed-in person's own token in Azure Cloud Shell, by the managed-identity protocol.

use entrant_proto::managed_identity::Selector;
use entrant_proto::oauth::Form;
use entrant_types::outside::HttpRequest;
use entrant_types::{BoxFuture, Outside, Scope};

use super::endpoint::IdentityEndpoint;
use crate::source::{Outcome, Source};

/// The endpoint that `MSI_ENDPOINT` names. It knows no user-assigned identities.
#[derive(Debug)]
pub struct CloudShell {
    selector: Selector,
    endpoint: IdentityEndpoint,
}

impl CloudShell {
    /// For the identity that `selector` names, which is refused if it is user-assigned.
    #[must_use]
    pub fn new(selector: Selector, outside: &Outside) -> Self {
        Self { selector, endpoint: IdentityEndpoint::new("the identity endpoint of Cloud Shell", outside) }
    }
}

impl Source for CloudShell {
    fn name(&self) -> &str {
        "cloud-shell"
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let [url] = match self.endpoint.variables(["MSI_ENDPOINT"]) {
                Ok(values) => values,
                Err(outcome) => return outcome,
            };
            if self.selector.is_user_assigned() {
                return self
                    .endpoint
                    .unsupported(&self.selector, "Ask without a client id: Cloud Shell is the person.");
            }
            let form = Form::new().with("resource", scope.resource().as_str());
            self.endpoint.token(HttpRequest::post_form(url, form.encode()).header("metadata", "true")).await
        })
    }

    fn skew_millis(&self) -> Option<i64> {
        self.endpoint.skew.get()
    }
}
