//! Resources and scopes, and the only legal conversions between them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A resource (audience) as a managed-identity request names it, such as `https://redis.azure.com`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resource(String);

/// A v2 scope, such as `https://redis.azure.com/.default` or `api://…/access_as_user`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(String);

impl Resource {
    /// The audience of a managed identity's token that serves as a client assertion (public cloud).
    pub const TOKEN_EXCHANGE: &'static str = "api://AzureADTokenExchange";
    /// Azure Cache for Redis and Azure Managed Redis.
    pub const REDIS: &'static str = "https://redis.azure.com";

    /// From the resource text as configured.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `RESOURCE/.default`: all static permissions of the resource. A trailing slash of the resource is
    /// kept (`https://x//.default`), since Entra puts the text before the last slash in `aud`.
    #[must_use]
    pub fn default_scope(&self) -> Scope {
        Scope(format!("{}/.default", self.0))
    }
}

impl Scope {
    /// From the scope text as configured.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The resource to ask a managed-identity endpoint for: the scope less its `/.default`, as every SDK
    /// does it. A scope without `/.default` is itself the resource.
    #[must_use]
    pub fn resource(&self) -> Resource {
        Resource(self.0.strip_suffix("/.default").unwrap_or(&self.0).to_owned())
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_and_resource_convert_as_every_sdk_does_it() {
        assert_eq!(Scope::new("https://redis.azure.com/.default").resource().as_str(), "https://redis.azure.com");
        assert_eq!(Scope::new("https://redis.azure.com//.default").resource().as_str(), "https://redis.azure.com/");
        assert_eq!(Scope::new("api://AzureADTokenExchange").resource().as_str(), "api://AzureADTokenExchange");
        assert_eq!(
            Resource::new("https://redis.azure.com/").default_scope().as_str(),
            "https://redis.azure.com//.default"
        );
    }
}
