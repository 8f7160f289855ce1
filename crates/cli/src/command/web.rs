//! `entrant web`: the web app alone.

use std::time::Duration;

use entrant_types::Fault;

use crate::ending::Ending;
use crate::process::Process;
use crate::settings::Settings;
use crate::surroundings::Surroundings;
use crate::variable;
use crate::{block, listen, part};

/// Longer than any healthy hop takes, shorter than a person's patience with a command that says nothing.
const START_LIMIT: Duration = Duration::from_millis(2500);

/// Runs it to its end.
pub(crate) async fn run(settings: &Settings) -> Result<Ending, Fault> {
    let around = Surroundings::of(settings)?;
    let mut process = Process::begin(settings).await?;
    let listener = listen::on(settings, &variable::WEB_PORT, &variable::BIND).await?;
    let url = format!("http://localhost:{}", listen::port(&listener)?);
    let web = part::web::build(settings, &around, &process, &url)?;
    web.try_out(START_LIMIT).await?;
    process.serve_http("web app", listener, web.router);
    process.ready.web_url = Some(settings.text(&variable::PUBLIC_URL).map_or(url, str::to_owned));
    let block = block::alone(&process.ready, &[("web app", process.ready.web_url.clone())]);
    Ok(process.live(settings, &block).await)
}
