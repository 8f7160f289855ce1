//! `entrant redis-gate`: the gate alone, in front of any Redis.

use std::path::PathBuf;
use std::time::Duration;

use entrant_host::tls;
use entrant_relay::assignments::{AssignmentMap, Assignments};
use entrant_relay::gate::{Backend, ClusterFront, GateConfig};
use entrant_types::Fault;

use crate::backend;
use crate::ending::Ending;
use crate::lifecycle::Stage;
use crate::process::Process;
use crate::settings::{Settings, read_small};
use crate::surroundings::Surroundings;
use crate::variable;
use crate::{block, listen, part};

/// As for the web app.
const START_LIMIT: Duration = Duration::from_millis(2500);

/// Runs it to its end.
pub(crate) async fn run(settings: &Settings) -> Result<Ending, Fault> {
    let around = Surroundings::of(settings)?;
    // An attached emulator has made a certificate for localhost and assignments of its seed.
    let beside = settings.attached.as_ref().and_then(|ready| ready.ca_path.as_ref()).map(PathBuf::from);
    let (own_cert, own_key) = beside.as_deref().map(part::emulator::certificate_files).unzip();
    let file = |variable, own: Option<PathBuf>| match settings.path(variable).or(own) {
        Some(path) => Ok(path),
        None => settings.required(variable).map(PathBuf::from),
    };
    let certificate = read_small(&file(&variable::TLS_CERT, own_cert)?, "certificate file")?;
    let key = read_small(&file(&variable::TLS_KEY, own_key)?, "key file")?;
    let policies = file(&variable::ASSIGNMENTS, beside.as_deref().map(part::emulator::assignments_file))?;
    let backend = Backend::parse(settings.required(&variable::BACKEND)?, &around.outside, &around.tls)?;
    let backend_name = backend.to_string();
    let assignments = Assignments::new(AssignmentMap::new());
    assignments.load(&policies, &around.outside).await?;
    let tls = tls::server_config(certificate.as_bytes(), key.as_bytes(), &[])?;

    let config = config(settings)?;

    let mut process = Process::begin(settings).await?;
    let listener = listen::on(settings, &variable::GATE_PORT, &variable::BIND).await?;
    backend::check(&backend).await?;
    let inner = part::gate::Inner { backend, assignments: assignments.clone(), tls, config };
    let (gate, keys) = part::gate::build(settings, &around, inner)?;
    part::trusted::try_out(&keys, START_LIMIT).await?;
    let outside = around.outside.clone();
    process.lifecycle.drive("assignments", async move { assignments.follow(&policies, &outside).await });
    process.ready.gate_host = Some("localhost".to_owned());
    process.ready.gate_port = Some(listen::port(&listener)?);
    process.ready.redis_backend = Some(backend_name.clone());
    process.serve_gate(Stage::Front, gate, listener);
    let place = process.ready.gate_port.map(|port| format!("localhost:{port} (TLS)"));
    let block = block::alone(&process.ready, &[("Redis gate", place), ("behind it", Some(backend_name))]);
    Ok(process.live(settings, &block).await)
}

fn config(settings: &Settings) -> Result<GateConfig, Fault> {
    let mut config = GateConfig { err_prefix: settings.on(&variable::ERR_PREFIX), ..GateConfig::default() };
    if let Some(host) = settings.text(&variable::CLUSTER_HOST) {
        let bind = settings.required_as(&variable::BIND)?;
        let first_port = Some(listen::number(settings, &variable::CLUSTER_PORTS)?).filter(|port| *port != 0);
        config.cluster = Some(ClusterFront { host: host.to_owned(), bind, first_port });
    }
    Ok(config)
}
