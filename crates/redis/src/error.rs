//! Between the `redis` crate's errors and sentences that a person can act on.

use std::error::Error;
use std::io;
use std::sync::Arc;

use entrant_types::{Code, Fault, Retry, Whose};
use redis::RedisError;

/// A fault as the `redis` crate's error; [`fault_of`] gets it back.
pub(crate) fn carry(fault: Fault, kind: io::ErrorKind) -> RedisError {
    RedisError::from(io::Error::new(kind, fault))
}

/// What an error of a [`ManagedConnection`](crate::ManagedConnection) means and what to change. Errors of the
/// server keep their first word as code.
#[must_use]
pub fn fault_of(error: &RedisError) -> Fault {
    if let Some(fault) = carried(error) {
        return fault.clone();
    }
    if let Some(code) = error.code() {
        return server_error(code, error);
    }
    if error.is_io_error() {
        return Fault::new(
            Whose::Network,
            format!("the connection to Redis was lost ({error})"),
            "It is made anew by itself; try the command again if it may run twice.",
        )
        .code(Code::Entrant("redis_connection_lost"));
    }
    Fault::new(Whose::Caller, format!("the Redis command failed: {error}"), "Check the command and the type it reads.")
}

fn carried(error: &RedisError) -> Option<&Fault> {
    // The crate keeps its cause in an Arc and shows the Arc as the source.
    let source = error.source()?;
    let inner: &(dyn Error + 'static) = match source.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        Some(shared) => &**shared,
        None => source,
    };
    inner.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<Fault>()
}

fn server_error(code: &str, error: &RedisError) -> Fault {
    let fault = match code {
        "NOPERM" => Fault::new(
            Whose::Configuration,
            format!("Redis does not allow this command: {error}"),
            "Extend the access string of the identity's access policy assignment.",
        )
        .retry(Retry::Never),
        "NOAUTH" | "WRONGPASS" => Fault::new(
            Whose::Configuration,
            format!("Redis does not accept the identity: {error}"),
            "Check the access policy assignment of the object id.",
        ),
        "LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" => {
            Fault::new(Whose::Provider, format!("Redis is not ready: {error}"), "Try again in a moment.")
        }
        _ => Fault::new(
            Whose::Caller,
            format!("Redis refused the command: {error}"),
            "Check the command, its arguments and the key's type.",
        )
        .retry(Retry::Never),
    };
    fault.code(Code::Redis(code.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_survives_the_way_through_the_redis_crate_s_error() {
        let fault = Fault::new(Whose::Provider, "the identity endpoint does not answer", "Start it.");
        let error = carry(fault.clone(), io::ErrorKind::NotConnected);
        assert_eq!(fault_of(&error), fault);
        assert_eq!(fault_of(&error.clone()), fault);
        assert!(error.is_connection_dropped());
        assert!(error.to_string().contains("Start it."), "{error}");
    }
}
