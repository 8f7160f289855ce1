//! The laptop Azure: Entra ID and managed identity on loopback, for any SDK, with no Azure account.
//!
//! Parse a [`Seed`], bind [`Listeners`], [`Emulator::build`], [`Emulator::run`]. Tests use [`Emulator::start`].
//! This crate depends on `entrant-types` and `entrant-proto` only, never on the client side of Entrant, so that
//! a misunderstanding of the protocol cannot hide by being made on both sides.

mod aadsts;
mod beside;
mod clock;
mod config;
mod console;
mod control;
mod counters;
mod directory;
mod emulator;
mod entra;
mod facts;
mod faults;
mod guard;
mod journal;
mod keys;
mod managed;
mod pages;
mod refusal;
mod seed;
mod server;
mod state;
mod store;
mod tls;
mod token;

pub use crate::beside::{AuthTrouble, RedisGate};
pub use crate::config::{EmulatorConfig, KeySource};
pub use crate::counters::{Counters, Endpoint};
pub use crate::emulator::{Emulator, Running};
pub use crate::facts::{Facts, PersonFact, RedisAssignmentFact};
pub use crate::faults::{Challenge, Effect, FaultRule, FaultStatus, TokenKind};
pub use crate::journal::{Entry, TokenView};
pub use crate::seed::{Finding, Level, Seed};
pub use crate::server::Listeners;
