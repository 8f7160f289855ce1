//! Managed identity on App Service, Functions and Container Apps.

use entrant_proto::managed_identity::{Selector, app_service_request, parse_reply};
use entrant_proto::oauth::{http_date, transport_fault};
use entrant_types::{BoxFuture, Outside, Scope, Secret};

use crate::source::{Outcome, SeenSkew, Source};

/// The endpoint that `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` name. Both are read at every fetch: the
/// platform may change them.
#[derive(Debug)]
pub struct AppService {
    selector: Selector,
    outside: Outside,
    skew: SeenSkew,
}

impl AppService {
    /// For the identity that `selector` names.
    #[must_use]
    pub fn new(selector: Selector, outside: &Outside) -> Self {
        Self { selector, outside: outside.clone(), skew: SeenSkew::default() }
    }
}

impl Source for AppService {
    fn name(&self) -> &str {
        "app-service"
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let env = &self.outside.env;
            let (Some(endpoint), Some(header)) = (env.get("IDENTITY_ENDPOINT"), env.get("IDENTITY_HEADER")) else {
                return Outcome::NotApplicable("IDENTITY_ENDPOINT and IDENTITY_HEADER are not both set".to_owned());
            };
            let request = app_service_request(&endpoint, &Secret::new(header), &scope.resource(), &self.selector);
            match self.outside.http.send(request).await {
                Err(error) => Outcome::Failed(transport_fault("the identity endpoint of App Service", &error)),
                Ok(reply) => {
                    let now = self.outside.clock.now();
                    self.skew.see(http_date::skew_millis(&reply, now));
                    parse_reply(&reply, now).into()
                }
            }
        })
    }

    fn skew_millis(&self) -> Option<i64> {
        self.skew.get()
    }
}
