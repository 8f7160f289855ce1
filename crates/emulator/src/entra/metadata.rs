//! OpenID metadata, instance discovery and signing keys.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::directory::TenantChoice;
use crate::refusal::Refusal;
use crate::state::State;

/// `/{tenant}/v2.0/.well-known/openid-configuration`
pub(super) async fn v2(Shared(state): Shared<Arc<State>>, Path(tenant): Path<String>) -> Response {
    document(&state, &tenant, 2)
}

/// `/{tenant}/.well-known/openid-configuration`
pub(super) async fn v1(Shared(state): Shared<Arc<State>>, Path(tenant): Path<String>) -> Response {
    document(&state, &tenant, 1)
}

fn document(state: &State, segment: &str, version: u8) -> Response {
    let Some(choice) = state.directory.tenant(segment) else { return unknown_tenant(state, segment) };
    let (origin, plain) = (&state.origins.entra, &state.origins.plain);
    // The segment as the client wrote it: a known one, hence free of anything that a URL could not hold.
    let issuer = match (choice, version) {
        (TenantChoice::One(tenant), 2) => state.issuers.v2(tenant.id),
        (TenantChoice::One(tenant), _) => state.issuers.v1(tenant.id),
        (TenantChoice::Any, 2) => format!("{}/{{tenantid}}/v2.0", state.issuers.v2_origin()),
        (TenantChoice::Any, _) => format!("{}/{{tenantid}}/", state.issuers.v2_origin()),
    };
    let segment = match choice {
        // `adfs` stays: its clients look for `/adfs/` paths.
        TenantChoice::One(tenant) if segment != "adfs" => tenant.id.to_string(),
        _ => segment.to_owned(),
    };
    let v2 = if version == 2 { "/v2.0" } else { "" };
    let oauth = format!("{segment}/oauth2/v2.0");
    let token =
        if version == 2 { format!("{origin}/{oauth}/token") } else { format!("{origin}/{segment}/oauth2/token") };
    Json(json!({
        "token_endpoint": token,
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": format!("{origin}/{segment}/discovery{v2}/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer,
        "request_uri_parameter_supported": false,
        "userinfo_endpoint": format!("{origin}/oidc/userinfo"),
        "authorization_endpoint": format!("{plain}/{oauth}/authorize"),
        "device_authorization_endpoint": format!("{origin}/{oauth}/devicecode"),
        "http_logout_supported": true,
        "frontchannel_logout_supported": true,
        "end_session_endpoint": format!("{plain}/{oauth}/logout"),
        "claims_supported": ["sub", "iss", "cloud_instance_name", "aud", "exp", "iat", "auth_time", "acr", "nonce",
            "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "tenant_region_scope": "WW",
        "cloud_instance_name": "emulator",
        "x-emulator": true,
    }))
    .into_response()
}

fn unknown_tenant(state: &State, segment: &str) -> Response {
    let mut refusal = Refusal::new(
        90002,
        format!("Tenant '{segment}' not found."),
        "Use the tenant id or domain that the console shows.",
    );
    refusal.shape.error = "invalid_tenant";
    let trace = state.trace(None);
    (StatusCode::BAD_REQUEST, Json(refusal.document(&trace))).into_response()
}

/// `/common/discovery/instance`
pub(super) async fn instance(Shared(state): Shared<Arc<State>>) -> Json<Value> {
    let host = state.origins.entra.trim_start_matches("https://");
    Json(json!({
        "tenant_discovery_endpoint": format!("{}/common/v2.0/.well-known/openid-configuration", state.origins.entra),
        "api-version": "1.1",
        "metadata": [{ "preferred_network": host, "preferred_cache": host, "aliases": [host] }],
    }))
}

/// `/{tenant}/discovery/v2.0/keys`
pub(super) async fn keys(Shared(state): Shared<Arc<State>>, Path(tenant): Path<String>) -> Response {
    if state.directory.tenant(&tenant).is_none() {
        return unknown_tenant(&state, &tenant);
    }
    match state.keys.get().await {
        Some(keys) => Json(keys.set()).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
