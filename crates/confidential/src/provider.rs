//! Who signs people in: Entra ID, or an OpenID provider of another make.

use std::fmt;

use entrant_proto::oauth::{Authority, Cloud};
use entrant_types::{Code, Fault, Retry, Whose};
use url::Url;

/// Where people sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Entra ID: a cloud's host, or a B2C or External ID host, and a tenant.
    Entra(Authority),
    /// Any other OpenID provider. Nothing that is Entra's is believed of it: no tenants, no object ids.
    OpenId(Issuer),
}

impl Provider {
    /// Entra's authority.
    #[must_use]
    pub const fn entra(&self) -> Option<&Authority> {
        match self {
            Self::Entra(authority) => Some(authority),
            Self::OpenId(_) => None,
        }
    }

    pub(crate) fn metadata_url(&self) -> String {
        match self {
            Self::Entra(authority) => authority.metadata_url(),
            Self::OpenId(issuer) => issuer.metadata_url(),
        }
    }
}

impl From<Authority> for Provider {
    fn from(authority: Authority) -> Self {
        Self::Entra(authority)
    }
}

impl From<Issuer> for Provider {
    fn from(issuer: Issuer) -> Self {
        Self::OpenId(issuer)
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entra(authority) => authority.fmt(f),
            Self::OpenId(issuer) => issuer.fmt(f),
        }
    }
}

/// An OpenID provider's issuer identifier (OpenID Connect Discovery 1.0 §3): an `https` URL, compared character by
/// character with what its metadata and its tokens say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer(String);

impl Issuer {
    /// Reads it.
    ///
    /// # Errors
    /// Anything but an `https` URL without user, query and fragment; Microsoft's own sign-in hosts, whose tenants
    /// are checked only when they are named as an authority.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let fix = "Copy `issuer` from the provider's /.well-known/openid-configuration, such as https://id.example.";
        let bad = |why: &str, fix: &str| {
            Fault::new(Whose::Configuration, format!("The issuer cannot be used: {why}."), fix)
                .retry(Retry::Never)
                .code(Code::Entrant("issuer_invalid"))
        };
        let text = text.trim();
        let url = Url::parse(text).map_err(|error| bad(&format!("it is no URL ({error})"), fix))?;
        let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        // A brace would make it a pattern for many issuers.
        if url.scheme() != "https" || !bare || text.contains(['{', '}']) {
            return Err(bad("it is not an https URL without user, query and fragment", fix));
        }
        if Cloud::of_host(url.host_str().unwrap_or_default()) != Cloud::Custom {
            let fix = "Name the tenant instead (TENANT_ID), so that it is checked.";
            return Err(bad("it is one of Entra ID's own", fix));
        }
        Ok(Self(text.to_owned()))
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Discovery §4: a slash at the end is left out before the path is added.
    fn metadata_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.0.trim_end_matches('/'))
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_stands_below_the_issuers_path() {
        for (issuer, url) in [
            ("https://id.example", "https://id.example/.well-known/openid-configuration"),
            ("https://id.example/realms/one/", "https://id.example/realms/one/.well-known/openid-configuration"),
        ] {
            let issuer = Issuer::parse(issuer).unwrap();
            assert_eq!(Provider::from(issuer).metadata_url(), url);
        }
    }

    #[test]
    fn what_could_mean_more_than_one_issuer_is_none() {
        for text in [
            "",
            "id.example",
            "http://id.example",
            "http://localhost:8443",
            "https://somebody@id.example",
            "https://id.example?a=b",
            "https://id.example#a",
            "https://id.example/{tenantid}/v2.0",
            "https://login.microsoftonline.com/11111111-aaaa-4bbb-8ccc-111111111111/v2.0",
        ] {
            assert!(Issuer::parse(text).is_err_and(|fault| fault.is("issuer_invalid")), "{text}");
        }
    }
}
