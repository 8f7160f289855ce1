//! What went over the wire beside the emulator, noted for its console: calls of the API, AUTHs on the Redis connection.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use entrant_emulator::{Emulator, Entry, TokenView};
use entrant_redis::{ManagedConnection, Status};
use entrant_types::Clock as _;
use entrant_types::Timestamp;

const WEB: &str = "web-app";

/// The API's routes, each call noted.
pub(super) fn api(router: Router, emulator: &Emulator) -> Router {
    let emulator = emulator.clone();
    router.layer(from_fn(move |request: Request, next: Next| note_call(emulator.clone(), request, next)))
}

async fn note_call(emulator: Emulator, request: Request, next: Next) -> Response {
    let what = format!("{} {}", request.method(), request.uri().path());
    let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let tokens = bearer.map(|token| TokenView::of("access token", token)).into_iter().collect();
    // Of the process's own clock: the emulator's may run faster.
    let asked = entrant_host::SystemClock.now();
    let response = next.run(request).await;
    let mut entry = Entry::new(WEB, "API", what);
    entry.at = emulator.clock().now();
    entry.status = response.status().as_u16();
    entry.millis = u32::try_from(asked.until(entrant_host::SystemClock.now()).as_millis()).ok().map(f64::from);
    entry.tokens = tokens;
    emulator.note(entry);
    response
}

/// Notes every AUTH of a connection, and every failure, for as long as it lives.
pub(super) async fn redis(connection: ManagedConnection, emulator: Emulator) {
    let mut changes = connection.subscribe();
    let mut noted: Option<Timestamp> = None;
    let mut failed = None;
    loop {
        let status = changes.borrow_and_update().clone();
        if status.last_auth.is_some() && status.last_auth != noted {
            noted = status.last_auth;
            emulator.note(auth(&status));
        }
        if status.last_fault != failed {
            failed.clone_from(&status.last_fault);
            if let Some(fault) = &failed {
                let mut entry = Entry::new(WEB, "Redis", "connect and AUTH");
                entry.at = emulator.clock().now();
                entry.status = 0;
                entry.code = fault.codes.first().map(ToString::to_string);
                entry.explanation = Some(format!("{} {}", fault.what, fault.fix));
                emulator.note(entry);
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn auth(status: &Status) -> Entry {
    let who = status.object_id.map_or_else(String::new, |id| id.to_string());
    let kind = if status.last_auth == status.connected_since {
        "on a new connection"
    } else {
        "again, on the live connection"
    };
    let until = status.token_expires.map_or_else(String::new, |moment| format!(", until {moment}"));
    let mut entry = Entry::new(WEB, "Redis", format!("AUTH {who} {kind}{until}"));
    entry.at = status.last_auth.unwrap_or_default();
    entry.status = 0;
    entry
}
