//! The Redis gate with its validator.

use std::sync::Arc;

use entrant_proto::oauth::Authority;
use entrant_relay::assignments::Assignments;
use entrant_relay::gate::{Backend, Gate, GateConfig, GateParts, REDIS_AUDIENCES};
use entrant_types::Fault;
use entrant_validate::{IssuerRule, KeySet, Policy, Tenants, Validator};

use super::trusted;
use crate::settings::Settings;
use crate::surroundings::Surroundings;
use crate::variable;

/// What differs between a gate of its own and the one of `entrant dev`.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) backend: Backend,
    pub(crate) assignments: Assignments,
    pub(crate) tls: Arc<rustls::ServerConfig>,
    pub(crate) config: GateConfig,
}

/// The gate, and the keys that it will judge tokens by.
pub(crate) fn build(settings: &Settings, around: &Surroundings, inner: Inner) -> Result<(Gate, KeySet), Fault> {
    let chosen = settings.many(&variable::ISSUER);
    let authority = match (around.authority.clone(), chosen.first()) {
        (Some(authority), _) => authority,
        (None, Some(issuer)) => {
            Authority::from_url(issuer).map_err(|fault| settings.wrong(&variable::ISSUER, &fault.what))?
        }
        (None, None) => around.authority(settings)?,
    };
    let (issuers, tenants) = if chosen.is_empty() {
        (trusted::issuers(&authority), trusted::tenants(&authority))
    } else {
        // Exact texts, each with its tenant in it.
        (chosen.iter().map(IssuerRule::new).collect(), Tenants::Any)
    };
    let audiences = REDIS_AUDIENCES.map(str::to_owned).to_vec();
    let policy = Policy::new(around.world, issuers, audiences, tenants);
    let keys = trusted::keys(&authority, around.world, &around.outside);
    let validator = Arc::new(Validator::new(policy, keys.clone(), Arc::clone(&around.outside.clock)));
    let Inner { backend, assignments, tls, config } = inner;
    let parts = GateParts { validator, assignments, backend, tls, outside: around.outside.clone() };
    Ok((Gate::build(config, parts)?, keys))
}
