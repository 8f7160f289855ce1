//! The web app: its identity, its confidential client, its sessions in Redis.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use entrant_confidential::{ConfidentialClient, ConfidentialConfig, Issuer, Provider};
use entrant_credential::Keeper;
use entrant_host::Lapse;
use entrant_redis::{ManagedConnection, RedisConfig, State, Status};
use entrant_types::{Fault, Resource, Scope, Whose};
use entrant_web::app::{WebApp, WebConfig, WebParts};
use entrant_web::session::memory::MemoryStore;
use entrant_web::session::redis::RedisStore;
use entrant_web::session::store::SessionStore;
use url::Url;

use super::api::SCOPE;
use crate::identity::{self, Kind};
use crate::process::Process;
use crate::settings::Settings;
use crate::surroundings::Surroundings;
use crate::variable;

/// Every key of ours in Redis begins with this.
const KEY_PREFIX: &str = "entrant:";

/// A web app whose keepers and connection run already.
pub(crate) struct Web {
    pub(crate) router: Router,
    client: Arc<ConfidentialClient>,
    assertion: Option<Keeper>,
    pub(crate) redis: Option<ManagedConnection>,
}

/// Puts the web app together for browsers that reach it at `public_url`.
pub(crate) fn build(
    settings: &Settings,
    around: &Surroundings,
    process: &Process,
    public_url: &str,
) -> Result<Web, Fault> {
    let provider = provider(settings, around)?;
    let client_id = identity::client_id(settings)?;
    let public_url: Url = match settings.text(&variable::PUBLIC_URL) {
        Some(_) => settings.required_as(&variable::PUBLIC_URL)?,
        None => Url::parse(public_url).map_err(|error| settings.wrong(&variable::PUBLIC_URL, &error.to_string()))?,
    };
    let api_url = settings.required_as(&variable::API_ENDPOINT)?;
    let api: entrant_types::ClientId = settings.required_as(&variable::API_CLIENT_ID)?;
    let redis = redis_config(settings, around)?;

    let (client_auth, assertion) = identity::client_auth(settings, around, &process.lifecycle)?;
    let config = ConfidentialConfig::new(provider, client_id, client_auth, around.world);
    let client = Arc::new(ConfidentialClient::new(config, around.outside.clone())?);
    let redis = redis.map(|config| connect(config, settings, around, process)).transpose()?;
    let store: Arc<dyn SessionStore> = match &redis {
        Some(connection) => Arc::new(RedisStore::new(connection.clone(), KEY_PREFIX)),
        None => Arc::new(MemoryStore::new(Arc::clone(&around.outside.clock))),
    };

    let scope = Scope::new(format!("api://{api}/{SCOPE}"));
    let mut config = WebConfig::new(public_url, client_id, api_url, scope, around.world);
    config.federated_credential = settings.text(&variable::FEDERATED_CREDENTIAL).map(str::to_owned);
    config.redis_backend = settings.attached.as_ref().and_then(|ready| ready.redis_backend.clone());
    config.time_lapse = crate::surroundings::lapse(settings)?.as_ref().map(Lapse::rate);
    // A person signs in at the same pace however fast the clock runs.
    config.sign_in_limit *= config.time_lapse.unwrap_or(1);
    let parts = WebParts {
        client: Arc::clone(&client),
        store,
        assertion: assertion.clone(),
        redis: redis.clone(),
        outside: around.outside.clone(),
    };
    let router = WebApp::build(config, parts)?.router();
    let web = Web { router, client, assertion, redis };
    web.report_to(process);
    Ok(web)
}

/// Entra ID, unless the settings name another provider. That one knows no managed identity: none of its tokens would
/// be asked for, and none of ours would be shown to it.
fn provider(settings: &Settings, around: &Surroundings) -> Result<Provider, Fault> {
    let Some(text) = settings.text(&variable::OIDC_ISSUER) else { return Ok(around.authority(settings)?.into()) };
    let issuer = Issuer::parse(text).map_err(|fault| settings.wrong(&variable::OIDC_ISSUER, &fault.what))?;
    match identity::kind(settings)? {
        Kind::ClientCertificate | Kind::ClientSecret | Kind::WorkloadIdentity => Ok(issuer.into()),
        other => {
            let why = format!("the source {other} proves the app to Entra ID only; choose --source client-certificate");
            Err(settings.wrong(&variable::OIDC_ISSUER, &why))
        }
    }
}

