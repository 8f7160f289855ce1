//! `entrant dev`: the whole system in one process, wired over real sockets as in production.

mod faults;
mod journal;

use std::path::Path;
use std::time::Duration;

use entrant_emulator::Emulator;
use entrant_relay::assignments::{AccessString, Assignment, AssignmentMap, Assignments};
use entrant_relay::gate::{Backend, GateConfig};
use entrant_relay::store::{Store, StoreConfig};
use entrant_types::Fault;
use tokio::net::TcpListener;

use crate::backend::{self, OwnRedis};
use crate::ending::Ending;
use crate::lifecycle::Stage;
use crate::process::Process;
use crate::ready::Ready;
use crate::settings::Settings;
use crate::state_folder::StateFolder;
use crate::surroundings::{Surroundings, lapse};
use crate::variable::{self, Command};
use crate::{block, listen, part};

/// The first start makes an RSA key, which takes up to 0.6 s of one core, more on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Runs it to its end.
pub(crate) async fn run(settings: &Settings) -> Result<Ending, Fault> {
    // Every port is bound before anything is built: one in use is said at once, and all URLs are known.
    let mut process = Process::begin(settings).await?;
    let web = listen::loopback(settings, &variable::WEB_PORT).await?;
    let api = listen::loopback(settings, &variable::API_PORT).await?;
    let gate = listen::loopback(settings, &variable::GATE_PORT).await?;
    let folder = StateFolder::open(settings)?;
    let seed = part::emulator::seed(settings)?;
    let credential = part::emulator::federated_credential(&seed);
    let (emulator, listeners) = part::emulator::build(settings, seed, folder.emulator()).await?;

    part::emulator::describe(&mut process.ready, &emulator.facts());
    process.ready.time_lapse = lapse(settings)?.map(|lapse| lapse.to_string());
    process.ready.web_url = Some(format!("http://localhost:{}", listen::port(&web)?));
    process.ready.api_url = Some(format!("http://localhost:{}", listen::port(&api)?));
    process.ready.gate_host = Some("localhost".to_owned());
    process.ready.gate_port = Some(listen::port(&gate)?);

    let serving = emulator.clone().run(listeners, process.draining(Stage::Back));
    process.lifecycle.serve(Stage::Back, "emulator", serving);
    let around = surroundings(&process.ready, &emulator)?;
    let backend = backend(settings, folder.path(), &around, &mut process).await?;
    serve_gate(&process, &around, &emulator, backend, gate)?;
    serve_api(&process, &around, &emulator, api)?;
    serve_web(&process, &around, &emulator, credential, web).await?;

    let block = block::dev(&process.ready, folder.path());
    Ok(process.live(settings, &block).await)
}

/// What `entrant web --attach` would see, but for the clock, which the emulator's control plane can move.
fn surroundings(ready: &Ready, emulator: &Emulator) -> Result<Surroundings, Fault> {
    let mut around = Surroundings::of(&Settings::lent(Command::Web, ready))?;
    around.outside.clock = emulator.clock();
    Ok(around)
}

/// One's own Redis, else one found on the PATH, else the embedded store.
async fn backend(
    settings: &Settings,
    folder: &Path,
    around: &Surroundings,
    process: &mut Process,
) -> Result<Backend, Fault> {
    if let Some(url) = settings.text(&variable::REDIS_URL) {
        let backend = Backend::parse(url, &around.outside, &around.tls)?;
        backend::check(&backend).await?;
        // As the backend prints itself: without the credentials that the URL may hold.
        process.ready.redis_backend = Some(backend.to_string());
        return Ok(backend);
    }
    let Some(own) = OwnRedis::start(folder).await? else {
        process.ready.redis_backend = Some("embedded".to_owned());
        return Ok(Backend::Embedded(Store::new(StoreConfig::default(), &around.outside)));
    };
    process.ready.redis_backend = Some(own.name.clone());
    let backend = Backend::Unix(own.socket.clone());
    process.lifecycle.serve(Stage::Back, "Redis server", own.keep(process.draining(Stage::Back)));
    Ok(backend)
}

fn serve_gate(
    process: &Process,
    around: &Surroundings,
    emulator: &Emulator,
    backend: Backend,
    listener: TcpListener,
) -> Result<(), Fault> {
    let mut map = AssignmentMap::new();
    for fact in emulator.facts().redis_assignments {
        map.insert(fact.object_id, Assignment { access: AccessString::parse(&fact.access)?, name: Some(fact.name) });
    }
    let (assignments, config) = (Assignments::new(map), GateConfig::default());
    let inner = part::gate::Inner { backend, assignments, tls: emulator.server_tls(), config };
    let (gate, _keys) = part::gate::build(&Settings::lent(Command::RedisGate, &process.ready), around, inner)?;
    faults::gate(&gate, emulator);
    process.serve_gate(Stage::Back, gate, listener);
    Ok(())
}

fn serve_api(
    process: &Process,
    around: &Surroundings,
    emulator: &Emulator,
    listener: TcpListener,
) -> Result<(), Fault> {
    let (router, _keys) = part::api::build(&Settings::lent(Command::Api, &process.ready), around)?;
    process.serve_http("protected API", listener, journal::api(faults::api(router, emulator), emulator));
    Ok(())
}

async fn serve_web(
    process: &Process,
    around: &Surroundings,
    emulator: &Emulator,
    credential: Option<String>,
    listener: TcpListener,
) -> Result<(), Fault> {
    let settings = Settings::lent(Command::Web, &process.ready).with(&variable::FEDERATED_CREDENTIAL, credential);
    let url = process.ready.web_url.clone().unwrap_or_default();
    let web = part::web::build(&settings, around, process, &url)?;
    if let Some(redis) = web.redis.clone() {
        process.lifecycle.drive("journal", journal::redis(redis, emulator.clone()));
    }
    web.try_out(START_LIMIT).await?;
    process.serve_http("web app", listener, web.router);
    Ok(())
}
