//! The frame of every long-running command: admin listener, tasks, ready file, start-up block, end.

use std::sync::Arc;

use axum::Router;
use entrant_host::SystemClock;
use entrant_relay::gate::Gate;
use entrant_types::{Clock as _, Fault};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Health};
use crate::ending::{self, Ending};
use crate::lifecycle::{Lifecycle, Signals, Stage};
use crate::ready::Ready;
use crate::settings::Settings;
use crate::variable::{self, Command};
use crate::{http_server, listen, notify, telemetry};

/// How often histograms are compacted when nobody scrapes them: their samples would pile up otherwise.
const METRICS_UPKEEP: std::time::Duration = std::time::Duration::from_secs(10);

/// A process that serves until it is told to stop.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) health: Arc<Health>,
    pub(crate) ready: Ready,
}

impl Process {
    /// Starts recording metrics and serves the admin listener, on which nothing is ready yet.
    pub(crate) async fn begin(settings: &Settings) -> Result<Self, Fault> {
        let listener = match settings.command() {
            Command::Dev | Command::Emulator => listen::loopback(settings, &variable::ADMIN_PORT).await?,
            _ => listen::on(settings, &variable::ADMIN_PORT, &variable::ADMIN_BIND).await?,
        };
        let ready = Ready {
            admin_url: Some(format!("http://localhost:{}", listen::port(&listener)?)),
            pid: std::process::id(),
            ..Ready::default()
        };
        let process = Self { lifecycle: Lifecycle::new(), health: Arc::default(), ready };
        let metrics = telemetry::metrics()?;
        process.lifecycle.drive("metrics upkeep", upkeep(metrics.clone()));
        let mut router = admin::router(Arc::clone(&process.health), metrics);
        if settings.on(&variable::QUITQUITQUIT) {
            router = router.merge(admin::quitting(process.lifecycle.quit()));
        }
        process.serve_http("admin listener", listener, router);
        Ok(process)
    }

    /// A process without admin listener, for work that ends by itself.
    pub(crate) fn quiet() -> Self {
        Self { lifecycle: Lifecycle::new(), health: Arc::default(), ready: Ready::default() }
    }

    /// Serves `router` until draining.
    pub(crate) fn serve_http(&self, name: &'static str, listener: TcpListener, router: Router) {
        self.lifecycle.serve(Stage::Front, name, http_server::serve(listener, router, self.draining(Stage::Front)));
    }

    /// Serves the gate until its stage drains.
    pub(crate) fn serve_gate(&self, stage: Stage, gate: Gate, listener: TcpListener) {
        let draining = self.draining(stage);
        self.lifecycle.serve(stage, "Redis gate", async move {
            gate.run(listener, draining).await;
            Ok(())
        });
    }

    /// Cancelled when this stage starts draining.
    pub(crate) fn draining(&self, stage: Stage) -> CancellationToken {
        self.lifecycle.draining(stage)
    }

    /// Says that everything is up (ready file, probe, then `block` for people) and lives to the end.
    pub(crate) async fn live(self, settings: &Settings, block: &str) -> Ending {
        // Before anybody can know that we are here: who stops us right then gets an orderly end too.
        let signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(ending) => return ending,
        };
        let path = settings.path(&variable::READY_FILE);
        if let Some(path) = &path
            && let Err(fault) = self.ready.write(path)
        {
            return fault.into();
        }
        self.health.started();
        notify::tell(notify::READY);
        ending::print(block);
        let ending = self.lifecycle.run_until(signals).await;
        if let Some(path) = path {
            // A stale file would send the next reader to a process that is gone.
            let _ = std::fs::remove_file(path);
        }
        ending
    }
}

async fn upkeep(metrics: PrometheusHandle) {
    loop {
        SystemClock.sleep_until(SystemClock.now() + METRICS_UPKEEP).await;
        metrics.run_upkeep();
    }
}
