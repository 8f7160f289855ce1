//! The six managed-identity protocols: one exchange, each with its own proof, parameters and error document.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query as AxumQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use entrant_types::Secret;
use serde_json::{Value, json};

use super::select::{self, Query};
use super::{Issued, Refused, arc, record};
use crate::counters::Endpoint;
use crate::directory::Identity;
use crate::faults::{Point, Struck};
use crate::state::State;

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Imds,
    AppService,
    AzureMl,
    CloudShell,
    Arc,
    ServiceFabric,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Imds => "IMDS",
            Self::AppService => "App Service",
            Self::AzureMl => "Azure ML",
            Self::CloudShell => "Cloud Shell",
            Self::Arc => "Azure Arc",
            Self::ServiceFabric => "Service Fabric",
        }
    }

    fn endpoint(self) -> Endpoint {
        match self {
            Self::Imds => Endpoint::Imds,
            Self::AppService => Endpoint::AppService,
            Self::AzureMl => Endpoint::AzureMl,
            Self::CloudShell => Endpoint::CloudShell,
            Self::Arc => Endpoint::Arc,
            Self::ServiceFabric => Endpoint::ServiceFabric,
        }
    }

    /// The header that proves that the caller is a program of this host, and not a forged request.
    fn admit(self, state: &State, headers: &HeaderMap, query: &Query) -> Result<(), Refused> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match self {
            Self::Imds | Self::Arc | Self::CloudShell => {
                if !header("metadata").eq_ignore_ascii_case("true") {
                    let text = "Required metadata header not specified";
                    return Err(Refused::new(400, "bad_request_102", text, "Send the header 'Metadata: true'."));
                }
            }
            Self::AppService => {
                per_run_secret(state, header("x-identity-header"), "X-IDENTITY-HEADER", "IDENTITY_HEADER")?
            }
            Self::AzureMl => per_run_secret(state, header("secret"), "secret", "MSI_SECRET")?,
            Self::ServiceFabric => per_run_secret(state, header("secret"), "Secret", "IDENTITY_HEADER")?,
        }
        // Cloud Shell has no version; Azure checks the others' for being there.
        if self != Self::CloudShell && query.get("api-version").is_none_or(String::is_empty) {
            let fix = "Add api-version (IMDS 2018-02-01, App Service 2019-08-01).";
            return Err(Refused::new(400, "bad_request", "The api-version query parameter is missing.", fix));
        }
        Ok(())
    }

    /// The protocol's error document.
    fn document(self, refused: &Refused, correlation: &str) -> Value {
        match self {
            Self::Imds | Self::Arc => json!({ "error": refused.error, "error_description": refused.text }),
            Self::AppService | Self::AzureMl => {
                json!({ "statusCode": refused.status, "message": refused.text, "correlationId": correlation })
            }
            Self::CloudShell => json!({ "error": { "code": refused.error, "message": refused.text } }),
            Self::ServiceFabric => {
                json!({ "error": { "correlationId": correlation, "code": refused.error, "message": refused.text } })
            }
        }
    }
}

fn per_run_secret(state: &State, presented: &str, header: &str, variable: &str) -> Result<(), Refused> {
    if Secret::from(presented) == state.identity_header {
        return Ok(());
    }
    Err(Refused::new(
        401,
        "unauthorized",
        format!("The {header} header is missing or is not this run's."),
        format!("Take {variable} from this run of the emulator: it changes at every start."),
    ))
}

async fn exchange(protocol: Protocol, state: &State, query: &Query, headers: &HeaderMap) -> Response {
    let resource = query.get("resource").map_or("", String::as_str);
    let identity = select::identity(state, query);
    let point =
        Point { identity: identity.as_ref().ok().copied(), resource: Some(resource), ..Point::at(protocol.endpoint()) };
    let struck = state.strike(&point);
    if struck.intercepts() {
        return marked(StatusCode::SERVICE_UNAVAILABLE.into_response(), struck);
    }
    let admitted = forced(&struck).map_or_else(|| protocol.admit(state, headers, query), Err);
    if protocol == Protocol::Arc
        && admitted.is_ok()
        && let Some(challenge) = arc::challenge(state, headers)
    {
        return marked(challenge, struck);
    }
    let outcome = match admitted {
        Ok(()) => grant(state, identity, resource, &struck).await,
        Err(refused) => Err(refused),
    };
    let trace = state.random_guid().to_string();
    let response = match outcome {
        Ok((identity, issued)) => {
            record(state, protocol.name(), resource, &Ok((identity, &issued)), &trace);
            Json(issued.body(state.now())).into_response()
        }
        Err(refused) => {
            record(state, protocol.name(), resource, &Err(&refused), &trace);
            let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, Json(protocol.document(&refused, &trace))).into_response()
        }
    };
    marked(response, struck)
}

fn marked(mut response: Response, struck: Struck) -> Response {
    response.extensions_mut().insert(struck);
    response
}

/// An Entra number forced upon an identity endpoint arrives as the platform passes such refusals on.
fn forced(struck: &Struck) -> Option<Refused> {
    let refusal = struck.refusal()?;
    Some(Refused::new(400, refusal.shape.error, format!("AADSTS{}: {}", refusal.number(), refusal.text), refusal.fix))
}

async fn grant<'a>(
    state: &State,
    identity: Result<&'a Identity, Refused>,
    resource: &str,
    struck: &Struck,
) -> Result<(&'a Identity, Arc<Issued>), Refused> {
    let identity = identity?;
    Ok((identity, select::token(state, identity, resource, struck).await?))
}

macro_rules! handlers {
    ($($name:ident = $protocol:ident,)*) => {
        $(pub(super) async fn $name(
            Shared(state): Shared<Arc<State>>,
            AxumQuery(query): AxumQuery<Query>,
            headers: HeaderMap,
        ) -> Response {
            exchange(Protocol::$protocol, &state, &query, &headers).await
        })*
    };
}

handlers! {
    imds = Imds,
    app_service = AppService,
    azure_ml = AzureMl,
    arc = Arc,
    service_fabric = ServiceFabric,
}

/// Cloud Shell posts its resource as a form, and knows one identity only.
pub(super) async fn cloud_shell(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let query: Query = form_urlencoded::parse(&body).into_owned().filter(|(name, _)| name == "resource").collect();
    exchange(Protocol::CloudShell, &state, &query, &headers).await
}

/// `GET /metadata/instance/compute`: MSAL asks it for the region.
pub(super) async fn compute() -> Json<Value> {
    Json(
        json!({ "azEnvironment": "emulator", "location": "localhost", "name": "host-vm", "provider": "entrant-emulator" }),
    )
}
