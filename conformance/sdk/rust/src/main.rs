//! The azure_identity crate: every case in a process of its own, since it is configured by environment variables.

mod system;

use std::sync::Arc;

use azure_core::credentials::{AccessToken, Secret, TokenCredential};
use azure_core::http::ClientMethodOptions;
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientSecretCredential, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
};
use system::{Case, System, claims};

const REDIS: &str = "https://redis.azure.com/.default";
const EXCHANGE: &str = "api://AzureADTokenExchange/.default";
/// The emulator's own, of the seed; it opens nothing else.
const CLIENT_SECRET: &str = "emulator-only-secret-of-web-app";
const ENVIRONMENT: &str = "environment only";
const AUTHORITY: &str = "`AZURE_AUTHORITY_HOST`, `SSL_CERT_FILE`";

type Tried = azure_core::Result<AccessToken>;

const CASES: &[Case] = &[
    Case::new("managed_identity", "managed identity", "App Service", ENVIRONMENT),
    Case::new("workload_identity", "workload identity", "", ENVIRONMENT),
    Case::new("client_secret", "service principal", "client secret", AUTHORITY),
    Case::new("federated_credential", "federated credential", "managed identity", AUTHORITY),
    Case::new(
        "numeric_expires_on",
        "fault",
        "an identity's token whose `expires_on` is a number is not read",
        ENVIRONMENT,
    ),
    Case::new("unknown_subject", "fault", "the identity is not the one that is trusted: AADSTS700213", AUTHORITY),
    Case::new("throttled", "fault", "429 with `Retry-After`: tried again after that", AUTHORITY),
];

const ABSENT: &[(&str, &str)] = &[
    ("sign-in", "no credential for people ([its list](https://docs.rs/azure_identity/1.0.0/azure_identity/))"),
    ("silent", "no account"),
    ("refresh", "no refresh tokens without a person"),
    ("on behalf of", "no such credential ([its list](https://docs.rs/azure_identity/1.0.0/azure_identity/))"),
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let system = System::read();
    match std::env::args().nth(1).as_deref() {
        Some("--all") => system.run_all("azure_identity (Rust)", CASES, ABSENT),
        Some(case) => run(&system, case).await,
        None => panic!("give a case, or --all"),
    }
}

async fn run(system: &System, case: &str) {
    match case {
        "managed_identity" => {
            is(system, &managed(system, REDIS).await.unwrap(), "oid", "managed_identity_principal_id")
        }
        "workload_identity" => {
            let credential = WorkloadIdentityCredential::new(None).unwrap();
            is(system, &ask(&*credential, &system.api_scope()).await.unwrap(), "azp", "client_id");
        }
        "client_secret" => is(system, &by_secret(system).await.unwrap(), "azp", "client_id"),
        "federated_credential" => is(system, &federated(system).await.unwrap(), "azp", "client_id"),
        "numeric_expires_on" => {
            let rule = r#"{"endpoint":"app_service","effect":{"set-field":{"field":"expires_on","value":1799999999}}}"#;
            system.fault(rule);
            let error = managed(system, REDIS).await.expect_err("a number was read");
            assert!(
                format!("{error:?}").contains("expires_on") || format!("{error:?}").contains("integer"),
                "{error:?}"
            );
        }
        "unknown_subject" => {
            let claim = r#"{"claim":{"name":"sub","value":"somebody-else"}}"#;
            system
                .fault(&format!(r#"{{"endpoint":"app_service","resource":"AzureADTokenExchange","effect":{claim}}}"#));
            let error = federated(system).await.expect_err("somebody else was trusted");
            assert!(format!("{error:?}").contains("AADSTS700213"), "{error:?}");
        }
        "throttled" => {
            system.fault(r#"{"endpoint":"token","times":1,"effect":{"status":{"code":429,"retry_after":1}}}"#);
            is(system, &by_secret(system).await.unwrap(), "azp", "client_id");
        }
        other => panic!("no case is called {other}"),
    }
    system.end_faults();
}

async fn ask(credential: &dyn TokenCredential, scope: &str) -> Tried {
    credential.get_token(&[scope], None).await
}

async fn managed(system: &System, scope: &str) -> Tried {
    let user_assigned_id = Some(UserAssignedId::ClientId(system.fact("managed_identity_client_id")));
    let options = ManagedIdentityCredentialOptions { user_assigned_id, ..Default::default() };
    ask(&*ManagedIdentityCredential::new(Some(options))?, scope).await
}

async fn by_secret(system: &System) -> Tried {
    let secret = Secret::new(CLIENT_SECRET.to_owned());
    let credential = ClientSecretCredential::new(&system.fact("tenant_id"), system.fact("client_id"), secret, None)?;
    ask(&*credential, &system.api_scope()).await
}

/// The managed identity's token as the application's proof.
#[derive(Debug)]
struct Identity(Arc<System>);

#[async_trait::async_trait]
impl ClientAssertion for Identity {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(managed(&self.0, EXCHANGE).await?.token.secret().to_owned())
    }
}

async fn federated(system: &System) -> Tried {
    let identity = Identity(Arc::new(system.clone()));
    let credential =
        ClientAssertionCredential::new(system.fact("tenant_id"), system.fact("client_id"), identity, None)?;
    ask(&*credential, &system.api_scope()).await
}

fn is(system: &System, token: &AccessToken, claim: &str, fact: &str) {
    assert_eq!(claims(token.token.secret())[claim], system.fact(fact));
}
