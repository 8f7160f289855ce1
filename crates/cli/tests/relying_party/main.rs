//! The relying-party tests of the OpenID Foundation's conformance suite, re-created as faults of the emulator: one test
//! for each module, named after it, of our client as it is. `docs/reference/oidf-modules.md` is written from here.

#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "these tests stand outside the product: they read the real time for certificates, and stop at a broken promise"
)]

mod basic;
mod configuration;
mod lab;
mod logout;
mod module;
mod page;
mod refresh;
mod web_app;
