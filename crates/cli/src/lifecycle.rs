//! A process's tasks, and its end in two stages: drain, then cancel.

use std::future::Future;
use std::time::Duration;

use entrant_types::{Fault, Whose};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ending::{Ending, Signal};

/// How long draining may take: what Kubernetes leaves of its 30 s after two probe periods of 10 s.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// The tasks of this process. Each must live until the shutdown; one that ends before is the end of the process.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    drain: CancellationToken,
    abort: CancellationToken,
    tasks: TaskTracker,
    deaths: mpsc::UnboundedSender<Fault>,
    died: mpsc::UnboundedReceiver<Fault>,
}

impl Lifecycle {
    /// Nothing runs yet.
    pub(crate) fn new() -> Self {
        // Unbounded, and still small: one message for each task at most.
        let (deaths, died) = mpsc::unbounded_channel();
        Self {
            drain: CancellationToken::new(),
            abort: CancellationToken::new(),
            tasks: TaskTracker::new(),
            deaths,
            died,
        }
    }

    /// Cancelled when draining starts: stop accepting, finish what runs.
    pub(crate) fn draining(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Runs a task that ends by itself when draining starts.
    pub(crate) fn serve<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        let (drain, abort, deaths) = (self.drain.clone(), self.abort.clone(), self.deaths.clone());
        let running = tokio::spawn(task);
        self.tasks.spawn(async move {
            let stop = running.abort_handle();
            let ended = tokio::select! {
                ended = running => ended,
                () = abort.cancelled() => {
                    stop.abort();
                    return;
                }
            };
            if drain.is_cancelled() {
                return;
            }
            let fault = match ended {
                Ok(Err(fault)) => fault,
                Ok(Ok(())) => death(name, "ended by itself"),
                Err(error) if error.is_panic() => death(name, "panicked"),
                Err(_) => death(name, "was cancelled"),
            };
            // Nobody listens once another death has ended the process.
            let _ = deaths.send(fault);
        });
    }

    /// Runs a task that never ends by itself (a keeper's driver); it is dropped once everything else has drained.
    pub(crate) fn drive<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let abort = self.abort.clone();
        let deaths = self.deaths.clone();
        let running = tokio::spawn(task);
        tokio::spawn(async move {
            let stop = running.abort_handle();
            tokio::select! {
                _ = running => {
                    if !abort.is_cancelled() {
                        let _ = deaths.send(death(name, "ended by itself"));
                    }
                }
                () = abort.cancelled() => stop.abort(),
            }
        });
    }

    /// Lives until a signal or a task's death, then drains; a second signal or the limit cuts it short.
    pub(crate) async fn run(mut self) -> Ending {
        let (mut interrupt, mut terminate) = match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
            (Err(error), _) | (_, Err(error)) => return Ending::broken(&format!("signals cannot be handled: {error}")),
        };
        let ending = tokio::select! {
            _ = interrupt.recv() => Ending::Signal(Signal::Interrupt),
            _ = terminate.recv() => Ending::Signal(Signal::Terminate),
            Some(fault) = self.died.recv() => fault.into(),
        };
        tracing::info!("stopping: finishing what runs (again to stop at once)");
        self.drain.cancel();
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => {}
            _ = interrupt.recv() => tracing::warn!("stopped at once"),
            _ = terminate.recv() => tracing::warn!("stopped at once"),
            _ = tokio::time::timeout(DRAIN_LIMIT, std::future::pending::<()>()) => {
                tracing::warn!(seconds = DRAIN_LIMIT.as_secs(), "draining took too long");
            }
        }
        self.abort.cancel();
        ending
    }
}

fn death(name: &str, how: &str) -> Fault {
    Fault::new(Whose::Entrant, format!("The task `{name}` {how}, which must not happen."), "Report this with the log.")
}
