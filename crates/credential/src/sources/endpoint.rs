//! What all managed-identity endpoints have in common: one request, one reply, no retry.

use entrant_proto::managed_identity::{Selector, parse_reply};
use entrant_proto::oauth::{http_date, transport_fault};
use entrant_types::outside::{HttpReply, HttpRequest};
use entrant_types::{Code, Fault, Outside, Retry, Timestamp, Whose};

use crate::source::{Outcome, SeenSkew};

/// Sends requests to one endpoint and keeps its clock's skew.
#[derive(Debug)]
pub(super) struct IdentityEndpoint {
    place: &'static str,
    pub(super) outside: Outside,
    pub(super) skew: SeenSkew,
}

impl IdentityEndpoint {
    /// `place` names the endpoint in errors, such as `the identity endpoint of App Service`.
    pub(super) fn new(place: &'static str, outside: &Outside) -> Self {
        Self { place, outside: outside.clone(), skew: SeenSkew::default() }
    }

    pub(super) async fn send(&self, request: HttpRequest) -> Result<(HttpReply, Timestamp), Fault> {
        let reply = self.outside.http.send(request).await;
        let now = self.outside.clock.now();
        let reply = reply.map_err(|error| transport_fault(self.place, &error))?;
        self.skew.see(http_date::skew_millis(&reply, now));
        Ok((reply, now))
    }

    pub(super) async fn token(&self, request: HttpRequest) -> Outcome {
        match self.send(request).await {
            Ok((reply, now)) => parse_reply(&reply, now).into(),
            Err(fault) => Outcome::Failed(fault),
        }
    }

    /// The variables, or the answer that they are not all set.
    pub(super) fn variables<const N: usize>(&self, names: [&str; N]) -> Result<[String; N], Outcome> {
        let values = names.map(|name| self.outside.env.get(name));
        if values.iter().all(Option::is_some) {
            return Ok(values.map(Option::unwrap_or_default));
        }
        let missing: Vec<&str> = names.into_iter().filter(|name| self.outside.env.get(name).is_none()).collect();
        Err(Outcome::NotApplicable(format!("not set: {}", missing.join(", "))))
    }

    /// The refusal of an identity that this host cannot name.
    pub(super) fn unsupported(&self, selector: &Selector, instead: &str) -> Outcome {
        let what = format!("{} cannot be asked for {selector}", self.place);
        Outcome::Failed(
            Fault::new(Whose::Configuration, what, instead)
                .retry(Retry::Never)
                .code(Code::Entrant("identity_selector_unsupported")),
        )
    }
}
