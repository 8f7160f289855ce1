//! Binding the ports that a command serves on.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use entrant_types::{Code, Fault, Retry, Whose};
use tokio::net::TcpListener;

use crate::settings::Settings;
use crate::variable::{self, Variable};

/// Binds `port` on loopback.
pub(crate) async fn loopback(settings: &Settings, port: &Variable) -> Result<TcpListener, Fault> {
    bind(settings, port, IpAddr::V4(Ipv4Addr::LOCALHOST)).await
}

/// Binds `port` on the address that the setting `address` names.
pub(crate) async fn on(settings: &Settings, port: &Variable, address: &Variable) -> Result<TcpListener, Fault> {
    let ip = settings.required_as(address)?;
    bind(settings, port, ip).await
}

/// The port that a setting names; 0, for any free one, with `--ports auto` unless it was given by name.
pub(crate) fn number(settings: &Settings, variable: &Variable) -> Result<u16, Fault> {
    let auto = settings.word(&variable::PORTS, &[("auto", true), ("fixed", false)])?.unwrap_or(false);
    if auto && !settings.is_chosen(variable) { Ok(0) } else { settings.required_as(variable) }
}

async fn bind(settings: &Settings, variable: &Variable, ip: IpAddr) -> Result<TcpListener, Fault> {
    at(variable, SocketAddr::new(ip, number(settings, variable)?)).await
}

/// Binds an address whose port the setting `variable` decides.
pub(crate) async fn at(variable: &Variable, address: SocketAddr) -> Result<TcpListener, Fault> {
    TcpListener::bind(address).await.map_err(|error| refused(variable, address, &error))
}

fn refused(variable: &Variable, address: SocketAddr, error: &io::Error) -> Fault {
    let fault = |what, fix| Fault::new(Whose::Configuration, what, fix).retry(Retry::Never);
    match error.kind() {
        io::ErrorKind::AddrInUse => fault(
            format!("Port {} ({}) is in use by another program.", address.port(), variable.help),
            format!(
                "Stop that program, choose another port with {}, or let --ports auto find one.",
                variable.spelled()
            ),
        )
        .code(Code::Entrant("port_in_use")),
        io::ErrorKind::PermissionDenied => fault(
            format!("Port {} may not be used: {error}.", address.port()),
            format!("Choose a port above 1023 with {}.", variable.spelled()),
        ),
        _ => fault(
            format!("{address} cannot be listened on: {error}."),
            format!("Choose another address or port with {}.", variable.spelled()),
        ),
    }
}

/// The port that was bound.
pub(crate) fn port(listener: &TcpListener) -> Result<u16, Fault> {
    listener
        .local_addr()
        .map(|address| address.port())
        .map_err(|error| Fault::new(Whose::Entrant, format!("A bound socket has no address: {error}."), "Report this."))
}
