//! The console: what the directory holds and what went over the wire.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;

use crate::journal::Entry;
use crate::pages;
use crate::state::State;

#[derive(Template)]
#[template(path = "console.html")]
struct Console<'a> {
    state: &'a State,
    entries: Vec<Entry>,
}

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new().route("/", get(home))
}

async fn home(Shared(state): Shared<Arc<State>>) -> Response {
    let mut entries = state.journal.since(0);
    entries.reverse();
    entries.truncate(50);
    pages::page(StatusCode::OK, &Console { state: &state, entries }, pages::STRICT)
}
