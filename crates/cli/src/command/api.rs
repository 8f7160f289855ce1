//! `entrant api`: the protected API alone.

use std::time::Duration;

use entrant_types::Fault;

use crate::ending::Ending;
use crate::process::Process;
use crate::settings::Settings;
use crate::surroundings::Surroundings;
use crate::variable;
use crate::{block, listen, part};

/// As for the web app.
const START_LIMIT: Duration = Duration::from_millis(2500);

/// Runs it to its end.
pub(crate) async fn run(settings: &Settings) -> Result<Ending, Fault> {
    let around = Surroundings::of(settings)?;
    let (router, keys) = part::api::build(settings, &around)?;
    let mut process = Process::begin(settings).await?;
    let listener = listen::on(settings, &variable::API_PORT, &variable::BIND).await?;
    part::trusted::try_out(&keys, START_LIMIT).await?;
    process.ready.api_url = Some(format!("http://localhost:{}", listen::port(&listener)?));
    process.serve_http("protected API", listener, router);
    let block = block::alone(&process.ready, &[("protected API", process.ready.api_url.clone())]);
    Ok(process.live(settings, &block).await)
}
