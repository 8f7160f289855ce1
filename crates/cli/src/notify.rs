//! Telling systemd how far we are (`Type=notify`): a datagram to the socket that `NOTIFY_SOCKET` names, see
//! `sd_notify(3)`. Without the variable nothing is told.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use entrant_host::ProcessEnv;
use entrant_types::Env as _;

/// Everything that was asked for runs.
pub(crate) const READY: &str = "READY=1";
/// The end has begun.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// Tells it, if anybody wants to know. That nobody listens is no reason to stop.
pub(crate) fn tell(state: &str) {
    let Some(name) = ProcessEnv.get("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(OsStr::new(&name), state.as_bytes()) {
        tracing::warn!(%error, state, "systemd was not told");
    }
}

fn send(name: &OsStr, state: &[u8]) -> std::io::Result<()> {
    // A leading @ means the abstract name space, where the name has no file.
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(state, &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abstract_socket_is_reached_as_well() {
        let name = format!("entrant-notify-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(OsStr::new(&format!("@{name}")), READY.as_bytes()).unwrap();
        let mut told = [0; 32];
        let length = socket.recv(&mut told).unwrap();
        assert_eq!(&told[..length], b"READY=1");
    }
}
