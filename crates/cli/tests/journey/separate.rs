//! The system as four processes, wired by ready files alone.

use crate::process::Entrant;

/// Emulator, gate, API and web app, each a process of its own.
pub(crate) struct Separate {
    pub(crate) emulator: Entrant,
    pub(crate) gate: Entrant,
    pub(crate) api: Entrant,
    pub(crate) web: Entrant,
}

impl Separate {
    /// Starts all four on free ports; `emulator` and `gate` are more arguments of those.
    pub(crate) fn start(emulator: &[&str], gate: &[&str]) -> Self {
        Self::around(Entrant::start(&[&["emulator", "--ports", "auto"], emulator].concat()), gate, &[])
    }

    /// The same around an emulator that runs already; `web` are more arguments of the web app.
    pub(crate) fn around(emulator: Entrant, gate: &[&str], web: &[&str]) -> Self {
        let ready = emulator.ready_file();
        let attach = ["--ports", "auto", "--attach", ready.as_str()];
        let gate = Entrant::start(&[&["redis-gate"], &attach[..], gate].concat());
        let api = Entrant::start(&[&["api"], &attach[..]].concat());
        let redis = format!("localhost:{}", gate.port("gate_port"));
        let wiring = ["--redis", redis.as_str(), "--api-endpoint", api.fact("api_url")];
        let web = Entrant::start(&[&["web"], &attach[..], &wiring[..], web].concat());
        Self { emulator, gate, api, web }
    }

    /// Everything that the four have written.
    pub(crate) fn log(&self) -> String {
        [&self.emulator, &self.gate, &self.api, &self.web].map(Entrant::log).concat()
    }
}
