//! Which addresses may be dialled, checked before and after name resolution.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use entrant_types::emulation::is_loopback_host;
use hyper_util::client::legacy::connect::dns::Name;

/// Which addresses may be dialled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DialPolicy {
    /// Every address.
    #[default]
    Any,
    /// Loopback only: of a process that talks to the emulator. Other names are not even looked up.
    LoopbackOnly,
}

impl DialPolicy {
    /// Refuses a URL's host (name or address) by its text.
    pub(crate) fn check_host(self, host: &str) -> Result<(), String> {
        if self == Self::Any || is_loopback_host(host) {
            return Ok(());
        }
        Err(format!("{host} is not a loopback address, and with the emulator nothing else is dialled"))
    }

    fn check_address(self, name: &str, address: SocketAddr) -> io::Result<SocketAddr> {
        if self == Self::Any || address.ip().is_loopback() {
            return Ok(address);
        }
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{name} resolves to {}, which is not a loopback address", address.ip()),
        ))
    }
}

/// Resolves names as the system does and holds every answer against the policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PolicyResolver(pub(crate) DialPolicy);

impl tower_service::Service<Name> for PolicyResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let policy = self.0;
        Box::pin(async move {
            let name = name.as_str();
            let addresses = tokio::net::lookup_host((name, 0))
                .await
                .map_err(|error| io::Error::new(error.kind(), format!("{name} cannot be resolved: {error}")))?;
            let allowed: Vec<_> =
                addresses.map(|address| policy.check_address(name, address)).collect::<io::Result<_>>()?;
            Ok(allowed.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_resolves_elsewhere_is_refused_after_resolution() {
        let elsewhere = "10.1.2.3:443".parse().unwrap();
        assert!(DialPolicy::LoopbackOnly.check_address("rebind.localhost", elsewhere).is_err());
        assert!(DialPolicy::Any.check_address("example.test", elsewhere).is_ok());
        assert!(DialPolicy::LoopbackOnly.check_address("localhost", "127.0.0.1:1".parse().unwrap()).is_ok());
    }
}
