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
    /// Starts all four on free ports; `emulator` are more arguments of the emulator, `web` of the web app.
    pub(crate) fn start(emulator: &[&str], web: &[&str]) -> Self {
        let emulator = Entrant::start(&[&["emulator", "--ports", "auto"], emulator].concat());
        let ready = emulator.ready_file();
        let attach = ["--ports", "auto", "--attach", ready.as_str()];
        let gate = Entrant::start(&[&["redis-gate"], &attach[..]].concat());
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
