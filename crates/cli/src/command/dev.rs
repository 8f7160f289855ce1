//! `entrant dev`: the whole system in one process, wired over real sockets as in production.

use std::path::Path;
use std::sync::Arc;

use entrant_emulator::{Emulator, EmulatorConfig, Facts, KeySource, Listeners, Seed};
use entrant_host::{OsEntropy, SystemClock, clock, private_folder};
use entrant_relay::assignments::{AccessString, Assignment, AssignmentMap, Assignments};
use entrant_relay::gate::Backend;
use entrant_relay::store::{Store, StoreConfig};
use entrant_types::{Clock as _, Fault};
use tokio::net::TcpListener;

use crate::backend::{self, OwnRedis};
use crate::ending::Ending;
use crate::part;
use crate::process::Process;
use crate::ready::{Person, Ready};
use crate::settings::{Settings, read_small};
use crate::surroundings::{Surroundings, lapse};
use crate::variable::{self, Command};
use crate::{block, listen};

/// Every listener, bound before anything is built: a port in use is said at once, and URLs are known.
struct Ports {
    web: TcpListener,
    api: TcpListener,
    gate: TcpListener,
}

/// Runs it to its end.
pub(crate) async fn run(settings: &Settings) -> Result<Ending, Fault> {
    let mut process = Process::begin(settings).await?;
    let ports = Ports {
        web: listen::loopback(settings, &variable::WEB_PORT).await?,
        api: listen::loopback(settings, &variable::API_PORT).await?,
        gate: listen::loopback(settings, &variable::GATE_PORT).await?,
    };
    let folder = private_folder(settings.path(&variable::DATA_DIR).as_deref())?;
    let (emulator, listeners) = emulator(settings, &folder).await?;
    let facts = emulator.facts();
    facts_into(&mut process.ready, &facts);
    process.ready.time_lapse = lapse(settings)?.map(|lapse| lapse.to_string());
    process.ready.web_url = Some(format!("http://localhost:{}", listen::port(&ports.web)?));
    process.ready.api_url = Some(format!("http://localhost:{}", listen::port(&ports.api)?));
    process.ready.gate_host = Some("localhost".to_owned());
    process.ready.gate_port = Some(listen::port(&ports.gate)?);

    process.lifecycle.serve("emulator", emulator.clone().run(listeners, process.draining()));
    let around = surroundings(&process.ready, &emulator)?;
    let (backend, own) = backend(settings, &folder, &around).await?;
    process.ready.redis_backend = Some(backend_name(settings, own.as_ref()));
    if let Some(own) = own {
        keep_running(&process, own);
    }
    serve_gate(&process, &around, &emulator, backend, ports.gate)?;
    drop((ports.api, ports.web));
    let block = block::dev(&process.ready, &folder);
    Ok(process.live(settings, &block).await)
}

/// Builds the emulator on its ports.
async fn emulator(settings: &Settings, folder: &Path) -> Result<(Emulator, Listeners), Fault> {
    let entra = listen::number(settings, &variable::ENTRA_PORT)?;
    let imds = listen::number(settings, &variable::IMDS_PORT)?;
    let listeners = Listeners::bind(entra, imds).await?;
    let seed = match settings.path(&variable::SEED) {
        Some(path) => Seed::parse(&read_small(&path, "seed file")?)?,
        None => Seed::default(),
    };
    let emulator = Emulator::build(EmulatorConfig {
        seed,
        data_dir: Some(folder.join("emulator")),
        entra_port: listeners.entra_port(),
        imds_port: listeners.imds_port(),
        clock: clock(lapse(settings)?),
        system_now: SystemClock.now(),
        entropy: Arc::new(OsEntropy),
        key: KeySource::Kept,
    })?;
    Ok((emulator, listeners))
}

fn facts_into(ready: &mut Ready, facts: &Facts) {
    ready.authority = Some(facts.authority.clone());
    ready.tenant_id = Some(facts.tenant_id.to_string());
    ready.console_url = Some(facts.console_url.clone());
    ready.ca_path = facts.ca_path.as_deref().map(|path| path.display().to_string());
    ready.client_id = facts.client_id.map(|id| id.to_string());
    ready.api_client_id = facts.api_client_id.map(|id| id.to_string());
    ready.api_scope = facts.api_scope.clone();
    ready.managed_identity_client_id = facts.managed_identity_client_id.map(|id| id.to_string());
    ready.managed_identity_principal_id = facts.managed_identity_principal_id.map(|id| id.to_string());
    ready.imds_url = Some(facts.imds_url.clone());
    ready.identity_endpoint = Some(facts.identity_endpoint.clone());
    ready.identity_header = Some(facts.identity_header.expose().to_owned());
    let person = |person: &entrant_emulator::PersonFact| Person {
        upn: person.upn.clone(),
        object_id: person.object_id.to_string(),
    };
    ready.people = facts.people.iter().map(person).collect();
}

/// What `entrant web --attach` would see, but for the clock, which the emulator's control plane can move.
fn surroundings(ready: &Ready, emulator: &Emulator) -> Result<Surroundings, Fault> {
    let mut around = Surroundings::of(&Settings::lent(Command::Web, ready))?;
    around.outside.clock = emulator.clock();
    Ok(around)
}

async fn backend(
    settings: &Settings,
    folder: &Path,
    around: &Surroundings,
) -> Result<(Backend, Option<OwnRedis>), Fault> {
    if let Some(url) = settings.text(&variable::REDIS_URL) {
        let backend = Backend::parse(url, &around.outside)?;
        backend::check(&backend).await?;
        return Ok((backend, None));
    }
    if let Some(own) = OwnRedis::start(folder).await? {
        return Ok((Backend::Unix(own.socket.clone()), Some(own)));
    }
    Ok((Backend::Embedded(Store::new(StoreConfig::default(), &around.outside)), None))
}

fn backend_name(settings: &Settings, own: Option<&OwnRedis>) -> String {
    let chosen = settings.text(&variable::REDIS_URL).map(str::to_owned);
    chosen.or_else(|| own.map(|own| own.name.clone())).unwrap_or_else(|| "embedded".to_owned())
}

fn keep_running(process: &Process, mut own: OwnRedis) {
    let draining = process.draining();
    process.lifecycle.serve("redis server", async move {
        tokio::select! {
            fault = own.watch() => Err(fault),
            () = draining.cancelled() => {
                own.stop().await;
                Ok(())
            }
        }
    });
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
    let inner = part::gate::Inner { backend, assignments: Assignments::new(map), tls: emulator.server_tls() };
    let (gate, _keys) = part::gate::build(&Settings::lent(Command::RedisGate, &process.ready), around, inner)?;
    let draining = process.draining();
    process.lifecycle.serve("redis gate", async move {
        gate.run(listener, draining).await;
        Ok(())
    });
    Ok(())
}
