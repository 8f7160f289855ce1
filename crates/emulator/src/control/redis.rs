//! `POST /control/redis`: connections closed, access policy assignments deleted and given back.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

use crate::state::State;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Action {
    /// Closes the connections of `who`, or all of them: what a revocation, or a failover, looks like to a client.
    Disconnect,
    DeletePolicy,
    RestorePolicy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    action: Action,
    who: Option<String>,
}

pub(super) async fn act(Shared(state): Shared<Arc<State>>, Json(order): Json<Order>) -> Response {
    let refuse = |status: StatusCode, text: &str| (status, Json(json!({ "error": text }))).into_response();
    let Some(gate) = state.gate.get() else {
        return refuse(StatusCode::CONFLICT, "No Redis gate is in this process; `entrant dev` has one.");
    };
    let who = match &order.who {
        None => None,
        Some(text) => match state.directory.object_id(text) {
            Some(id) => Some(id),
            None => return refuse(StatusCode::NOT_FOUND, "Nobody is called so; give a name, UPN or object id."),
        },
    };
    let affected = match (order.action, who) {
        (Action::Disconnect, who) => gate.disconnect(who),
        (Action::DeletePolicy, Some(who)) => usize::from(gate.delete_policy(who)),
        (Action::RestorePolicy, Some(who)) => usize::from(gate.restore_policy(who)),
        (Action::DeletePolicy | Action::RestorePolicy, None) => {
            return refuse(StatusCode::UNPROCESSABLE_ENTITY, "A policy is somebody's: name them in `who`.");
        }
    };
    Json(json!({ "affected": affected })).into_response()
}
