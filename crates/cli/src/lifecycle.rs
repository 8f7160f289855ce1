//! A process's tasks, and its end in stages: drain what people use, let go of what renews, drain what those relied on.

use std::future::Future;
use std::time::Duration;

use entrant_types::{Fault, Whose};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ending::{Ending, Signal};
use crate::notify;

/// How long draining may take: what Kubernetes leaves of its 30 s after two probe periods of 10 s.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// The tasks of this process. Each must live until the shutdown; one that ends before is the end of the process.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    front: Tier,
    back: Tier,
    /// Ends everything at once.
    abort: CancellationToken,
    /// The end was asked for from outside, other than by a signal.
    quit: CancellationToken,
    /// Ends the drivers, once the front has drained.
    release: CancellationToken,
    drivers: TaskTracker,
    deaths: mpsc::UnboundedSender<Fault>,
    died: mpsc::UnboundedReceiver<Fault>,
    patience: Duration,
}

/// Tasks that drain together.
#[derive(Debug, Default)]
struct Tier {
    drain: CancellationToken,
    tasks: TaskTracker,
}

/// Where a task stands when the process drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// First: what people and programs outside use.
    Front,
    /// Last: what the front relies on in this process (gate, emulator, Redis server).
    Back,
}

impl Lifecycle {
    /// Nothing runs yet.
    pub(crate) fn new() -> Self {
        // Unbounded, and still small: one message for each task at most.
        let (deaths, died) = mpsc::unbounded_channel();
        let (abort, release, quit) = Default::default();
        let (front, back) = Default::default();
        let drivers = TaskTracker::new();
        Self { front, back, abort, quit, release, drivers, deaths, died, patience: DRAIN_LIMIT }
    }

    /// Cancelled when this stage starts draining: stop accepting, finish what runs.
    pub(crate) fn draining(&self, stage: Stage) -> CancellationToken {
        self.tier(stage).drain.clone()
    }

    /// Cancel it to end the process as a signal does, but with exit code 0.
    pub(crate) fn quit(&self) -> CancellationToken {
        self.quit.clone()
    }

    /// Lets draining take this long and a little more, where a setting asks for it.
    pub(crate) fn wait_at_least(&mut self, drain: Duration) {
        self.patience = self.patience.max(drain + Duration::from_secs(1));
    }

    fn tier(&self, stage: Stage) -> &Tier {
        match stage {
            Stage::Front => &self.front,
            Stage::Back => &self.back,
        }
    }

    /// Runs a task that ends by itself when its stage drains.
    pub(crate) fn serve<F>(&self, stage: Stage, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        let (drain, abort, deaths) = (self.draining(stage), self.abort.clone(), self.deaths.clone());
        let running = tokio::spawn(task);
        self.tier(stage).tasks.spawn(async move {
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

    /// Runs a task that never ends by itself (a keeper's driver); it is let go once the front has drained.
    pub(crate) fn drive<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (release, deaths) = (self.release.clone(), self.deaths.clone());
        self.drivers.spawn(async move {
            if release.run_until_cancelled_owned(task).await.is_some() {
                // As above.
                let _ = deaths.send(death(name, "ended by itself"));
            }
        });
    }

    /// Lives until a signal or a task's death, then drains; a second signal or the limit cuts it short.
    pub(crate) async fn run(self) -> Ending {
        match Signals::listen() {
            Ok(signals) => self.run_until(signals).await,
            Err(ending) => ending,
        }
    }

    /// The same for a process that has announced itself: it has listened to signals since before that.
    pub(crate) async fn run_until(mut self, signals: Signals) -> Ending {
        let Signals { mut interrupt, mut terminate } = signals;
        let ending = tokio::select! {
            _ = interrupt.recv() => Ending::Signal(Signal::Interrupt),
            _ = terminate.recv() => Ending::Signal(Signal::Terminate),
            () = self.quit.cancelled() => Ending::Done,
            Some(fault) = self.died.recv() => fault.into(),
        };
        notify::tell(notify::STOPPING);
        tracing::info!("stopping: finishing what runs (again to stop at once)");
        tokio::select! {
            () = self.drain() => {}
            _ = interrupt.recv() => tracing::warn!("stopped at once"),
            _ = terminate.recv() => tracing::warn!("stopped at once"),
            _ = tokio::time::timeout(self.patience, std::future::pending::<()>()) => {
                tracing::warn!(seconds = self.patience.as_secs(), "draining took too long");
            }
        }
        self.abort.cancel();
        ending
    }

    /// Front, drivers, back.
    pub(crate) async fn drain(&self) {
        self.front.end().await;
        self.release.cancel();
        // Gone before the back ends: they would take that for a failure, and say so.
        self.drivers.close();
        self.drivers.wait().await;
        self.back.end().await;
    }
}

/// What tells the process to end. From the moment of listening on, neither signal kills it outright.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self, Ending> {
        match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => Ok(Self { interrupt, terminate }),
            (Err(error), _) | (_, Err(error)) => Err(Ending::broken(&format!("signals cannot be handled: {error}"))),
        }
    }
}

impl Tier {
    async fn end(&self) {
        self.drain.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn death(name: &str, how: &str) -> Fault {
    Fault::new(Whose::Entrant, format!("The task `{name}` {how}, which must not happen."), "Report this with the log.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_task_that_ends_by_itself_ends_the_process_and_is_named() {
        let lifecycle = Lifecycle::new();
        lifecycle.serve(Stage::Front, "web app", async { Ok(()) });
        let Ending::Failed(fault) = tokio::time::timeout(LIMIT, lifecycle.run()).await.unwrap() else { unreachable!() };
        assert!(fault.what.contains("`web app` ended by itself"), "{fault}");
    }

    #[tokio::test]
    async fn a_panic_ends_the_process() {
        let lifecycle = Lifecycle::new();
        lifecycle.serve(Stage::Back, "gate", async { unreachable!("a defect") });
        let Ending::Failed(fault) = tokio::time::timeout(LIMIT, lifecycle.run()).await.unwrap() else { unreachable!() };
        assert!(fault.what.contains("`gate` panicked"), "{fault}");
    }

    #[tokio::test]
    async fn the_front_drains_before_what_it_relies_on() {
        let lifecycle = Lifecycle::new();
        let (said, mut order) = mpsc::unbounded_channel();
        for (stage, name) in [(Stage::Back, "back"), (Stage::Front, "front")] {
            let (draining, said) = (lifecycle.draining(stage), said.clone());
            lifecycle.serve(stage, name, async move {
                draining.cancelled().await;
                tokio::task::yield_now().await;
                said.send(name).unwrap();
                Ok(())
            });
        }
        tokio::time::timeout(LIMIT, lifecycle.drain()).await.unwrap();
        assert_eq!((order.recv().await, order.recv().await), (Some("front"), Some("back")));
    }
}
