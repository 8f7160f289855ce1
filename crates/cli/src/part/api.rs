//! The protected API with its validator.

use std::sync::Arc;

use axum::Router;
use entrant_types::{ClientId, Fault};
use entrant_validate::{KeySet, Policy, Requirement, Validator};
use entrant_web::api::Api;

use super::trusted;
use crate::settings::Settings;
use crate::surroundings::Surroundings;
use crate::variable;

/// The permission that a person's token must carry.
pub(crate) const SCOPE: &str = "access_as_user";

/// The API's routes, and the keys that it will judge tokens by.
pub(crate) fn build(settings: &Settings, around: &Surroundings) -> Result<(Router, KeySet), Fault> {
    let authority = around.authority(settings)?;
    let client_id: ClientId = settings.required_as(&variable::API_CLIENT_ID)?;
    // v2 tokens carry the client id as audience, v1 tokens the App ID URI.
    let audiences = vec![client_id.to_string(), format!("api://{client_id}")];
    let policy = Policy::new(around.world, trusted::issuers(&authority), audiences, trusted::tenants(&authority))
        .require(Requirement::scopes([SCOPE]));
    let keys = trusted::keys(&authority, around.world, &around.outside);
    let validator = Validator::new(policy, keys.clone(), Arc::clone(&around.outside.clock));
    Ok((Api::build(Arc::new(validator), Arc::clone(&around.outside.entropy)).router(), keys))
}
