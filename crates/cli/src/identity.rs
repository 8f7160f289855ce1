//! Which credential source the settings choose, and how the app registration proves who it is.

use std::fmt;
use std::sync::Arc;

use entrant_credential::sources::{
    AzureCli, Certificate, ClientCertificate, ClientSecret, Federated, FileAssertion, WorkloadIdentity, development,
    federation_subject, managed_identity,
};
use entrant_credential::{ClientAuth, Keeper, KeeperDriver, KeeperOptions, ManagedIdentityAssertion, Selector, Source};
use entrant_types::{ClientId, Fault, ObjectId, Scope, Secret};

use crate::lifecycle::Lifecycle;
use crate::settings::{Settings, bad, read_bytes};
use crate::surroundings::Surroundings;
use crate::variable;

/// The credential sources by the names of `--source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ManagedIdentity,
    WorkloadIdentity,
    /// An app registration that trusts a managed identity.
    Federated,
    ClientSecret,
    ClientCertificate,
    AzureCli,
    /// The first of several that applies: for development.
    Chain,
}

const KINDS: &[(&str, Kind)] = &[
    ("managed-identity", Kind::ManagedIdentity),
    ("workload-identity", Kind::WorkloadIdentity),
    ("federated", Kind::Federated),
    ("client-secret", Kind::ClientSecret),
    ("client-certificate", Kind::ClientCertificate),
    ("azure-cli", Kind::AzureCli),
    ("chain", Kind::Chain),
];

impl Kind {
    /// In a sentence.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::ManagedIdentity => "managed identity",
            Self::WorkloadIdentity => "workload identity",
            Self::Federated => "app registration with its federated credential",
            Self::ClientSecret => "app registration with its client secret",
            Self::ClientCertificate => "app registration with its client certificate",
            Self::AzureCli => "Azure CLI",
            Self::Chain => "chain of sources",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(KINDS.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name))
    }
}

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
pub(crate) fn source(settings: &Settings, around: &Surroundings, kind: Kind) -> Result<Arc<dyn Source>, Fault> {
    let outside = &around.outside;
    let tenant = settings.text(&variable::TENANT_ID).map(str::to_owned);
    match kind {
        Kind::ManagedIdentity => Ok(managed_identity(selector(settings, kind)?, outside)),
        Kind::WorkloadIdentity => {
            let client_id = settings.parsed(&variable::CLIENT_ID)?;
            Ok(Arc::new(WorkloadIdentity::new(tenant, client_id, outside)))
        }
        Kind::Federated => {
            let selector = selector(settings, kind)?;
            let identity = managed_identity(selector.clone(), outside);
            let (authority, client_id) = (around.authority(settings)?, client_id(settings)?);
            Ok(Arc::new(Federated::new(authority, client_id, &selector, identity, outside)?))
        }
        Kind::ClientSecret => {
            let (authority, client_id) = (around.authority(settings)?, client_id(settings)?);
            Ok(Arc::new(ClientSecret::new(authority, client_id, client_secret(settings)?, outside)))
        }
        Kind::ClientCertificate => {
            let (authority, client_id) = (around.authority(settings)?, client_id(settings)?);
            let path = settings.required(&variable::CLIENT_CERTIFICATE)?;
            let password = settings.secret(&variable::CERTIFICATE_PASSWORD).cloned();
            Ok(Arc::new(ClientCertificate::new(authority, client_id, path, password, outside)))
        }
        Kind::AzureCli => Ok(Arc::new(AzureCli::new(tenant, outside))),
        Kind::Chain => Ok(Arc::new(development(tenant, selector(settings, kind)?, outside))),
    }
}

/// The web app's source of Redis tokens: the identity itself where the app registration is federated with one.
pub(crate) fn redis_source(settings: &Settings, around: &Surroundings) -> Result<Arc<dyn Source>, Fault> {
    match kind(settings)? {
        // Not by CLIENT_ID, which is the app registration's here.
        Kind::ManagedIdentity | Kind::Federated => {
            Ok(managed_identity(selector(settings, Kind::Federated)?, &around.outside))
        }
        other => source(settings, around, other),
    }
}

