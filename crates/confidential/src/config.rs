//! What a confidential client is made of, and which issuers its authority may have.

use std::time::Duration;

use entrant_credential::ClientAuth;
use entrant_proto::oauth::{Authority, Cloud, Tenant};
use entrant_types::emulation::{World, is_loopback_host};
use entrant_types::{ClientId, Code, Fault, Retry, Whose};
use entrant_validate::{DiscoveryPolicy, IssuerRule, Policy, Tenants};

use crate::Provider;

/// What a confidential client is made of.
#[derive(Clone, Debug)]
pub struct ConfidentialConfig {
    /// Where people sign in.
    pub provider: Provider,
    /// The app registration.
    pub client_id: ClientId,
    /// How it proves who it is, for every grant alike.
    pub client_auth: ClientAuth,
    /// Real Entra ID, or the emulator.
    pub world: World,
    /// Whose accounts may sign in. `None`: those of the authority's own tenant; an authority of many tenants
    /// (`common`, `organizations`) must say. Providers of another make have none.
    pub tenants: Option<Tenants>,
    /// Whether claims challenges are handled by the caller (401 `insufficient_claims`). Declared to Entra as
    /// `CP1`, which then issues tokens of up to 28 hours that can be revoked at once.
    pub claims_challenges: bool,
    /// How far clocks may differ when ID tokens are checked.
    pub clock_skew: Duration,
}

impl ConfidentialConfig {
    /// A client with the usual options.
    #[must_use]
    pub fn new(provider: impl Into<Provider>, client_id: ClientId, client_auth: ClientAuth, world: World) -> Self {
        let provider = provider.into();
        let claims_challenges = provider.entra().is_some();
        Self {
            provider,
            client_id,
            client_auth,
            world,
            tenants: None,
            claims_challenges,
            clock_skew: Policy::DEFAULT_SKEW,
        }
    }

    /// The tenants in force.
    pub(crate) fn accepted_tenants(&self) -> Result<Tenants, Fault> {
        let Provider::Entra(authority) = &self.provider else {
            // The issuer alone decides.
            return Ok(Tenants::Any);
        };
        match (&self.tenants, authority.tenant()) {
            (Some(tenants), _) => Ok(tenants.clone()),
            (None, Tenant::Id(id)) => Ok(Tenants::Only(vec![*id])),
            // The metadata's issuer names the tenant, so that the issuer rule alone decides.
            (None, Tenant::Name(_)) => Ok(Tenants::Any),
            (None, _) => Err(Fault::new(
                Whose::Configuration,
                format!("The authority {authority} serves many tenants, and none is named."),
                "List the tenants that may sign in, or say explicitly that any may.",
            )
            .retry(Retry::Never)
            .code(Code::Entrant("tenants_unsaid"))),
        }
    }

    /// Refuses a real host in emulator mode and a loopback one outside it. A provider of another make is real wherever
    /// it runs: nothing of the emulator's is accepted from it.
    pub(crate) fn check_world(&self) -> Result<(), Fault> {
        let loopback = self.provider.entra().map(|authority| is_loopback_host(authority.host()));
        let (fits, fix) = match self.world {
            World::Emulator => {
                (loopback == Some(true), "Use the emulator's authority, such as https://localhost:8443/TENANT.")
            }
            World::Azure => (loopback != Some(true), "Start in emulator mode to use an authority on this computer."),
        };
        if fits {
            return Ok(());
        }
        let what = format!("The authority {} does not belong to this mode.", self.provider);
        Err(Fault::new(Whose::Configuration, what, fix).retry(Retry::Never).code(Code::Entrant("wrong_world")))
    }

    /// Which metadata is believed.
    pub(crate) fn discovery_policy(&self) -> DiscoveryPolicy {
        let (issuers, hosts) = match &self.provider {
            Provider::Entra(authority) => (issuers(authority), hosts(authority)),
            Provider::OpenId(issuer) => (vec![IssuerRule::new(issuer.as_str())], Vec::new()),
        };
        DiscoveryPolicy { world: self.world, issuers, hosts }
    }
}

