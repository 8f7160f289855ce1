//! Managed identity on a virtual machine: the instance metadata service.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use entrant_proto::managed_identity::{IMDS_BASE, IMDS_PATH, Selector, imds_request};
use entrant_types::outside::{HttpError, HttpRequest};
use entrant_types::{BoxFuture, Outside, Scope};

use super::endpoint::IdentityEndpoint;
use crate::source::{Outcome, Source};

/// The variable that names another place of the metadata service (scheme, host and port).
pub(super) const BASE_VARIABLE: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";

/// Outside Azure nothing answers at the link-local address, often not even a refusal. The real service
/// answers a probe within milliseconds; a laptop must learn in under a second that it is none.
const PROBE_LIMIT: Duration = Duration::from_millis(800);

/// The metadata service. It exists only where configuration chose managed identity: nothing else may dial
/// the link-local address.
#[derive(Debug)]
pub struct Imds {
    selector: Selector,
    base: String,
    probe: bool,
    reached: AtomicBool,
    endpoint: IdentityEndpoint,
}

impl Imds {
    /// At the address that `AZURE_POD_IDENTITY_AUTHORITY_HOST` names, else at the link-local one. Call this
    /// only where configuration chose managed identity on a virtual machine.
    #[must_use]
    pub fn chosen(selector: Selector, outside: &Outside) -> Self {
        match outside.env.get(BASE_VARIABLE) {
            Some(base) => Self::at(base, selector, outside),
            None => Self { probe: true, ..Self::at(IMDS_BASE, selector, outside) },
        }
    }

    /// At `base` (scheme, host and port), without a probe: a place that was named is expected to answer.
    #[must_use]
    pub fn at(base: impl Into<String>, selector: Selector, outside: &Outside) -> Self {
        Self {
            selector,
            base: base.into(),
            probe: false,
            reached: AtomicBool::new(false),
            endpoint: IdentityEndpoint::new("the virtual machine's metadata service", outside),
        }
    }

    /// Any answer to a request without the `Metadata` header shows that the service is there.
    async fn reach(&self) -> Result<(), HttpError> {
        if self.probe && !self.reached.load(Ordering::Relaxed) {
            let url = format!("{}{IMDS_PATH}", self.base.trim_end_matches('/'));
            self.endpoint.outside.http.send(HttpRequest::get(url).timeout(PROBE_LIMIT)).await?;
            self.reached.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Source for Imds {
    fn name(&self) -> &str {
        "imds"
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            if let Err(error) = self.reach().await {
                return Outcome::NotApplicable(format!("no metadata service answers at {}: {error}", self.base));
            }
            self.endpoint.token(imds_request(&self.base, &scope.resource(), &self.selector)).await
        })
    }

    fn skew_millis(&self) -> Option<i64> {
        self.endpoint.skew.get()
    }
}
