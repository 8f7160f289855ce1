//! The one binary `entrant`: composition, flags, exit codes, lifecycle.

mod admin;
mod arguments;
mod backend;
mod block;
mod command;
mod doctor;
mod ending;
mod http_server;
mod identity;
mod lifecycle;
mod listen;
mod notify;
mod part;
mod process;
mod ready;
mod reference;
mod sdk_environment;
mod settings;
mod state_folder;
mod surroundings;
mod telemetry;
mod variable;

use std::process::ExitCode;

use crate::ending::Ending;

fn main() -> ExitCode {
    let parsed = match arguments::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(ending) => return ending.report(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Ending::broken(&format!("the runtime cannot start: {error}")).report(),
    };
    let ending = runtime.block_on(command::run(parsed));
    // Whatever blocks a worker thread by now (a name lookup, a disk) must not keep the process.
    runtime.shutdown_background();
    ending.report()
}
