//! The outside as the settings want it, and which world this process lives in.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use entrant_host::{DialPolicy, Host, HostConfig, Lapse, SystemClock};
use entrant_proto::oauth::{Authority, Tenant};
use entrant_types::emulation::World;
use entrant_types::{Clock as _, Env, Fault, Outside, Secret};

use crate::settings::{Settings, bad};
use crate::variable::{self, Variable};

/// What the parts of one process are surrounded by.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) outside: Outside,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) world: World,
    pub(crate) authority: Option<Authority>,
}

impl Surroundings {
    /// From the settings of a command that talks to Entra. A loopback authority makes it the emulator's world, in which
    /// nothing but loopback is dialled.
    pub(crate) fn of(settings: &Settings) -> Result<Self, Fault> {
        let host = settings.required(&variable::AUTHORITY_HOST)?;
        let tenant = settings.text(&variable::TENANT_ID);
        if let Some(tenant) = tenant {
            let parsed = Tenant::parse(tenant).map_err(|fault| settings.wrong(&variable::TENANT_ID, &fault.what))?;
            // Entra would answer a bare word with AADSTS90002, but only once somebody signs in.
            if matches!(&parsed, Tenant::Name(name) if !name.contains('.')) {
                return Err(settings.wrong(&variable::TENANT_ID, "it is neither a GUID nor a domain name"));
            }
        }
        let probe = Authority::parse(host, tenant.unwrap_or("common"))
            .map_err(|fault| settings.wrong(&variable::AUTHORITY_HOST, &fault.what))?;
        let world =
            if entrant_types::emulation::is_loopback_host(probe.host()) { World::Emulator } else { World::Azure };
        let dial = match world {
            World::Emulator => DialPolicy::LoopbackOnly,
            World::Azure => DialPolicy::Any,
        };
        let lapse = lapse(settings)?;
        if lapse.is_some() && world == World::Azure {
            return Err(bad("A lapsed clock does not work with the real Entra ID.", "Leave out --time-lapse."));
        }
        let host = Host::new(HostConfig { ca_file: settings.path(&variable::CA), dial, lapse })?;
        let mut outside = host.outside;
        outside.env = Arc::new(Overlay::of(settings, outside.env));
        Ok(Self { outside, tls: host.tls, world, authority: tenant.map(|_| probe) })
    }

    /// The authority of a command that must have a tenant.
    pub(crate) fn authority(&self, settings: &Settings) -> Result<Authority, Fault> {
        settings.required(&variable::TENANT_ID)?;
        self.authority.clone().ok_or_else(|| settings.wrong(&variable::TENANT_ID, "it names no tenant"))
    }
}

/// The lapse that the settings ask for.
pub(crate) fn lapse(settings: &Settings) -> Result<Option<Lapse>, Fault> {
    settings.text(&variable::TIME_LAPSE).map(|text| Lapse::parse(text, SystemClock.now())).transpose()
}

/// The environment, with what was resolved from flags, an attached file or the config file in front, so that the
/// credential sources see the same precedence as everything else.
struct Overlay {
    resolved: BTreeMap<&'static str, Secret>,
    base: Arc<dyn Env>,
}

/// What the credential sources read from the environment by themselves.
const READ_BY_SOURCES: &[&Variable] = &[
    &variable::IDENTITY_ENDPOINT,
    &variable::IDENTITY_HEADER,
    &variable::IMDS_HOST,
    &variable::FEDERATED_TOKEN_FILE,
    &variable::AUTHORITY_HOST,
];

impl Overlay {
    fn of(settings: &Settings, base: Arc<dyn Env>) -> Self {
        let mut resolved = BTreeMap::new();
        for variable in READ_BY_SOURCES {
            let chosen = settings.is_chosen(variable).then(|| settings.text(variable)).flatten();
            let value = settings.secret(variable).cloned().or_else(|| chosen.map(Secret::from));
            resolved.extend(value.iter().flat_map(|value| variable.env.iter().map(|name| (*name, value.clone()))));
        }
        Self { resolved, base }
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.resolved.keys()).finish()
    }
}

impl Env for Overlay {
    fn get(&self, name: &str) -> Option<String> {
        self.resolved.get(name).map(|value| value.expose().to_owned()).or_else(|| self.base.get(name))
    }
}
