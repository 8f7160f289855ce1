//! UserInfo (OpenID Connect Core §5.3): who the bearer of a Graph token is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use entrant_proto::jose::{PublicKey, UnverifiedJwt};
use serde_json::{Value, json};

use super::federation::text;
use crate::state::State;

/// `GET|POST /oidc/userinfo`
pub(super) async fn userinfo(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    match claims(&state, &headers).await {
        Some(reply) => Json(reply).into_response(),
        None => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")]).into_response()
        }
    }
}

/// The person's claims, for an unexpired token of this directory that was made for Graph, as Entra wants it.
async fn claims(state: &State, headers: &HeaderMap) -> Option<Value> {
    let bearer = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let token = UnverifiedJwt::parse(bearer).ok()?;
    let keys = state.keys.get().await?;
    let kid = token.header().kid.as_deref()?;
    let jwk = keys.published.iter().find(|jwk| jwk.kid.as_deref() == Some(kid))?;
    token.verify(&PublicKey::from_jwk(jwk).ok()?).ok()?;
    let claims = token.unverified_claims();
    let fresh = claims.get("exp").and_then(Value::as_i64)? > state.now().secs();
    let for_graph = text(claims, "aud").trim_end_matches('/') == "https://graph.microsoft.com";
    if !fresh || !for_graph {
        return None;
    }
    let person = state.directory.person(text(claims, "oid"))?;
    Some(
        json!({ "sub": text(claims, "sub"), "name": person.name, "email": person.upn, "preferred_username": person.upn }),
    )
}
