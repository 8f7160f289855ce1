//! Which credential source the settings choose, and how the app registration proves who it is.

use std::fmt;
use std::sync::Arc;

use entrant_credential::sources::{AppService, ClientSecret, Imds};
use entrant_credential::{ClientAuth, Keeper, KeeperOptions, ManagedIdentityAssertion, Selector, Source};
use entrant_proto::managed_identity::IMDS_BASE;
use entrant_types::{ClientId, Fault, Scope, Secret};

use crate::lifecycle::Lifecycle;
use crate::settings::{Settings, bad};
use crate::surroundings::Surroundings;
use crate::variable::{self, Command};

/// The credential sources by the names of `--source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ManagedIdentity,
    ClientSecret,
}

const KINDS: &[(&str, Kind)] = &[("managed-identity", Kind::ManagedIdentity), ("client-secret", Kind::ClientSecret)];

/// The chosen source. Without a choice it is the managed identity, unless a client secret and no identity is configured.
pub(crate) fn kind(settings: &Settings) -> Result<Kind, Fault> {
    if let Some(kind) = settings.word(&variable::SOURCE, KINDS)? {
        return Ok(kind);
    }
    let secret_only = settings.secret(&variable::CLIENT_SECRET).is_some()
        && settings.text(&variable::MANAGED_IDENTITY_CLIENT_ID).is_none()
        && settings.text(&variable::IDENTITY_ENDPOINT).is_none();
    Ok(if secret_only { Kind::ClientSecret } else { Kind::ManagedIdentity })
}

/// A source of tokens for resources, as the settings choose it.
pub(crate) fn source(settings: &Settings, around: &Surroundings) -> Result<Arc<dyn Source>, Fault> {
    match kind(settings)? {
        Kind::ManagedIdentity => managed_identity(settings, around),
        Kind::ClientSecret => {
            let (authority, client_id) = (around.authority(settings)?, client_id(settings)?);
            let secret = client_secret(settings)?;
            Ok(Arc::new(ClientSecret::new(authority, client_id, secret, &around.outside)))
        }
    }
}

/// How the app registration proves who it is, and the keeper behind it when that is a managed identity.
pub(crate) fn client_auth(
    settings: &Settings,
    around: &Surroundings,
    lifecycle: &Lifecycle,
) -> Result<(ClientAuth, Option<Keeper>), Fault> {
    match kind(settings)? {
        Kind::ManagedIdentity => {
            let exchange = around.authority(settings)?.cloud().token_exchange();
            let keeper = keep(managed_identity(settings, around)?, Scope::new(exchange.as_str()), around, lifecycle);
            Ok((ClientAuth::Assertion(Arc::new(ManagedIdentityAssertion::new(keeper.clone()))), Some(keeper)))
        }
        Kind::ClientSecret => Ok((ClientAuth::Secret(client_secret(settings)?), None)),
    }
}

/// Keeps a source's token fresh for as long as the process lives.
pub(crate) fn keep(source: Arc<dyn Source>, scope: Scope, around: &Surroundings, lifecycle: &Lifecycle) -> Keeper {
    let (keeper, driver) = Keeper::new(source, scope, KeeperOptions::default(), &around.outside);
    lifecycle.drive("token keeper", driver.run());
    keeper
}

/// The client id of the app registration.
pub(crate) fn client_id(settings: &Settings) -> Result<ClientId, Fault> {
    settings.required_as(&variable::CLIENT_ID)
}

fn client_secret(settings: &Settings) -> Result<Secret, Fault> {
    settings.secret(&variable::CLIENT_SECRET).cloned().ok_or_else(|| {
        bad(
            "The source client-secret was chosen, but CLIENT_SECRET is not set.",
            "Set CLIENT_SECRET, or choose --source managed-identity, which needs no secret.",
        )
    })
}

/// App Service's endpoint where the platform offers one, else the metadata service.
fn managed_identity(settings: &Settings, around: &Surroundings) -> Result<Arc<dyn Source>, Fault> {
    let selector = selector(settings)?;
    let outside = &around.outside;
    if outside.env.get("IDENTITY_ENDPOINT").is_some() && outside.env.get("IDENTITY_HEADER").is_some() {
        return Ok(Arc::new(AppService::new(selector, outside)));
    }
    let base = settings.text(&variable::IMDS_HOST).unwrap_or(IMDS_BASE);
    Ok(Arc::new(Imds::at(base, selector, outside)))
}

/// Which identity: at most one way of naming it.
fn selector(settings: &Settings) -> Result<Selector, Fault> {
    // Where no app registration is involved, --client-id can only mean the identity's.
    let plain = settings.command() != Command::Web && settings.command() != Command::Doctor;
    let named_by_flag = plain && settings.is_flag(&variable::CLIENT_ID);
    let by_client_id = if named_by_flag {
        settings.parsed(&variable::CLIENT_ID)?
    } else {
        let own: Option<ClientId> = settings.parsed(&variable::MANAGED_IDENTITY_CLIENT_ID)?;
        match own {
            None if plain => settings.parsed(&variable::CLIENT_ID)?,
            own => own,
        }
    };
    let by_object_id = settings.parsed(&variable::OBJECT_ID)?;
    let by_resource_id = settings.text(&variable::RESOURCE_ID);
    let chosen: Vec<Selector> = [
        by_object_id.map(Selector::ObjectId),
        by_resource_id.map(|id| Selector::ResourceId(id.to_owned())),
        by_client_id.map(Selector::ClientId),
    ]
    .into_iter()
    .flatten()
    .collect();
    // An object or resource id is never ambient, so it wins over a client id that was not a flag.
    match chosen.as_slice() {
        [] => Ok(Selector::SystemAssigned),
        [Selector::ObjectId(_), Selector::ResourceId(_), ..] => Err(bad(
            "The identity is named by object id and by resource id.",
            "Give one of --object-id and --resource-id.",
        )),
        [first, ..] => Ok(first.clone()),
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(KINDS.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name))
    }
}
