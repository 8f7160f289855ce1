//! Where tokens come from: a cloud's sign-in host and a tenant.

use std::fmt;

use entrant_types::emulation::is_loopback_host;
use entrant_types::{Code, Fault, Resource, Retry, TenantId, Whose};
use url::Url;

/// A Microsoft cloud, or a host of one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cloud {
    /// `login.microsoftonline.com` and its aliases.
    Public,
    /// `login.microsoftonline.us`.
    UsGovernment,
    /// `login.partner.microsoftonline.cn`.
    China,
    /// Any other host: B2C and External ID custom domains, the emulator.
    Custom,
}

impl Cloud {
    /// The sign-in host's URL; `None` for [`Cloud::Custom`].
    #[must_use]
    pub const fn host_url(self) -> Option<&'static str> {
        match self {
            Self::Public => Some("https://login.microsoftonline.com"),
            Self::UsGovernment => Some("https://login.microsoftonline.us"),
            Self::China => Some("https://login.partner.microsoftonline.cn"),
            Self::Custom => None,
        }
    }

    /// The audience that a managed identity's token must have to serve as a client assertion in this cloud
    /// (Microsoft Learn, "Configure an application to trust a managed identity").
    #[must_use]
    pub fn token_exchange(self) -> Resource {
        Resource::new(match self {
            Self::Public | Self::Custom => Resource::TOKEN_EXCHANGE,
            Self::UsGovernment => "api://AzureADTokenExchangeUSGov",
            Self::China => "api://AzureADTokenExchangeChina",
        })
    }

    /// The cloud that a host name belongs to, aliases included.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        match host {
            "login.microsoftonline.com" | "login.microsoft.com" | "login.windows.net" | "sts.windows.net" => {
                Self::Public
            }
            "login.microsoftonline.us" | "login.usgovcloudapi.net" => Self::UsGovernment,
            "login.partner.microsoftonline.cn" | "login.chinacloudapi.cn" => Self::China,
            _ => Self::Custom,
        }
    }
}

/// Whom an authority serves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tenant {
    /// One tenant, by id.
    Id(TenantId),
    /// One tenant, by one of its domain names; for B2C with the policy, `contoso.onmicrosoft.com/B2C_1_name`.
    Name(String),
    /// Work, school and personal accounts.
    Common,
    /// Work and school accounts of every tenant.
    Organizations,
    /// Personal accounts.
    Consumers,
}

impl Tenant {
    /// From an id, a domain name, or one of the words `common`, `organizations`, `consumers`.
    ///
    /// # Errors
    /// Text that cannot be a path of an authority.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        match text {
            "common" => return Ok(Self::Common),
            "organizations" => return Ok(Self::Organizations),
            "consumers" => return Ok(Self::Consumers),
            _ => {}
        }
        let segment = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        };
        if text.len() <= 256 && text.split('/').count() <= 2 && text.split('/').all(segment) {
            return Ok(Self::Name(text.to_owned()));
        }
        Err(bad(
            "the tenant is neither an id nor a domain name".to_owned(),
            "Set TENANT_ID to the Directory (tenant) ID on the app registration's Overview page, \
             or to a verified domain such as contoso.onmicrosoft.com.",
        ))
    }

    /// The one tenant's id, where it is known without asking.
    #[must_use]
    pub fn id(&self) -> Option<TenantId> {
        if let Self::Id(id) = self { Some(*id) } else { None }
    }

    /// Whether tokens of more than one tenant come from here, so that the issuer is a template.
    #[must_use]
    pub fn is_multi_tenant(&self) -> bool {
        matches!(self, Self::Common | Self::Organizations | Self::Consumers)
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => fmt::Display::fmt(id, f),
            Self::Name(name) => f.write_str(name),
            Self::Common => f.write_str("common"),
            Self::Organizations => f.write_str("organizations"),
            Self::Consumers => f.write_str("consumers"),
        }
    }
}

/// A sign-in host with a tenant, such as `https://login.microsoftonline.com/contoso.onmicrosoft.com`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    base: String,
    host: String,
    tenant: Tenant,
    cloud: Cloud,
}

