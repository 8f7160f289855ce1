//! One source, many scopes: a keeper for each, made when it is first asked for.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use entrant_types::{Code, Fault, Outside, Retry, Scope, Whose};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use crate::keeper::{Keeper, KeeperDriver, KeeperOptions};
use crate::source::Source;

/// A program names its resources in code or configuration: a handful. The bound is for one that takes them
/// from its callers.
const MOST_SCOPES: usize = 64;

/// The keepers of one source. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Keepers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    source: Arc<dyn Source>,
    options: KeeperOptions,
    outside: Outside,
    keepers: Mutex<HashMap<Scope, Keeper>>,
    drivers: mpsc::Sender<KeeperDriver>,
}

/// Drives every keeper of a [`Keepers`].
#[derive(Debug)]
pub struct KeepersDriver(mpsc::Receiver<KeeperDriver>);

impl Keepers {
    /// No keepers yet, and the driver of those to come.
    #[must_use]
    pub fn new(source: Arc<dyn Source>, options: KeeperOptions, outside: &Outside) -> (Self, KeepersDriver) {
        let (drivers, new) = mpsc::channel(MOST_SCOPES);
        let outside = outside.clone();
        let shared = Shared { source, options, outside, keepers: Mutex::default(), drivers };
        (Self(Arc::new(shared)), KeepersDriver(new))
    }

    /// The keeper of a scope.
    ///
    /// # Errors
    /// There are too many scopes already, or the driver is gone.
    pub fn get(&self, scope: &Scope) -> Result<Keeper, Fault> {
        // Held for a look-up only, never across an await.
        let mut keepers = self.0.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = keepers.get(scope) {
            return Ok(keeper.clone());
        }
        let full = |code| {
            let what = format!("no keeper can be made for {scope}");
            Fault::new(Whose::Caller, what, format!("Ask for at most {MOST_SCOPES} scopes while the program runs."))
                .retry(Retry::Never)
                .code(Code::Entrant(code))
        };
        if keepers.len() >= MOST_SCOPES {
            return Err(full("too_many_scopes"));
        }
        let (source, options) = (Arc::clone(&self.0.source), self.0.options);
        let (keeper, driver) = Keeper::new(source, scope.clone(), options, &self.0.outside);
        self.0.drivers.try_send(driver).map_err(|_| full("keeper_gone"))?;
        keepers.insert(scope.clone(), keeper.clone());
        Ok(keeper)
    }
}

impl KeepersDriver {
    /// Runs for ever: spawn it, and drop it to stop.
    pub async fn run(mut self) -> Infallible {
        let mut running: FuturesUnordered<BoxFuture<'static, Infallible>> = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(never) = running.next() => match never {},
                new = self.0.recv() => match new {
                    Some(driver) => running.push(Box::pin(driver.run())),
                    // Every handle is gone; the keepers handed out live on.
                    None => match running.next().await {
                        Some(never) => match never {},
                        None => std::future::pending().await,
                    },
                },
            }
        }
    }
}
