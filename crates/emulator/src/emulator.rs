//! The emulator as a whole: built, run, asked.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use entrant_types::{Clock, Entropy, Fault, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::config::{EmulatorConfig, KeySource};
use crate::counters::Counters;
use crate::facts::Facts;
use crate::faults::{FaultRule, FaultStatus};
use crate::journal::Entry;
use crate::seed::Seed;
use crate::server::{Listeners, serve};
use crate::state::State;
use crate::store::Store;
use crate::tls::{Certificates, certificates};
use crate::{console, control, entra, guard, managed};

/// Requests' bodies: a token request with an assertion is under 10 KiB.
const BODY_LIMIT: usize = 64 * 1024;

/// A laptop Azure. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Emulator {
    state: Arc<State>,
    certificates: Certificates,
    store: Store,
    key: KeySource,
}

/// An emulator that runs in the background until dropped; see [`Emulator::start`].
#[derive(Debug)]
pub struct Running {
    emulator: Emulator,
    stop: CancellationToken,
}

impl Emulator {
    /// Reads the seed, reads or makes certificates, reads the kept key. Generates no RSA key and starts nothing.
    ///
    /// # Errors
    /// When the seed has mistakes or the data directory cannot be used.
    pub fn build(config: EmulatorConfig) -> Result<Self, Fault> {
        let store = Store::open(config.data_dir.clone())?;
        let certificates = certificates(&store, config.system_now)?;
        let state = Arc::new(State::new(&config, &store)?);
        Ok(Self { state, certificates, store, key: config.key })
    }

    /// An emulator on free ports that keeps nothing, for tests: ready when this returns, stopped when dropped.
    ///
    /// # Errors
    /// When the seed has mistakes or no port is free.
    pub async fn start(
        seed: Seed,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        system_now: Timestamp,
    ) -> Result<Running, Fault> {
        let listeners = Listeners::bind(0, 0).await?;
        let emulator = Self::build(EmulatorConfig {
            seed,
            data_dir: None,
            entra_port: listeners.entra_port(),
            imds_port: listeners.imds_port(),
            clock,
            entropy,
            system_now,
            key: KeySource::Shared,
        })?;
        Ok(emulator.start_on(listeners))
    }

    /// Runs in the background on `listeners` until what is returned is dropped.
    #[must_use]
    pub fn start_on(self, listeners: Listeners) -> Running {
        let stop = CancellationToken::new();
        let running = self.clone().run(listeners, stop.clone());
        tokio::spawn(async move {
            if let Err(fault) = running.await {
                tracing::error!(%fault, "the emulator ended");
            }
        });
        Running { emulator: self, stop }
    }

    /// Serves until `shutdown`. A first start makes the signing key in the background; token requests wait for it.
    ///
    /// # Errors
    /// When the signing key cannot be made or kept.
    pub async fn run(self, listeners: Listeners, shutdown: CancellationToken) -> Result<(), Fault> {
        let (entra, imds) = listeners.into_parts();
        let maker = {
            let (state, key) = (self.state.clone(), self.key.clone());
            tokio::task::spawn_blocking(move || state.keys.ensure(&key))
        };
        let stop = shutdown.child_token();
        let secure = serve(entra, Some(self.certificates.server.clone()), self.secure_routes(), stop.clone());
        let plain = serve(imds, None, self.plain_routes(), stop.clone());
        let key = async {
            let made = maker.await.unwrap_or(Ok(()));
            if made.is_err() {
                stop.cancel();
            }
            made
        };
        let file = async {
            tokio::select! {
                () = stop.cancelled() => Ok(()),
                ended = managed::workload::keep(&self.state, &self.store) => {
                    stop.cancel();
                    ended
                }
            }
        };
        let (made, kept, (), ()) = tokio::join!(key, file, secure, plain);
        made.and(kept)
    }

    /// URLs, ids and paths.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts::of(&self.state, &self.certificates, &self.store)
    }

    /// Requests counted per endpoint.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.state.counters
    }

    /// Puts a fault rule in force; its number. See [`FaultRule`].
    ///
    /// # Errors
    /// When the rule could never mean anything.
    pub fn inject(&self, rule: FaultRule) -> Result<u64, Fault> {
        // Tokens from before must not hide what the rule does to new ones.
        self.state.identity_tokens.clear();
        self.state.faults.add(rule)
    }

    /// Ends all fault rules.
    pub fn clear_faults(&self) {
        self.state.identity_tokens.clear();
        self.state.faults.remove(None);
    }

    /// The fault rules in force, with how often each one struck.
    #[must_use]
    pub fn faults(&self) -> Vec<FaultStatus> {
        self.state.faults.all()
    }

    /// Moves the emulated present by `millis`; negative: back.
    pub fn step_clock(&self, millis: i64) {
        self.state.clock.step(millis);
    }

    /// Lets emulated time run `rate` times as fast as the clock that was handed in.
    pub fn set_clock_rate(&self, rate: f64) {
        self.state.clock.set_rate(rate);
    }

    /// Makes a new signing key the active one; older ones stay published.
    ///
    /// # Errors
    /// When the key cannot be made or kept.
    pub async fn rotate_keys(&self) -> Result<(), Fault> {
        self.state.rotate_keys().await
    }

    /// Publishes the active signing key only.
    pub fn withdraw_older_keys(&self) {
        self.state.keys.withdraw_older();
    }

    /// Ends every session and refresh token of a person (UPN or object id): AADSTS50173 from now on. `false` when
    /// there is no such person.
    pub fn revoke(&self, person: &str) -> bool {
        self.state.revoke(person)
    }

    /// The clock that tokens live by, adjustable while running: share it with what must agree with them.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.state.clock.clone())
    }

    /// TLS configuration with a certificate for `localhost` and 127.0.0.1, for other listeners of this process.
    #[must_use]
    pub fn server_tls(&self) -> Arc<rustls::ServerConfig> {
        self.certificates.server.clone()
    }

    /// What went over the wire, after entry number `after`.
    #[must_use]
    pub fn journal(&self, after: u64) -> Vec<Entry> {
        self.state.journal.since(after)
    }

    /// Adds what went over the wire elsewhere (API, Redis) to the journal, at this moment, so that the console can
    /// draw it: `Entry::new("web-app", "Redis", "AUTH")`.
    pub fn note(&self, mut entry: Entry) {
        entry.at = self.state.now();
        entry.bound();
        self.state.journal.add(entry);
    }

    pub(crate) fn state(&self) -> &Arc<State> {
        &self.state
    }

    fn secure_routes(&self) -> Router {
        self.finish(entra::secure_routes().merge(managed::secure_routes()))
    }

    fn plain_routes(&self) -> Router {
        self.finish(entra::browser_routes().merge(managed::routes()).merge(console::routes()).merge(control::routes()))
    }

    fn finish(&self, routes: Router<Arc<State>>) -> Router {
        routes
            .layer(axum::extract::DefaultBodyLimit::max(BODY_LIMIT))
            .layer(from_fn_with_state(self.state.clone(), guard::guard))
            .with_state(self.state.clone())
    }
}

impl std::ops::Deref for Running {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        &self.emulator
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