/// How the app registration proves who it is, and the keeper behind it when that is a managed identity.
pub(crate) fn client_auth(
    settings: &Settings,
    around: &Surroundings,
    lifecycle: &Lifecycle,
) -> Result<(ClientAuth, Option<Keeper>), Fault> {
    match kind(settings)? {
        Kind::ManagedIdentity | Kind::Federated => {
            let selector = selector(settings, Kind::Federated)?;
            if let Err(fault) = federation_subject(&selector, client_id(settings)?) {
                // Entra has the last word, and its own number for it.
                tracing::warn!(%fault, "Entra ID is going to refuse this");
            }
            let exchange = around.authority(settings)?.cloud().token_exchange();
            let identity = managed_identity(selector, &around.outside);
            let keeper = keep(identity, Scope::new(exchange.as_str()), around, lifecycle);
            Ok((ClientAuth::Assertion(Arc::new(ManagedIdentityAssertion::new(keeper.clone()))), Some(keeper)))
        }
        Kind::WorkloadIdentity => {
            let path = settings.required(&variable::FEDERATED_TOKEN_FILE)?;
            Ok((ClientAuth::Assertion(Arc::new(FileAssertion::new(path, &around.outside))), None))
        }
        Kind::ClientSecret => Ok((ClientAuth::Secret(client_secret(settings)?), None)),
        Kind::ClientCertificate => {
            let path = settings.required(&variable::CLIENT_CERTIFICATE)?;
            let file = read_bytes(path.as_ref(), "client certificate")?;
            let password = settings.secret(&variable::CERTIFICATE_PASSWORD);
            Ok((ClientAuth::Certificate(Arc::new(Certificate::read(&file, password)?)), None))
        }
        kind @ (Kind::AzureCli | Kind::Chain) => {
            Err(settings.wrong(&variable::SOURCE, &format!("{kind} gives a person's tokens, which prove no app")))
        }
    }
}

/// A keeper of a source's token, and the driver that keeps it.
pub(crate) fn keeper(source: Arc<dyn Source>, scope: Scope, around: &Surroundings) -> (Keeper, KeeperDriver) {
    Keeper::new(source, scope, KeeperOptions::default(), &around.outside)
}

/// Keeps a source's token fresh for as long as the process lives.
pub(crate) fn keep(source: Arc<dyn Source>, scope: Scope, around: &Surroundings, lifecycle: &Lifecycle) -> Keeper {
    let (keeper, driver) = self::keeper(source, scope, around);
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

/// Which managed identity. Where no app registration is involved, --client-id can only mean the identity's.
pub(crate) fn selector(settings: &Settings, kind: Kind) -> Result<Selector, Fault> {
    let object_id: Option<ObjectId> = settings.parsed(&variable::OBJECT_ID)?;
    let resource_id = settings.text(&variable::RESOURCE_ID);
    if object_id.is_some() && resource_id.is_some() {
        let fix = "Give one of --object-id and --resource-id.";
        return Err(bad("The identity is named both by object id and by resource id.", fix));
    }
    // Neither of them is ever ambient, while a client id often is: they win.
    if let Some(id) = object_id {
        return Ok(Selector::ObjectId(id));
    }
    if let Some(id) = resource_id {
        return Ok(Selector::ResourceId(id.to_owned()));
    }
    let alone = kind != Kind::Federated;
    let named = if alone && settings.is_flag(&variable::CLIENT_ID) {
        &variable::CLIENT_ID
    } else {
        &variable::MANAGED_IDENTITY_CLIENT_ID
    };
    let mut id: Option<ClientId> = settings.parsed(named)?;
    if id.is_none() && alone {
        id = settings.parsed(&variable::CLIENT_ID)?;
    }
    Ok(id.map_or(Selector::SystemAssigned, Selector::ClientId))
}
