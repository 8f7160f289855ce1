//! Redis as the web app meets it: TLS, AUTH with the identity's token, and what the access policy allows.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::BytesMut;
use entrant_proto::resp::encode_command;
use entrant_relay::sidecar::{Listen, Sidecar, SidecarConfig, Upstream};
use entrant_types::{Code, Fault, Resource, Whose};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{Finding, Patient, Report, limited};
use crate::identity;
use crate::variable;

/// Of its own namespace, and gone after a moment.
const KEY: &str = "entrant:doctor";

/// Connects as the sidecar does, then writes and reads as the session store does.
pub(super) async fn check(patient: &Patient<'_>, report: &mut Report) {
    let Some(address) = patient.settings.text(&variable::REDIS).map(str::to_owned) else {
        report.add("Redis", Finding::Skipped("no Redis is set".to_owned()));
        return;
    };
    let sidecar = match sidecar(patient, &address) {
        Ok(sidecar) => sidecar,
        Err(fault) => {
            report.add("Redis", Finding::Failed(Box::new(fault)));
            return;
        }
    };
    let opened = limited(&format!("Redis at {address}"), sidecar.check()).await;
    if report.judge("Redis", opened.map(|()| format!("{address}: TLS and AUTH with the object id work"))) {
        let stop = CancellationToken::new();
        let allowed = limited("Redis", permissions(&sidecar, &stop)).await;
        stop.cancel();
        report.judge("Redis permissions", allowed.map(|()| "may write, read and delete session keys".to_owned()));
    }
}

fn sidecar(patient: &Patient<'_>, address: &str) -> Result<Sidecar, Fault> {
    let (host, port) = crate::part::web::host_and_port(address, 10_000)
        .map_err(|why| patient.settings.wrong(&variable::REDIS, why))?;
    let upstream = Upstream::parse(&format!("{host}:{port}"), Some(patient.around.tls.clone()))?;
    let source = identity::redis_source(patient.settings, &patient.around)?;
    let scope = Resource::new(Resource::REDIS).default_scope();
    let keeper = identity::keep(source, scope, &patient.around, &patient.lifecycle);
    Ok(Sidecar::build(SidecarConfig::new(upstream), keeper, &patient.around.outside))
}

/// Speaks plain Redis to a sidecar of its own.
async fn permissions(sidecar: &Sidecar, stop: &CancellationToken) -> Result<(), Fault> {
    let listener = Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).bind().await?;
    let Ok(Listen::Tcp(address)) = listener.address() else { return Err(broken("the listener has no address")) };
    let (serving, draining) = (sidecar.clone(), stop.clone());
    tokio::spawn(async move { serving.run(vec![listener], draining).await });
    let failed = |error: std::io::Error| broken(&error.to_string());
    let mut stream = BufReader::new(TcpStream::connect(address).await.map_err(failed)?);
    for command in [&["SET", KEY, "1", "EX", "5"][..], &["EXISTS", KEY], &["DEL", KEY]] {
        let mut bytes = BytesMut::new();
        encode_command(&mut bytes, command);
        stream.write_all(&bytes).await.map_err(failed)?;
        let mut reply = String::new();
        stream.read_line(&mut reply).await.map_err(failed)?;
        if let Some(error) = reply.strip_prefix('-') {
            return Err(refused(command[0], error.trim_end()));
        }
        if reply.is_empty() {
            return Err(broken("the connection ended"));
        }
    }
    Ok(())
}

fn refused(command: &str, error: &str) -> Fault {
    let word = error.split(' ').next().unwrap_or_default();
    let shown: String = error.chars().filter(|c| !c.is_control()).take(200).collect();
    Fault::new(
        Whose::Configuration,
        format!("Redis refuses {command} to this identity: {shown}."),
        "Assign its object id an access policy that may write, such as Data Contributor.",
    )
    .code(Code::Redis(word.to_owned()))
}

fn broken(why: &str) -> Fault {
    Fault::new(Whose::Network, format!("The test through a sidecar broke off: {why}."), "Run the doctor again.")
}
