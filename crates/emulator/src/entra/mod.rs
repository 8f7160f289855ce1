//! Entra ID: metadata, keys, authorization, tokens, sign-out.

mod app_only;
mod authorize;
mod client;
mod device;
mod federation;
mod grants;
mod issue;
mod logout;
mod metadata;
mod on_behalf_of;
mod redeem;
mod redirect;
mod scopes;
mod sign_in;
mod token;
mod userinfo;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

pub(crate) use grants::Grants;

use crate::state::State;

/// What the HTTPS listener serves.
pub(crate) fn secure_routes() -> Router<Arc<State>> {
    Router::new()
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(metadata::v2))
        .route("/{tenant}/.well-known/openid-configuration", get(metadata::v1))
        .route("/common/discovery/instance", get(metadata::instance))
        .route("/{tenant}/discovery/v2.0/keys", get(metadata::keys))
        .route("/{tenant}/discovery/keys", get(metadata::keys))
        .route("/{tenant}/oauth2/v2.0/token", post(token::token))
        .route("/{tenant}/oauth2/token", post(token::token_v1))
        .route("/{tenant}/oauth2/v2.0/devicecode", post(device::begin))
        .route("/oidc/userinfo", get(userinfo::userinfo).post(userinfo::userinfo))
        .merge(browser_routes())
}

/// What browsers visit: served over plain HTTP too, and advertised so, since browsers do not know the CA.
pub(crate) fn browser_routes() -> Router<Arc<State>> {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/authorize", get(authorize::ask).post(authorize::answer))
        .route("/{tenant}/oauth2/v2.0/logout", get(logout::logout).post(logout::logout))
        .route("/{tenant}/oauth2/logout", get(logout::logout).post(logout::logout))
        .route("/{tenant}/oauth2/deviceauth", get(device::ask).post(device::answer))
        .route("/{tenant}/v2.0/adminconsent", get(authorize::admin_consent))
}
