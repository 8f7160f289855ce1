//! Managed identity endpoints: what a machine in Azure asks for its own tokens.

mod arc;
mod cache;
mod protocol;
mod select;
pub(crate) mod workload;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use entrant_types::Timestamp;
use serde::Serialize;

pub(crate) use arc::ArcKey;
pub(crate) use cache::TokenCache;

use crate::directory::Identity;
use crate::journal::{Entry, TokenView};
use crate::state::State;

/// What the HTTP listener serves of it.
pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        // msal-node asks with a slash at the end when the host is overridden, everybody else without.
        .route("/metadata/identity/oauth2/token", get(protocol::imds))
        .route("/metadata/identity/oauth2/token/", get(protocol::imds))
        .route("/metadata/instance/compute", get(protocol::compute))
        .route("/msi/token", get(protocol::app_service))
        .route("/msi/token/", get(protocol::app_service))
        .route("/azure-ml/token", get(protocol::azure_ml))
        .route("/cloud-shell/token", post(protocol::cloud_shell))
        .route("/arc/metadata/identity/oauth2/token", get(protocol::arc))
}

/// What the HTTPS listener serves of it: Service Fabric's clients pin the certificate.
pub(crate) fn secure_routes() -> Router<Arc<State>> {
    Router::new().route("/service-fabric/token", get(protocol::service_fabric)).merge(workload::routes())
}

/// A token for an identity, as every protocol returns it: nine fields, all strings, the set that all SDKs accept.
pub(crate) struct Issued {
    pub(crate) token: entrant_types::Secret,
    pub(crate) expires: Timestamp,
    pub(crate) from: Timestamp,
    pub(crate) resource: String,
    pub(crate) client_id: String,
    /// For the journal, made once for a token that is handed out many times.
    pub(crate) view: TokenView,
}

/// The nine fields: written straight from what is kept, since a managed identity's reply is asked for often.
#[derive(Serialize)]
pub(crate) struct Body<'a> {
    access_token: &'a str,
    refresh_token: &'a str,
    expires_in: String,
    expires_on: String,
    not_before: String,
    ext_expires_in: String,
    resource: &'a str,
    token_type: &'a str,
    client_id: &'a str,
}

impl Issued {
    /// The reply at the moment `now`.
    pub(crate) fn body(&self, now: Timestamp) -> Body<'_> {
        let left = now.until(self.expires).as_secs().to_string();
        Body {
            access_token: self.token.expose(),
            refresh_token: "",
            expires_in: left.clone(),
            expires_on: self.expires.secs().to_string(),
            not_before: self.from.secs().to_string(),
            ext_expires_in: left,
            resource: &self.resource,
            token_type: "Bearer",
            client_id: &self.client_id,
        }
    }
}

/// Why a managed-identity request is refused; each protocol has its own document for it.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) error: &'static str,
    pub(crate) text: String,
    pub(crate) fix: String,
}

impl Refused {
    pub(crate) fn new(status: u16, error: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        let plain = |text: String| crate::refusal::plain(&text.chars().take(600).collect::<String>());
        Self { status, error, text: plain(text.into()), fix: plain(fix.into()) }
    }
}

/// Notes a request in the journal and the log.
pub(crate) fn record(
    state: &State,
    protocol: &str,
    resource: &str,
    outcome: &Result<(&Identity, &Issued), &Refused>,
    trace_id: &str,
) {
    let mut what = format!("{protocol}: {}", crate::refusal::plain(&resource.chars().take(200).collect::<String>()));
    if let Ok((identity, issued)) = outcome {
        what = format!("{what} for {}", identity.name);
        if state.journal.repeat(state.now(), "app", &what, &issued.view.hash) {
            tracing::debug!(identity = %identity.name, resource = %issued.resource, trace_id, "managed-identity token repeated");
            return;
        }
    }
    let mut entry =
        Entry { at: state.now(), trace_id: Some(trace_id.to_owned()), ..Entry::new("app", "identity endpoint", what) };
    match outcome {
        Ok((identity, issued)) => {
            entry.tokens.push(issued.view.clone());
            tracing::info!(identity = %identity.name, resource = %issued.resource, trace_id, "managed-identity token issued");
        }
        Err(refused) => {
            entry.status = refused.status;
            entry.code = Some(refused.error.to_owned());
            entry.explanation = Some(format!("{} {}", refused.text, refused.fix));
            tracing::warn!(protocol, code = refused.error, trace_id, "refused: {} Fix: {}", refused.text, refused.fix);
        }
    }
    state.journal.add(entry);
}