fn redis_config(settings: &Settings, around: &Surroundings) -> Result<Option<RedisConfig>, Fault> {
    let Some(text) = settings.text(&variable::REDIS) else { return Ok(None) };
    let (host, port) = host_and_port(text, 10_000).map_err(|why| settings.wrong(&variable::REDIS, why))?;
    Ok(Some(RedisConfig::new(host, port, Some(Arc::clone(&around.tls)))))
}

/// `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`.
pub(crate) fn host_and_port(text: &str, default: u16) -> Result<(String, u16), &'static str> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().map_err(|_| "its port is no number from 1 to 65535")?)
        }
        _ => (text, default),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
    if !plain || port == 0 {
        return Err("it is not of the form HOST:PORT");
    }
    Ok((host.to_owned(), port))
}

fn connect(
    config: RedisConfig,
    settings: &Settings,
    around: &Surroundings,
    process: &Process,
) -> Result<ManagedConnection, Fault> {
    let scope = Resource::new(Resource::REDIS).default_scope();
    let keeper = identity::keep(identity::redis_source(settings, around)?, scope, around, &process.lifecycle);
    let (connection, driver) = ManagedConnection::new(config, keeper, &around.outside);
    process.lifecycle.drive("Redis connection", driver.run());
    Ok(connection)
}

impl Web {
    /// Tries every hop once. What cannot be reached, or is not trusted, ends the start with its sentence: nothing would
    /// ever work. What answers with a refusal is for the page and the log: somebody may mend it while the app runs.
    pub(crate) async fn try_out(&self, limit: Duration) -> Result<(), Fault> {
        let identity = async {
            let keeper = self.assertion.as_ref()?;
            let what = "The managed identity endpoint";
            answered(limit, what, async { keeper.token().await.map(drop) }).await.err()
        };
        let entra = answered(limit, "Entra ID", self.client.warm());
        let (identity, entra) = tokio::join!(identity, entra);
        tolerate(entra)?;
        if let Some(fault) = identity {
            tracing::error!(%fault, "the managed identity gives no token yet");
            return Ok(());
        }
        let Some(redis) = &self.redis else { return Ok(()) };
        tolerate(answered(limit, &format!("Redis at {}", redis.status().server), redis.ready()).await)
    }

    fn report_to(&self, process: &Process) {
        if let Some(keeper) = self.assertion.clone() {
            process.health.require("client assertion", move || {
                match (keeper.current(), keeper.snapshot().last_fault) {
                    (Some(_), _) => Ok(()),
                    (None, fault) => Err(fault.map_or_else(|| "no token yet".to_owned(), |fault| fault.to_string())),
                }
            });
        }
        if let Some(redis) = self.redis.clone() {
            process.health.require("redis", move || {
                let status: Status = redis.status();
                match status.state {
                    State::Ready => Ok(()),
                    other => {
                        Err(status.last_fault.map_or_else(|| other.as_str().to_owned(), |fault| fault.to_string()))
                    }
                }
            });
        }
    }
}

/// Limits the wait for one hop.
async fn answered(limit: Duration, what: &str, hop: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    tokio::time::timeout(limit, hop).await.unwrap_or_else(|_| {
        Err(Fault::new(
            Whose::Network,
            format!("{what} did not answer within {} s.", limit.as_secs_f32()),
            "Check its address, and that this machine may reach it.",
        ))
    })
}

/// Lets the start go on when somebody answered.
fn tolerate(hop: Result<(), Fault>) -> Result<(), Fault> {
    match hop {
        Err(fault) if fault.whose == Whose::Network || fault.is("tls_untrusted") => Err(fault),
        Err(fault) => {
            tracing::error!(%fault, "starting all the same");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn a_redis_is_named_by_host_and_port() {
        let ok = |host: &str, port| Ok((host.to_owned(), port));
        assert_eq!(host_and_port("cache.example:10000", 1), ok("cache.example", 10_000));
        assert_eq!(host_and_port("cache.example", 10_000), ok("cache.example", 10_000));
        assert_eq!(host_and_port("[::1]:6380", 1), ok("::1", 6380));
        assert_eq!(host_and_port("::1", 7), ok("::1", 7));
        for text in ["", ":1", "host:", "host:0", "host:99999", "redis://host:1", "user@host:1", "a b"] {
            assert!(host_and_port(text, 1).is_err(), "{text}");
        }
    }
}
