//! An API that lets callers through who hold `access_as_user`, and tells everybody else why not.
//!
//! `cargo run -p entrant-validate --features axum --example protected_api -- TENANT_ID API_CLIENT_ID`
#![expect(clippy::print_stderr, reason = "an example talks to the person who runs it")]

use std::process::ExitCode;
use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use entrant_host::{HostConfig, outside};
use entrant_types::emulation::World;
use entrant_types::{Fault, TenantId, Whose};
use entrant_validate::bearer::{BearerLayer, Caller};
use entrant_validate::{IssuerRule, KeySet, Policy, Requirement, Tenants, Validator};
use serde_json::Value;

async fn claims(Caller(caller): Caller) -> Json<Value> {
    Json(Value::Object(caller.claims().clone()))
}

async fn serve(tenant: &str, client_id: &str) -> Result<(), Fault> {
    let id: TenantId =
        tenant.parse().map_err(|_| Fault::new(Whose::Configuration, "The tenant is no GUID.", "Give its id."))?;
    let outside = outside(HostConfig::default())?;
    let authority = format!("https://login.microsoftonline.com/{tenant}");
    let issuers = [format!("{authority}/v2.0"), format!("https://sts.windows.net/{tenant}/")];
    let audiences = vec![client_id.to_owned(), format!("api://{client_id}")];
    let policy = Policy::new(World::Azure, issuers.map(IssuerRule::new).into(), audiences, Tenants::Only(vec![id]))
        .require(Requirement::scopes(["access_as_user"]));
    let keys = KeySet::new(format!("{authority}/discovery/v2.0/keys"), &outside);
    let validator = Arc::new(Validator::new(policy, keys, outside.clock));
    let router = Router::new().route("/api/claims", get(claims)).layer(BearerLayer::new(validator));

    let io = |error: std::io::Error| Fault::new(Whose::Configuration, error.to_string(), "Free port 5001.");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:5001").await.map_err(io)?;
    axum::serve(listener, router).await.map_err(io)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tenant, client_id] = arguments.as_slice() else {
        eprintln!("usage: protected_api TENANT_ID API_CLIENT_ID");
        return ExitCode::from(2);
    };
    let Err(fault) = serve(tenant, client_id).await else { return ExitCode::SUCCESS };
    eprintln!("{fault}");
    ExitCode::FAILURE
}
