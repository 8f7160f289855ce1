//! The admin listener: `/startup` (did it start), `/readiness` (can it do its work now), `/liveness` (does it answer),
//! `/metrics`, and `/quitquitquit` where it is wanted.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What probes ask about.
#[derive(Default)]
pub(crate) struct Health {
    started: AtomicBool,
    checks: Mutex<Vec<(&'static str, Check)>>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.checks().iter().map(|(name, _)| name)).finish()
    }
}

impl Health {
    /// Adds what must hold for readiness; the error is a sentence without secrets.
    pub(crate) fn require(&self, name: &'static str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).push((name, Arc::new(check)));
    }

    /// Says that start-up is over.
    pub(crate) fn started(&self) {
        self.started.store(true, Ordering::Release);
    }

    fn checks(&self) -> Vec<(&'static str, Check)> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn readiness(&self) -> (StatusCode, Value) {
        let mut ready = self.started.load(Ordering::Acquire);
        let mut report = serde_json::Map::new();
        for (name, check) in self.checks() {
            let result = check();
            ready &= result.is_ok();
            report.insert(name.to_owned(), result.err().map_or(json!("ok"), Value::String));
        }
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, json!({ "ready": ready, "checks": report }))
    }
}

/// Probes and metrics.
pub(crate) fn router(health: Arc<Health>, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/startup", get(startup))
        .route("/readiness", get(readiness))
        .route("/liveness", get(async || "alive"))
        .with_state(health)
        .route("/metrics", get(async move || ([("content-type", "text/plain; version=0.0.4")], metrics.render())))
}

/// `POST /quitquitquit` ends the process. Of all programs on the machine only a browser says `Origin`, and no page
/// shall end it.
pub(crate) fn quitting(quit: CancellationToken) -> Router {
    let quit = async move |headers: HeaderMap| {
        if headers.contains_key(header::ORIGIN) {
            return (StatusCode::FORBIDDEN, "not from a browser");
        }
        quit.cancel();
        (StatusCode::OK, "stopping")
    };
    Router::new().route("/quitquitquit", post(quit))
}

async fn startup(State(health): State<Arc<Health>>) -> (StatusCode, &'static str) {
    if health.started.load(Ordering::Acquire) {
        (StatusCode::OK, "started")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting")
    }
}

async fn readiness(State(health): State<Arc<Health>>) -> (StatusCode, Json<Value>) {
    let (status, report) = health.readiness();
    (status, Json(report))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_needs_the_start_and_every_check() {
        let health = Health::default();
        health.require("token", || Ok(()));
        assert_eq!(health.readiness().0, StatusCode::SERVICE_UNAVAILABLE);
        health.started();
        assert_eq!(health.readiness().0, StatusCode::OK);
        health.require("redis", || Err("not connected".to_owned()));
        let (status, report) = health.readiness();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(report["checks"], json!({"token": "ok", "redis": "not connected"}));
    }
}
