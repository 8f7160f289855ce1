//! Things that happen once or seldom, asked about at every turn of a busy connection.
//!
//! Polling a future that waits for such a thing takes locks; a connection turns a hundred thousand times a second. So
//! it is polled once, which leaves the task's waker there, and then again only when a cheap look says that it has
//! happened. This relies on one task polling it from beginning to end, which is what every client's task does.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use entrant_credential::Snapshot;
use entrant_types::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Whether the end was asked for.
pub(super) struct Stopping {
    token: CancellationToken,
    wait: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Stopping {
    pub(super) fn new(token: &CancellationToken) -> Self {
        Self { token: token.clone(), wait: None }
    }

    /// Asks; the task is woken when the answer becomes yes.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        match self.wait {
            Some(_) => self.token.is_cancelled(),
            None => {
                let wait = self.wait.insert(Box::pin(self.token.clone().cancelled_owned()));
                wait.as_mut().poll(cx).is_ready()
            }
        }
    }
}

/// The keeper's next snapshot; never, once its driver is gone.
pub(super) struct Renewal {
    seen: watch::Receiver<Snapshot>,
    next: BoxFuture<'static, watch::Receiver<Snapshot>>,
    waits: bool,
}

impl Renewal {
    pub(super) fn of(seen: watch::Receiver<Snapshot>) -> Self {
        Self { next: next(seen.clone()), seen, waits: false }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Snapshot> {
        if self.waits && !self.seen.has_changed().unwrap_or(false) {
            return Poll::Pending;
        }
        self.waits = true;
        let mut snapshots = ready!(self.next.as_mut().poll(cx));
        let snapshot = snapshots.borrow_and_update().clone();
        *self = Self::of(snapshots);
        Poll::Ready(snapshot)
    }
}

fn next(mut snapshots: watch::Receiver<Snapshot>) -> BoxFuture<'static, watch::Receiver<Snapshot>> {
    Box::pin(async move {
        if snapshots.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        snapshots
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_task_that_asked_once_is_woken_by_the_end() {
        let (bell, token) = (Arc::new(Bell::default()), CancellationToken::new());
        let waker = Waker::from(Arc::clone(&bell));
        let (mut cx, mut stopping) = (Context::from_waker(&waker), Stopping::new(&token));
        assert!(!stopping.poll(&mut cx) && !stopping.poll(&mut cx));
        token.cancel();
        assert_eq!(bell.0.load(Ordering::Relaxed), 1);
        assert!(stopping.poll(&mut cx) && stopping.poll(&mut cx));
    }

    #[test]
    fn every_snapshot_wakes_a_task_that_asked() {
        let (sender, receiver) = watch::channel(Snapshot::default());
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        let (mut cx, mut renewal) = (Context::from_waker(&waker), Renewal::of(receiver));
        for round in 1..=3 {
            assert!(renewal.poll(&mut cx).is_pending() && renewal.poll(&mut cx).is_pending());
            sender.send_modify(|snapshot| snapshot.generation += 1);
            assert_eq!(bell.0.load(Ordering::Relaxed), round);
            assert!(matches!(renewal.poll(&mut cx), Poll::Ready(snapshot) if snapshot.generation == round as u64));
        }
        drop(sender);
        assert!(renewal.poll(&mut cx).is_pending() && renewal.poll(&mut cx).is_pending());
    }
}
