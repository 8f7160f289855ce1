//! The console: what the directory holds, and what really went over the wire.

mod diagram;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State as Shared};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use crate::directory::{Directory, names_by_id};
use crate::pages;
use crate::state::State;
use diagram::{Diagram, diagram};
use views::{AppView, EntryView, IdentityView, PersonView, app_views, entry_views, identity_views, person_views};

#[derive(Template)]
#[template(path = "console.html")]
struct Console<'a> {
    state: &'a State,
    tenant: String,
    domain: String,
    now: String,
    rate: f64,
    people: Vec<PersonView>,
    apps: Vec<AppView>,
    identities: Vec<IdentityView>,
    counters: Vec<(&'static str, u64, u64)>,
    faults: usize,
}

#[derive(Template)]
#[template(path = "flow.html")]
struct Flow {
    diagram: Diagram,
    entries: Vec<EntryView>,
    last: u64,
    now: String,
    live: bool,
    exported: bool,
}

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new().route("/", get(home)).route("/console/flow", get(flow)).route("/console/export", get(export))
}

async fn home(Shared(state): Shared<Arc<State>>) -> Response {
    let directory: &Directory = &state.directory;
    let names = names_by_id(directory);
    let (_, rate) = state.clock.offset_and_rate();
    let counters = state.counters.all().into_iter().filter(|(_, (all, _))| *all > 0);
    let template = Console {
        state: &state,
        tenant: directory.home().map(|tenant| tenant.id.to_string()).unwrap_or_default(),
        domain: directory.home().map(|tenant| tenant.domain.clone()).unwrap_or_default(),
        now: state.now().to_string(),
        rate,
        people: person_views(directory),
        apps: app_views(directory, &names),
        identities: identity_views(directory),
        counters: counters.map(|(name, (all, failed))| (name, all, failed)).collect(),
        faults: state.faults.all().len(),
    };
    pages::page(StatusCode::OK, &template, pages::STRICT)
}

#[derive(Deserialize)]
struct Window {
    /// Entries above this number only.
    #[serde(default)]
    after: u64,
    /// Whether the page renews itself.
    #[serde(default)]
    live: u8,
}

async fn flow(Shared(state): Shared<Arc<State>>, Query(window): Query<Window>) -> Response {
    pages::page(StatusCode::OK, &flow_of(&state, &window, false), pages::STRICT)
}

/// The run as one HTML file: no scripts, no pictures from elsewhere, no token that opens anything.
async fn export(Shared(state): Shared<Arc<State>>, Query(window): Query<Window>) -> Response {
    let mut response = pages::page(StatusCode::OK, &flow_of(&state, &window, true), pages::STRICT);
    let disposition = HeaderValue::from_static("attachment; filename=\"entrant-flow.html\"");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    response
}

fn flow_of(state: &State, window: &Window, exported: bool) -> Flow {
    let entries = state.journal.since(window.after);
    let names: BTreeMap<String, String> = names_by_id(&state.directory);
    Flow {
        diagram: diagram(&entries),
        last: entries.last().map_or(window.after, |entry| entry.number),
        entries: entry_views(&entries, &names),
        now: state.now().to_string(),
        live: window.live == 1 && !exported,
        exported,
    }
}
