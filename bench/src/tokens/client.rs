//! One fault row through a Rust client, in a process of its own: prints one JSON object.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::{AsyncRawResponse, ClientOptions, HttpClient, Request, Transport, Url, new_http_client};
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions};
use entrant_credential::sources::{AppService, Imds};
use entrant_credential::{Keeper, KeeperOptions, Source};
use entrant_host::{DialPolicy, HostConfig};
use entrant_proto::managed_identity::Selector;
use entrant_types::{Outside, Resource};
use serde_json::{Value, json};

use super::Failure;

/// What a row asks of a client: a token for a resource, or the kind of failure.
#[async_trait]
trait Client: Send + Sync {
    async fn get(&self, resource: &str) -> Result<(), String>;
}

/// Runs `row` and prints what happened.
pub async fn run(name: &str, row: &str, base: &str) -> Result<(), Failure> {
    let client: Arc<dyn Client> = match name {
        "azure_identity" => Arc::new(Published::new(base)?),
        "entrant" => Arc::new(Ours::new(row, base)?),
        _ => return Err("no such client".into()),
    };
    println!("{}", play(client, name, row).await);
    Ok(())
}

async fn play(client: Arc<dyn Client>, name: &str, row: &str) -> Value {
    let resource = |mode: &str| format!("https://{mode}.{name}.test");
    match row {
        "outage" => {
            let first = attempt(&*client, &resource(row)).await.0;
            let (outcome, ms) = attempt(&*client, &resource(row)).await;
            json!({"first": first, "outcome": outcome, "ms": ms})
        }
        "cold" | "down" => {
            let callers = (0..64).map(|_| {
                let (client, resource) = (client.clone(), resource(row));
                tokio::spawn(async move { client.get(&resource).await.is_ok() })
            });
            let callers: Vec<_> = callers.collect();
            let mut tokens = 0;
            for caller in callers {
                tokens += u32::from(caller.await.unwrap_or(false));
            }
            json!({"tokens": tokens})
        }
        "slow" => {
            attempt(&*client, &resource("warm")).await;
            let (other, slow) = (client.clone(), resource("slow"));
            let other = tokio::spawn(async move { other.get(&slow).await.is_ok() });
            tokio::time::sleep(Duration::from_millis(200)).await;
            let (outcome, ms) = attempt(&*client, &resource("warm")).await;
            let _ = other.await;
            json!({"outcome": outcome, "ms": ms})
        }
        "stale" => {
            let until = Instant::now() + Duration::from_secs(2);
            while Instant::now() < until {
                let _ = tokio::time::timeout(Duration::from_millis(200), client.get(&resource(row))).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            json!({})
        }
        _ => {
            let (outcome, ms) = attempt(&*client, &resource(row)).await;
            json!({"outcome": outcome, "ms": ms})
        }
    }
}

async fn attempt(client: &dyn Client, resource: &str) -> (String, f64) {
    let started = Instant::now();
    let outcome = match client.get(resource).await {
        Ok(()) => "token".to_owned(),
        Err(kind) => format!("error: {kind}"),
    };
    (outcome, started.elapsed().as_secs_f64() * 1000.0)
}

/// The `azure_identity` crate, unmodified.
pub struct Published(Arc<ManagedIdentityCredential>);

impl Published {
    /// One look-up.
    pub async fn token(&self, scope: &str) -> Result<(), Failure> {
        std::hint::black_box(self.0.get_token(&[scope], None).await?);
        Ok(())
    }

    /// With every request led to `base`.
    pub fn new(base: &str) -> Result<Self, Failure> {
        // Its IMDS address is a constant: only a transport that rewrites the host can lead it to loopback.
        let transport = Transport::new(Arc::new(Rewriting { base: base.parse()?, inner: new_http_client(None) }));
        let client_options = ClientOptions { transport: Some(transport), ..ClientOptions::default() };
        let options =
            ManagedIdentityCredentialOptions { client_options, ..ManagedIdentityCredentialOptions::default() };
        Ok(Self(ManagedIdentityCredential::new(Some(options))?))
    }
}

#[async_trait]
impl Client for Published {
    async fn get(&self, resource: &str) -> Result<(), String> {
        let scope = format!("{resource}/.default");
        self.0
            .get_token(&[&scope], None)
            .await
            .map(|_| ())
            .map_err(|error| format!("{:?}", error.kind()).split('(').next().unwrap_or_default().to_owned())
    }
}

#[derive(Debug)]
struct Rewriting {
    base: Url,
    inner: Arc<dyn HttpClient>,
}

#[async_trait]
impl HttpClient for Rewriting {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut request = request.clone();
        let url = request.url_mut();
        let _ = url.set_host(self.base.host_str());
        let _ = url.set_port(self.base.port());
        self.inner.execute_request(&request).await
    }
}

/// Our source for the endpoint that the environment names, and its outside.
pub fn app_service() -> Result<(Arc<dyn Source>, Outside), Failure> {
    let outside = entrant_host::outside(HostConfig { dial: DialPolicy::LoopbackOnly, ..HostConfig::default() })?;
    Ok((Arc::new(AppService::new(Selector::SystemAssigned, &outside)), outside))
}

/// The keeper of `entrant-credential`.
struct Ours {
    outside: Outside,
    source: Arc<dyn Source>,
    keepers: Mutex<HashMap<String, Keeper>>,
}

impl Ours {
    fn new(row: &str, base: &str) -> Result<Self, Failure> {
        let (mut source, outside) = app_service()?;
        if row == "missing" {
            source = Arc::new(Imds::at(base, Selector::SystemAssigned, &outside));
        }
        Ok(Self { outside, source, keepers: Mutex::default() })
    }
}

#[async_trait]
impl Client for Ours {
    async fn get(&self, resource: &str) -> Result<(), String> {
        let keeper = {
            let mut keepers = self.keepers.lock().map_err(|error| error.to_string())?;
            keepers
                .entry(resource.to_owned())
                .or_insert_with(|| {
                    let scope = Resource::new(resource).default_scope();
                    let (keeper, driver) =
                        Keeper::new(self.source.clone(), scope, KeeperOptions::default(), &self.outside);
                    tokio::spawn(driver.run());
                    keeper
                })
                .clone()
        };
        keeper
            .token()
            .await
            .map(|_| ())
            .map_err(|fault| fault.codes.first().map_or("fault".to_owned(), ToString::to_string))
    }
}
