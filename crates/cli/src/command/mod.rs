//! The commands, each a composition of parts.

mod api;
mod dev;
mod emulator;
mod redis_gate;
mod redis_proxy;
mod redis_proxy_manners;
mod token;
mod watch;
mod web;

use entrant_host::ProcessEnv;
use entrant_types::Fault;

use crate::arguments::{Parsed, Verb};
use crate::ending::{self, Ending};
use crate::settings::Settings;
use crate::variable::Command;
use crate::{doctor, reference, telemetry};

/// Runs what was asked for, to its end.
pub(crate) async fn run(parsed: Parsed) -> Ending {
    let Verb::Command(command) = parsed.verb else {
        ending::print(&reference::page());
        return Ending::Done;
    };
    let settings = match settings(command, &parsed) {
        Ok(settings) => settings,
        Err(fault) => return fault.into(),
    };
    let ending = match command {
        Command::Dev => dev::run(&settings).await,
        Command::Web => web::run(&settings).await,
        Command::Api => api::run(&settings).await,
        Command::RedisGate => redis_gate::run(&settings).await,
        Command::RedisProxy => redis_proxy::run(&settings).await,
        Command::RedisProxyWait => redis_proxy_manners::wait(&settings).await,
        Command::RedisProxyShutdown => redis_proxy_manners::shutdown(&settings).await,
        Command::Doctor => doctor::run(&settings).await,
        Command::Token => token::run(&settings).await,
        Command::Emulator => emulator::run(&settings).await,
        Command::EmulatorEnv => emulator::env(&settings),
        Command::EmulatorRun => emulator::run_command(&settings, &parsed.rest).await,
        Command::EmulatorCheck => watch::check(&parsed.rest),
        Command::EmulatorDoctor => doctor::sdk::run(&settings).await,
        Command::EmulatorTail => watch::tail(&settings).await,
    };
    ending.unwrap_or_else(Ending::from)
}

fn settings(command: Command, parsed: &Parsed) -> Result<Settings, Fault> {
    let settings = Settings::resolve(command, parsed, &ProcessEnv)?;
    telemetry::log(&settings)?;
    Ok(settings)
}