impl Authority {
    /// From the sign-in host's URL (`AZURE_AUTHORITY_HOST`; a trailing slash is fine) and a tenant.
    /// Only `https`, or `http` to a loopback host.
    ///
    /// # Errors
    /// A URL or tenant that cannot be used, with what to write instead.
    pub fn parse(host_url: &str, tenant: &str) -> Result<Self, Fault> {
        let tenant = Tenant::parse(tenant.trim())?;
        let fix = "Set AZURE_AUTHORITY_HOST to the sign-in host alone, such as https://login.microsoftonline.com, \
                   and the tenant separately in TENANT_ID.";
        let text = host_url.trim();
        let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let url = Url::parse(&text).map_err(|error| bad(format!("the authority host is not a URL: {error}"), fix))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        match url.scheme() {
            "https" => {}
            "http" if is_loopback_host(&host) => {}
            _ => return Err(bad("the authority host must be reached over https".to_owned(), fix)),
        }
        if !url.path().trim_matches('/').is_empty() || url.query().is_some() || !url.username().is_empty() {
            return Err(bad("the authority host has more than a host and a port".to_owned(), fix));
        }
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { cloud: Cloud::of_host(&host), base, host, tenant })
    }

    /// From one URL that ends with the tenant: `https://login.microsoftonline.com/TENANT`.
    ///
    /// # Errors
    /// As [`Authority::parse`].
    pub fn from_url(url: &str) -> Result<Self, Fault> {
        let fix = "Write the authority as https://login.microsoftonline.com/TENANT.";
        let parsed =
            Url::parse(url.trim()).map_err(|error| bad(format!("the authority is not a URL: {error}"), fix))?;
        let path = parsed.path().trim_matches('/');
        let path = path.strip_suffix("/v2.0").unwrap_or(path).to_owned();
        if path.is_empty() {
            return Err(bad("the authority names no tenant".to_owned(), fix));
        }
        let mut host = parsed.clone();
        host.set_path("");
        Self::parse(host.as_str(), &path)
    }

    /// The same host with another tenant.
    #[must_use]
    pub fn with_tenant(&self, tenant: Tenant) -> Self {
        Self { tenant, ..self.clone() }
    }

    /// Where token requests are posted.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        self.endpoint("oauth2/v2.0/token")
    }

    /// Where a person signs in.
    #[must_use]
    pub fn authorize_endpoint(&self) -> String {
        self.endpoint("oauth2/v2.0/authorize")
    }

    /// Where a person signs out.
    #[must_use]
    pub fn logout_endpoint(&self) -> String {
        self.endpoint("oauth2/v2.0/logout")
    }

    /// The OpenID Connect metadata document.
    #[must_use]
    pub fn metadata_url(&self) -> String {
        self.endpoint("v2.0/.well-known/openid-configuration")
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The cloud.
    #[must_use]
    pub fn cloud(&self) -> Cloud {
        self.cloud
    }

    /// The host's name without port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Scheme, host and port, without a trailing slash.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    fn endpoint(&self, path: &str) -> String {
        format!("{}/{}/{path}", self.base, self.tenant)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.tenant)
    }
}

fn bad(what: String, fix: &str) -> Fault {
    Fault::new(Whose::Configuration, what, fix).retry(Retry::Never).code(Code::Entrant("authority_invalid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_follow_the_host_and_the_tenant() {
        let authority = Authority::parse("https://login.microsoftonline.com/", "contoso.example").unwrap();
        assert_eq!(authority.cloud(), Cloud::Public);
        assert_eq!(authority.token_endpoint(), "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token");
        let local = Authority::parse("https://localhost:8443", "common").unwrap();
        assert_eq!(local.to_string(), "https://localhost:8443/common");
        assert!(local.tenant().is_multi_tenant());
        assert_eq!(Authority::from_url("https://localhost:8443/common/v2.0").unwrap(), local);
    }

    #[test]
    fn a_b2c_policy_is_part_of_the_tenant() {
        let authority = Authority::from_url("https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_in").unwrap();
        assert_eq!(
            authority.metadata_url(),
            "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_in/v2.0/.well-known/openid-configuration"
        );
    }

    #[test]
    fn hosts_and_tenants_that_could_mislead_are_refused() {
        for (host, tenant) in [
            ("http://login.microsoftonline.com", "common"),
            ("https://login.microsoftonline.com/extra", "common"),
            ("https://user@login.microsoftonline.com", "common"),
            ("ftp://localhost", "common"),
            ("https://login.microsoftonline.com", ""),
            ("https://login.microsoftonline.com", ".."),
            ("https://login.microsoftonline.com", "a/b/c"),
            ("https://login.microsoftonline.com", "a?b"),
            ("https://login.microsoftonline.com", "a b"),
        ] {
            assert!(Authority::parse(host, tenant).is_err(), "{host} {tenant}");
        }
        assert!(Authority::parse("http://127.0.0.1:8480", "common").is_ok());
    }

    #[test]
    fn every_cloud_knows_its_own_token_exchange_audience() {
        for (host, audience) in [
            ("https://login.microsoftonline.com", "api://AzureADTokenExchange"),
            ("https://login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
            ("https://login.partner.microsoftonline.cn", "api://AzureADTokenExchangeChina"),
        ] {
            assert_eq!(Authority::parse(host, "common").unwrap().cloud().token_exchange().as_str(), audience);
        }
    }
}
