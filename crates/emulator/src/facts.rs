//! What others need to know of a running emulator: URLs, ids, paths.

use std::path::PathBuf;

use entrant_types::{ClientId, ObjectId, Secret, TenantId};

use crate::managed::workload::TOKEN_FILE;
use crate::seed::IdentityKind;
use crate::state::State;
use crate::store::Store;
use crate::tls::Certificates;

/// URLs, ids and paths of a running emulator, for the ready file and for tests.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `https://localhost:PORT/TENANT`.
    pub authority: String,
    /// `https://localhost:PORT`: the value for `AZURE_AUTHORITY_HOST`.
    pub authority_host: String,
    /// The first tenant.
    pub tenant_id: TenantId,
    /// Its domain.
    pub tenant_domain: String,
    /// `iss` of its v2 tokens.
    pub issuer_v2: String,
    /// `iss` of its v1 tokens.
    pub issuer_v1: String,
    /// Where the keys are.
    pub jwks_url: String,
    /// `http://localhost:PORT/`: the console.
    pub console_url: String,
    /// The value for `AZURE_POD_IDENTITY_AUTHORITY_HOST`.
    pub imds_url: String,
    /// The value for `IDENTITY_ENDPOINT`.
    pub identity_endpoint: String,
    /// The value for `IDENTITY_HEADER`; another one at every start.
    pub identity_header: Secret,
    /// The CA's certificate, PEM.
    pub ca_pem: String,
    /// The file with it, when there is a data directory.
    pub ca_path: Option<PathBuf>,
    /// Certificate and key for `localhost`, signed by the CA, for other listeners of this machine.
    pub server_cert_path: Option<PathBuf>,
    /// Its private key.
    pub server_key_path: Option<PathBuf>,
    /// The file with a projected service-account token, for `AZURE_FEDERATED_TOKEN_FILE`.
    pub workload_token_path: Option<PathBuf>,
    /// SHA-1 of the server certificate, for `IDENTITY_SERVER_THUMBPRINT`.
    pub server_thumbprint: String,
    /// The value for `IDENTITY_ENDPOINT` of Azure Arc; `IMDS_ENDPOINT` is [`Self::imds_url`].
    pub arc_endpoint: String,
    /// The value for `IDENTITY_ENDPOINT` of Service Fabric.
    pub service_fabric_endpoint: String,
    /// The value for `MSI_ENDPOINT` of Azure ML; `MSI_SECRET` is [`Self::identity_header`].
    pub azure_ml_endpoint: String,
    /// The value for `MSI_ENDPOINT` of Cloud Shell.
    pub cloud_shell_endpoint: String,
    /// The web app's registration: the first app that signs people in.
    pub client_id: Option<ClientId>,
    /// A client secret of it, for the scenario with a secret.
    pub client_secret: Option<Secret>,
    /// The first API's registration.
    pub api_client_id: Option<ClientId>,
    /// Its first scope, in full.
    pub api_scope: Option<String>,
    /// The first user-assigned identity.
    pub managed_identity_client_id: Option<ClientId>,
    /// Its principal id: the Redis user name, and the federated credential's subject.
    pub managed_identity_principal_id: Option<ObjectId>,
    /// People, in the seed's order.
    pub people: Vec<PersonFact>,
    /// Redis access policy assignments.
    pub redis_assignments: Vec<RedisAssignmentFact>,
}

/// A person.
#[derive(Clone, Debug)]
pub struct PersonFact {
    /// User principal name.
    pub upn: String,
    /// Display name.
    pub name: String,
    /// Object id.
    pub object_id: ObjectId,
}

/// A Redis access policy assignment.
#[derive(Clone, Debug)]
pub struct RedisAssignmentFact {
    /// Whose.
    pub object_id: ObjectId,
    /// Their name in the seed.
    pub name: String,
    /// The policy's name, or an ACL string, as the seed has it.
    pub policy: String,
    /// The policy's access string.
    pub access: String,
}

impl Facts {
    pub(crate) fn of(state: &State, certificates: &Certificates, store: &Store) -> Self {
        let directory = &state.directory;
        let (tenant_id, domain) = directory
            .home()
            .map_or((TenantId::new(entrant_types::Guid::from_bytes([0; 16])), String::new()), |tenant| {
                (tenant.id, tenant.domain.clone())
            });
        let (origin, plain) = (&state.origins.entra, &state.origins.plain);
        let web = directory.apps.iter().find(|app| !app.redirect_uris.is_empty()).or_else(|| directory.apps.first());
        let api = directory.apps.iter().find(|app| app.api.is_some());
        let identity = directory.identities.iter().find(|identity| identity.kind == IdentityKind::User);
        Self {
            authority: format!("{origin}/{tenant_id}"),
            authority_host: origin.clone(),
            tenant_id,
            tenant_domain: domain,
            issuer_v2: state.issuers.v2(tenant_id),
            issuer_v1: state.issuers.v1(tenant_id),
            jwks_url: format!("{origin}/{tenant_id}/discovery/v2.0/keys"),
            console_url: format!("{plain}/"),
            imds_url: plain.clone(),
            identity_endpoint: format!("{plain}/msi/token"),
            identity_header: state.identity_header.clone(),
            ca_pem: certificates.ca_pem.clone(),
            ca_path: store.path("ca.pem"),
            server_cert_path: store.path("localhost.pem"),
            server_key_path: store.path("localhost-key.pem"),
            workload_token_path: store.path(TOKEN_FILE),
            server_thumbprint: certificates.thumbprint.clone(),
            arc_endpoint: format!("{plain}/arc/metadata/identity/oauth2/token"),
            service_fabric_endpoint: format!("{origin}/service-fabric/token"),
            azure_ml_endpoint: format!("{plain}/azure-ml/token"),
            cloud_shell_endpoint: format!("{plain}/cloud-shell/token"),
            client_id: web.map(|app| app.client_id),
            client_secret: web.and_then(|app| app.secrets.first()).map(|secret| secret.value.clone()),
            api_client_id: api.map(|app| app.client_id),
            api_scope: api
                .and_then(|app| app.api.as_ref())
                .and_then(|api| Some(format!("{}/{}", api.uri, api.scopes.first()?))),
            managed_identity_client_id: identity.map(|identity| identity.client_id),
            managed_identity_principal_id: identity.map(|identity| identity.principal),
            people: directory
                .people
                .iter()
                .map(|person| PersonFact { upn: person.upn.clone(), name: person.name.clone(), object_id: person.oid })
                .collect(),
            redis_assignments: directory
                .redis
                .iter()
                .map(|own| RedisAssignmentFact {
                    object_id: own.object_id,
                    name: own.name.clone(),
                    policy: own.policy.clone(),
                    access: own.access.clone(),
                })
                .collect(),
        }
    }
}