/// The issuers that an authority's metadata may name.
fn issuers(authority: &Authority) -> Vec<IssuerRule> {
    let tenant = authority.tenant().id().map_or_else(|| "{tenantid}".to_owned(), |id| id.to_string());
    let base = authority.cloud().host_url().unwrap_or_else(|| authority.base());
    let mut rules = vec![IssuerRule::new(format!("{base}/{tenant}/v2.0"))];
    if authority.cloud() == Cloud::Custom {
        // B2C: one slash more; or with `tfp` and the policy where its compatibility setting says so.
        rules.push(IssuerRule::new(format!("{base}/{tenant}/v2.0/")));
        if let Tenant::Name(name) = authority.tenant()
            && let Some((_, policy)) = name.split_once('/')
        {
            rules.push(IssuerRule::new(format!("{base}/tfp/{{tenantid}}/{}/v2.0/", policy.to_ascii_lowercase())));
        }
        // External ID: the tenant's id is a host name of its own.
        if authority.host().ends_with(".ciamlogin.com") {
            rules.push(IssuerRule::new(format!("https://{tenant}.ciamlogin.com/{tenant}/v2.0")));
        }
    }
    rules
}

/// The hosts that the endpoints may be on, besides the authority's own: the cloud's canonical host, to which
/// the metadata of its aliases points.
fn hosts(authority: &Authority) -> Vec<String> {
    let canonical = authority.cloud().host_url().and_then(|url| url.strip_prefix("https://"));
    canonical.map(str::to_owned).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(authority: &str, issuer: &str) -> bool {
        issuers(&Authority::from_url(authority).unwrap()).iter().any(|rule| rule.accepts_metadata(issuer))
    }

    #[test]
    fn every_kind_of_authority_admits_its_own_issuer_only() {
        let id = "11111111-aaaa-4bbb-8ccc-111111111111";
        let other = "22222222-aaaa-4bbb-8ccc-222222222222";
        let v2 = |host: &str, tenant: &str| format!("https://{host}/{tenant}/v2.0");
        for (authority, issuer, expected) in [
            (v2("login.microsoftonline.com", id), v2("login.microsoftonline.com", id), true),
            (v2("login.microsoftonline.com", id), v2("login.microsoftonline.com", other), false),
            (v2("login.windows.net", id), v2("login.microsoftonline.com", id), true),
            (v2("login.microsoftonline.com", "common"), v2("login.microsoftonline.com", "{tenantid}"), true),
            (v2("login.microsoftonline.com", "common"), v2("login.microsoftonline.us", "{tenantid}"), false),
            (v2("login.microsoftonline.com", "contoso.example"), v2("login.microsoftonline.com", id), true),
            (v2("login.microsoftonline.com", "contoso.example"), v2("login.microsoftonline.com", "common"), false),
            (v2("login.microsoftonline.us", id), v2("login.microsoftonline.us", id), true),
            (v2("login.partner.microsoftonline.cn", id), v2("login.partner.microsoftonline.cn", id), true),
            (v2("login.microsoftonline.us", id), v2("login.microsoftonline.com", id), false),
            (
                v2("contoso.b2clogin.com", "contoso.onmicrosoft.com/B2C_1_in"),
                v2("contoso.b2clogin.com", id) + "/",
                true,
            ),
            (
                v2("contoso.b2clogin.com", "contoso.onmicrosoft.com/B2C_1_in"),
                v2("contoso.b2clogin.com", &format!("tfp/{id}/b2c_1_in")) + "/",
                true,
            ),
            (v2("contoso.ciamlogin.com", id), format!("https://{id}.ciamlogin.com/{id}/v2.0"), true),
            (v2("contoso.ciamlogin.com", id), format!("https://{other}.ciamlogin.com/{id}/v2.0"), false),
        ] {
            assert_eq!(admitted(&authority, &issuer), expected, "{authority} {issuer}");
        }
    }
}
