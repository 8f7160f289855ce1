//! Whose tokens are accepted: the issuers of an authority and their published keys.

use std::time::Duration;

use entrant_proto::oauth::{Authority, Cloud};
use entrant_types::emulation::World;
use entrant_types::{Fault, Outside, TenantId, Whose};
use entrant_validate::{Discovery, DiscoveryPolicy, IssuerRule, KeySet, Tenants};

/// The v1 and v2 issuers of an authority. Which one signs is the accepted token version of the resource, not ours to choose.
pub(crate) fn issuers(authority: &Authority) -> Vec<IssuerRule> {
    let tenant = tenant(authority);
    vec![
        IssuerRule::new(v2_issuer(authority)),
        IssuerRule::new(match authority.cloud() {
            // Documented for the public cloud; the others sign v1 tokens as the same service.
            Cloud::Public | Cloud::UsGovernment => format!("https://sts.windows.net/{tenant}/"),
            Cloud::China => format!("https://sts.chinacloudapi.cn/{tenant}/"),
            Cloud::Custom => format!("{}/{tenant}/", authority.base()),
        }),
    ]
}

/// Tenants whose tokens are accepted: the authority's own.
pub(crate) fn tenants(authority: &Authority) -> Tenants {
    // For an authority named by domain, the issuer in its metadata decides.
    authority.tenant().id().map_or(Tenants::Any, |id: TenantId| Tenants::Only(vec![id]))
}

/// The keys that the authority publishes; nothing is fetched yet.
pub(crate) fn keys(authority: &Authority, world: World, outside: &Outside) -> KeySet {
    let canonical = authority.cloud().host_url().and_then(|url| url.strip_prefix("https://"));
    let policy = DiscoveryPolicy {
        world,
        issuers: vec![IssuerRule::new(v2_issuer(authority))],
        hosts: canonical.map(str::to_owned).into_iter().collect(),
    };
    KeySet::discovered(&Discovery::new(authority.metadata_url(), policy, outside), outside)
}

/// Fetches the keys once, so that a wrong authority is a sentence at the start and not a refusal to the first caller.
pub(crate) async fn try_out(keys: &KeySet, limit: Duration) -> Result<(), Fault> {
    match tokio::time::timeout(limit, keys.warm()).await {
        Ok(warm) => warm.map(drop),
        Err(_) => Err(Fault::new(
            Whose::Network,
            format!("Entra ID did not give its metadata and keys within {} s ({}).", limit.as_secs_f32(), keys.url()),
            "Check AZURE_AUTHORITY_HOST and that this machine may reach it.",
        )),
    }
}

fn v2_issuer(authority: &Authority) -> String {
    let base = authority.cloud().host_url().unwrap_or_else(|| authority.base());
    format!("{base}/{}/v2.0", tenant(authority))
}

fn tenant(authority: &Authority) -> String {
    authority.tenant().id().map_or_else(|| "{tenantid}".to_owned(), |id| id.to_string())
}
