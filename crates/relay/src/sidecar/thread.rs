//! Threads that serve clients, each on a runtime of its own.
//!
//! A command crosses the sidecar twice, and each crossing is a few microseconds of system calls. Handing it to
//! another thread in between, as a work-stealing runtime does, costs about as much again. So a client stays on the
//! thread that accepted it.

use std::future::Future;
use std::io;

use entrant_types::{Code, Fault, Whose};

use super::listen::{Detached, Listener};
use super::serve::Serving;

/// More threads than this serve more clients than one Redis server does.
const MOST: usize = 8;

/// How many threads serve clients with connections of their own: half the cores, since the programs that are served,
/// or Redis itself, need the others.
pub(super) fn count() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).clamp(1, MOST)
}

/// Runs `body` to its end on a thread of its own. Returns at once; the thread is counted in `serving`.
///
/// # Errors
/// The thread could not be started.
pub(super) fn start<B, F>(name: &str, serving: &Serving, body: B) -> Result<(), Fault>
where
    B: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    // Held until the thread ends, so that the sidecar waits for it.
    let token = serving.tasks.token();
    let body = move || {
        runtime.block_on(body());
        // With it end the clients that are left.
        drop(runtime);
        drop(token);
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map(drop).map_err(failed)
}

/// The listeners, to be adopted by threads.
///
/// # Errors
/// The system refuses.
pub(super) fn detach(listeners: Vec<Listener>) -> Result<Vec<Detached>, Fault> {
    listeners.into_iter().map(Listener::detach).collect::<io::Result<_>>().map_err(failed)
}

/// The system's refusal of a thread, or of what it needs.
pub(super) fn failed(error: io::Error) -> Fault {
    let what = format!("a thread that serves clients cannot be started: {error}");
    Fault::new(Whose::Entrant, what, "Check the limits of threads and open files.").code(Code::Entrant("no_thread"))
}
