//! Settings of who we are and whom we trust.

use super::Command::{
    Api, Doctor, EmulatorDoctor, EmulatorEnv, EmulatorRun, EmulatorTail, RedisGate, RedisProxy, Token, Web,
};
use super::{Command, Kind, Variable};

const ATTACHABLE: &[Command] =
    &[Web, Api, RedisProxy, RedisGate, EmulatorEnv, EmulatorRun, EmulatorTail, EmulatorDoctor, Token, Doctor];
const NETWORKED: &[Command] = &[Web, Api, RedisProxy, RedisGate, Token, Doctor];
const CREDENTIALS: &[Command] = &[Web, RedisProxy, Token, Doctor];

pub(crate) const CONFIG: Variable =
    Variable::new("config", "FILE", "TOML file with any of these settings, keys with underscores", Command::ALL)
        .env(&["ENTRANT_CONFIG"])
        .kind(Kind::Place);
pub(crate) const ATTACH: Variable = Variable::new(
    "attach",
    "READY-FILE",
    "Take every value from the ready file of a running command; may be given several times; other flags still count",
    ATTACHABLE,
)
.env(&["ENTRANT_ATTACH"])
.kind(Kind::Place);

pub(crate) const TENANT_ID: Variable =
    Variable::new("tenant-id", "GUID", "The directory (tenant) id", NETWORKED).env(&["TENANT_ID", "AZURE_TENANT_ID"]);
pub(crate) const AUTHORITY_HOST: Variable =
    Variable::new("authority-host", "URL", "Where Entra ID is; a loopback URL means the emulator", NETWORKED)
        .env(&["AZURE_AUTHORITY_HOST"])
        .default("https://login.microsoftonline.com");
pub(crate) const OIDC_ISSUER: Variable = Variable::new(
    "oidc-issuer",
    "URL",
    "Sign people in at this OpenID provider instead of Entra ID; the app proves itself by client-certificate, \
     workload-identity or client-secret",
    &[Web],
)
.env(&["ENTRANT_OIDC_ISSUER"]);
pub(crate) const CLIENT_ID: Variable = Variable::new(
    "client-id",
    "GUID",
    "The app registration's client id; for the source managed-identity of `token` and `redis-proxy` the identity's",
    CREDENTIALS,
)
.env(&["CLIENT_ID", "AZURE_CLIENT_ID"]);
pub(crate) const MANAGED_IDENTITY_CLIENT_ID: Variable = Variable::new(
    "managed-identity-client-id",
    "GUID",
    "The user-assigned identity's client id; without it the system-assigned identity is used",
    CREDENTIALS,
)
.env(&["MANAGED_IDENTITY_CLIENT_ID"]);
pub(crate) const OBJECT_ID: Variable =
    Variable::new("object-id", "GUID", "The user-assigned identity's object (principal) id", CREDENTIALS)
        .env(&["ENTRANT_OBJECT_ID"]);
pub(crate) const RESOURCE_ID: Variable =
    Variable::new("resource-id", "ID", "The user-assigned identity's Azure resource id", CREDENTIALS)
        .env(&["ENTRANT_RESOURCE_ID"]);
pub(crate) const SOURCE: Variable = Variable::new(
    "source",
    "SOURCE",
    "Where tokens come from: managed-identity, workload-identity, federated, client-secret, client-certificate, \
     azure-cli or chain",
    CREDENTIALS,
)
.env(&["ENTRANT_SOURCE"]);
pub(crate) const CLIENT_SECRET: Variable = Variable::new(
    "client-secret",
    "SECRET",
    "A client secret, for the source client-secret; the passwordless path needs none",
    CREDENTIALS,
)
.env(&["CLIENT_SECRET", "AZURE_CLIENT_SECRET"])
.kind(Kind::Secret);
pub(crate) const CLIENT_CERTIFICATE: Variable = Variable::new(
    "client-certificate",
    "FILE",
    "PEM or PFX file with certificate and private key, for the source client-certificate",
    CREDENTIALS,
)
.env(&["AZURE_CLIENT_CERTIFICATE_PATH"]);
pub(crate) const CERTIFICATE_PASSWORD: Variable = Variable::new(
    "client-certificate-password",
    "SECRET",
    "The password of that file, when it is a PFX file",
    CREDENTIALS,
)
.env(&["AZURE_CLIENT_CERTIFICATE_PASSWORD"])
.kind(Kind::Secret);
pub(crate) const FEDERATED_TOKEN_FILE: Variable =
    Variable::new("federated-token-file", "FILE", "The projected token, for the source workload-identity", CREDENTIALS)
        .env(&["AZURE_FEDERATED_TOKEN_FILE"]);
pub(crate) const IDENTITY_ENDPOINT: Variable =
    Variable::new("identity-endpoint", "URL", "The App Service identity endpoint; the platform sets it", CREDENTIALS)
        .env(&["IDENTITY_ENDPOINT"]);
pub(crate) const IDENTITY_HEADER: Variable = Variable::new(
    "identity-header",
    "SECRET",
    "What the App Service identity endpoint wants in X-IDENTITY-HEADER; the platform sets it",
    CREDENTIALS,
)
.env(&["IDENTITY_HEADER"])
.kind(Kind::Secret);
pub(crate) const IMDS_HOST: Variable =
    Variable::new("imds-host", "URL", "Base URL of the instance metadata service", CREDENTIALS)
        .env(&["AZURE_POD_IDENTITY_AUTHORITY_HOST"])
        .default("http://169.254.169.254");
pub(crate) const CA: Variable =
    Variable::new("ca", "FILE", "PEM file with the only CA certificates to trust, in place of the system's", NETWORKED)
        .env(&["ENTRANT_CA", "SSL_CERT_FILE"]);
