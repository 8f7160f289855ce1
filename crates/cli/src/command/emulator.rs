//! `entrant emulator`, `emulator env` and `emulator run`: the laptop Azure alone, and for other people's SDKs.

use std::path::Path;
use std::time::Duration;

use entrant_host::{Child, SystemClock};
use entrant_types::{Clock as _, Fault};
use tokio::signal::unix::{SignalKind, signal};

use crate::ending::{self, Ending, Signal};
use crate::lifecycle::Stage;
use crate::process::Process;
use crate::ready::Ready;
use crate::settings::{Settings, bad};
use crate::state_folder::StateFolder;
use crate::surroundings::lapse;
use crate::{block, part, sdk_environment};

/// How long `emulator run` waits for what a first start signs.
const KEYS_LIMIT: Duration = Duration::from_secs(10);

/// Runs the emulator to its end.
pub(crate) async fn run(settings: &Settings) -> Result<Ending, Fault> {
    let mut process = Process::begin(settings).await?;
    let folder = StateFolder::open(settings)?;
    start(settings, &mut process, &folder).await?;
    let block = block::emulator(&process.ready);
    Ok(process.live(settings, &block).await)
}

async fn start(settings: &Settings, process: &mut Process, folder: &StateFolder) -> Result<(), Fault> {
    let (emulator, listeners) =
        part::emulator::build(settings, part::emulator::seed(settings)?, folder.emulator()).await?;
    part::emulator::describe(&mut process.ready, &emulator.facts());
    process.ready.time_lapse = lapse(settings)?.map(|lapse| lapse.to_string());
    let serving = emulator.run(listeners, process.draining(Stage::Front));
    process.lifecycle.serve(Stage::Front, "emulator", serving);
    Ok(())
}

/// Prints the environment for the emulator that is attached.
pub(crate) fn env(settings: &Settings) -> Result<Ending, Fault> {
    let ready = settings.attached.as_ref().ok_or_else(|| {
        bad(
            "No emulator was named.",
            "Start one with `entrant emulator --ready-file FILE`, then give --attach FILE here; or let `entrant emulator \
             run -- COMMAND` start one of its own.",
        )
    })?;
    ending::print(&sdk_environment::print(settings, &sdk_environment::of(settings, ready)?)?);
    Ok(Ending::Done)
}

/// Runs a command in that environment and ends as it does.
pub(crate) async fn run_command(settings: &Settings, command: &[String]) -> Result<Ending, Fault> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(bad("No command was given.", "Write it after --, as in: entrant emulator run -- python app.py"));
    };
    if let Some(ready) = &settings.attached {
        return child(settings, ready, program, arguments).await;
    }
    let folder = StateFolder::open(settings)?;
    let mut process = Process::quiet();
    start(settings, &mut process, &folder).await?;
    wait_for_token_file(&sdk_environment::of(settings, &process.ready)?).await;
    let ending = child(settings, &process.ready, program, arguments).await;
    process.lifecycle.drain().await;
    ending
}

/// A first start makes its keys meanwhile. Everything else waits for them by itself; a token file is simply not there yet.
async fn wait_for_token_file(environment: &[(String, String)]) {
    let file = environment.iter().find(|(name, _)| name == "AZURE_FEDERATED_TOKEN_FILE");
    let deadline = SystemClock.now() + KEYS_LIMIT;
    while file.is_some_and(|(_, path)| !Path::new(path).exists()) && SystemClock.now() < deadline {
        SystemClock.sleep_until(SystemClock.now() + Duration::from_millis(10)).await;
    }
}

/// The terminal's Ctrl-C reaches the command itself: here it must only not end us first.
async fn child(settings: &Settings, ready: &Ready, program: &str, arguments: &[String]) -> Result<Ending, Fault> {
    let environment = sdk_environment::of(settings, ready)?;
    let failed = |error: std::io::Error| {
        bad(format!("The command `{program}` could not be run: {error}."), "Check its name and the PATH.")
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let others = sdk_environment::others(&environment);
    let mut child = Child::attached(program, arguments, &environment, &others).map_err(failed)?;
    loop {
        tokio::select! {
            ended = child.wait() => return Ok(Ending::Child(u8::try_from(ended.map_err(failed)?).unwrap_or(1))),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {
                child.stop(Duration::ZERO).await;
                return Ok(Ending::Signal(Signal::Terminate));
            }
        }
    }
}
