//! `entrant redis-proxy`: the sidecar.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use entrant_relay::sidecar::{Listen, Listener, NodeAddress, Sidecar, SidecarConfig, Upstream};
use entrant_types::{Fault, Resource, Whose};

use crate::ending::{Ending, Signal};
use crate::identity;
use crate::lifecycle::Stage;
use crate::process::Process;
use crate::settings::{Settings, bad};
use crate::surroundings::Surroundings;
use crate::{block, listen, variable};

/// As for the web app.
const START_LIMIT: Duration = Duration::from_millis(2500);

/// Runs it to its end.
pub(crate) async fn run(settings: &Settings) -> Result<Ending, Fault> {
    let around = Surroundings::of(settings)?;
    let config = config(settings, &around)?;
    let upstream = config.upstream.address();
    let patience = config.min_drain + config.max_drain;
    let source = identity::source(settings, &around, identity::kind(settings)?)?;
    let place = place(settings)?;

    let mut process = Process::begin(settings).await?;
    process.lifecycle.wait_at_least(patience);
    let listener = bind(settings, &place).await?;
    let scope = Resource::new(Resource::REDIS).default_scope();
    let (keeper, driver) = identity::keeper(source, scope, &around);
    let guarded = config.client_password.is_some();
    let sidecar = Sidecar::build(config, keeper, &around.outside);
    if settings.on(&variable::LAZY_REFRESH) {
        let resting = sidecar.clone();
        process.lifecycle.drive("token keeper", async move { resting.while_used(driver.run()).await });
    } else {
        process.lifecycle.drive("token keeper", driver.run());
    }
    if settings.on(&variable::RUN_CONNECTION_TEST) {
        test(&sidecar, &upstream).await?;
    }
    let address = match &place {
        Listen::Unix(path) => format!("unix:{}", path.display()),
        Listen::Tcp(_) => {
            let port = port(&listener)?;
            process.ready.proxy_port = Some(port);
            format!("redis://127.0.0.1:{port}")
        }
    };
    let probed = sidecar.clone();
    process.health.require("sidecar", move || probed.health().not_ready.map_or(Ok(()), |fault| Err(fault.to_string())));
    let draining = process.draining(Stage::Front);
    process.lifecycle.serve(Stage::Front, "sidecar", async move {
        sidecar.run(vec![listener], draining).await;
        Ok(())
    });
    let password = if guarded { "with ENTRANT_CLIENT_PASSWORD" } else { "no password" };
    let facts = [("Redis sidecar", Some(format!("{address}  (plain, {password})"))), ("upstream", Some(upstream))];
    let block = block::alone(&process.ready, &facts);
    match process.live(settings, &block).await {
        Ending::Signal(Signal::Terminate) if settings.on(&variable::EXIT_ZERO_ON_SIGTERM) => Ok(Ending::Done),
        ending => Ok(ending),
    }
}

fn config(settings: &Settings, around: &Surroundings) -> Result<SidecarConfig, Fault> {
    let upstream = Upstream::parse(settings.required(&variable::UPSTREAM)?, Some(around.tls.clone()))
        .map_err(|fault| settings.wrong(&variable::UPSTREAM, &fault.what))?;
    let mut config = SidecarConfig::new(upstream);
    config.sharing = settings.word(&variable::SHARING, &[("on", true), ("off", false)])? == Some(true);
    let policies =
        [("off", None), ("public-name", Some(NodeAddress::PublicName)), ("announced", Some(NodeAddress::Announced))];
    config.cluster = settings.word(&variable::CLUSTER, &policies)?.flatten();
    if config.sharing && config.cluster.is_some() {
        return Err(settings.wrong(&variable::SHARING, "a cluster's connections are not shared"));
    }
    config.client_password = settings.secret(&variable::CLIENT_PASSWORD).cloned();
    config.lazy_refresh = settings.on(&variable::LAZY_REFRESH);
    config.max_connections = settings.required_as(&variable::MAX_CONNECTIONS)?;
    config.min_drain = Duration::from_secs(settings.required_as::<u32>(&variable::MIN_DRAIN)?.into());
    config.max_drain = Duration::from_secs(settings.required_as::<u32>(&variable::MAX_DRAIN)?.into());
    Ok(config)
}

fn place(settings: &Settings) -> Result<Listen, Fault> {
    match settings.text(&variable::LISTEN) {
        Some(text) => Listen::parse(text).map_err(|fault| settings.wrong(&variable::LISTEN, &fault.what)),
        None => {
            let port = listen::number(settings, &variable::PROXY_PORT)?;
            Ok(Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
        }
    }
}

async fn bind(settings: &Settings, place: &Listen) -> Result<Listener, Fault> {
    // The general way of saying that a port is in use names the flag to change.
    match place {
        Listen::Tcp(address) if settings.text(&variable::LISTEN).is_none() => {
            listen::at(&variable::PROXY_PORT, *address).await.map(Listener::Tcp)
        }
        _ => place.bind_for(mode(settings)?).await,
    }
}

fn mode(settings: &Settings) -> Result<u32, Fault> {
    let wrong = || settings.wrong(&variable::SOCKET_MODE, "it is no octal number up to 0777");
    let mode = u32::from_str_radix(settings.required(&variable::SOCKET_MODE)?, 8).map_err(|_| wrong())?;
    if mode <= 0o777 { Ok(mode) } else { Err(wrong()) }
}

fn port(listener: &Listener) -> Result<u16, Fault> {
    match listener.address() {
        Ok(Listen::Tcp(address)) => Ok(address.port()),
        _ => Err(bad("The sidecar's listener has no port.", "Give --listen 127.0.0.1:PORT.")),
    }
}

async fn test(sidecar: &Sidecar, upstream: &str) -> Result<(), Fault> {
    tokio::time::timeout(START_LIMIT, sidecar.check()).await.unwrap_or_else(|_| {
        let what = format!("Redis at {upstream} did not answer within {} s.", START_LIMIT.as_secs_f32());
        Err(Fault::new(Whose::Network, what, "Check --upstream, and that this machine may reach it."))
    })
}
