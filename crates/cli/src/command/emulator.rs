//! `entrant emulator`: the laptop Azure alone.

use entrant_host::private_folder;
use entrant_types::Fault;

use crate::ending::Ending;
use crate::lifecycle::Stage;
use crate::process::Process;
use crate::settings::Settings;
use crate::surroundings::lapse;
use crate::variable;
use crate::{block, part};

/// Runs it to its end.
pub(crate) async fn run(settings: &Settings) -> Result<Ending, Fault> {
    let mut process = Process::begin(settings).await?;
    let folder = private_folder(settings.path(&variable::DATA_DIR).as_deref())?;
    let (emulator, listeners) = part::emulator::build(settings, folder.join("emulator")).await?;
    part::emulator::describe(&mut process.ready, &emulator.facts());
    process.ready.time_lapse = lapse(settings)?.map(|lapse| lapse.to_string());
    let serving = emulator.run(listeners, process.draining(Stage::Front));
    process.lifecycle.serve(Stage::Front, "emulator", serving);
    let block = block::emulator(&process.ready);
    Ok(process.live(settings, &block).await)
}
