//! Tokens as Entra writes them: which claims, which issuer, which version.

mod claims;

pub(crate) use claims::{AppAuth, ClaimsMaker, UserGrant, client_info};

use entrant_types::TenantId;

use crate::seed::IssuerStyle;

/// How issuers are written, v1 and v2.
#[derive(Clone, Debug)]
pub(crate) struct Issuers {
    style: IssuerStyle,
    origin: String,
}

impl Issuers {
    pub(crate) fn new(style: IssuerStyle, origin: &str) -> Self {
        Self { style, origin: origin.to_owned() }
    }

    /// Issuer of v2 tokens; no slash at the end.
    pub(crate) fn v2(&self, tenant: TenantId) -> String {
        format!("{}/{tenant}/v2.0", self.v2_origin())
    }

    /// Issuer of v1 tokens; a slash at the end.
    pub(crate) fn v1(&self, tenant: TenantId) -> String {
        match self.style {
            IssuerStyle::Emulator => format!("{}/{tenant}/", self.origin),
            IssuerStyle::Entra => format!("https://sts.windows.net/{tenant}/"),
        }
    }

    /// Issuer of projected service-account tokens: always the emulator itself.
    pub(crate) fn workload(&self) -> String {
        format!("{}/workload", self.origin)
    }

    /// Scheme, host and port of v2 issuers.
    pub(crate) fn v2_origin(&self) -> &str {
        match self.style {
            IssuerStyle::Emulator => &self.origin,
            IssuerStyle::Entra => "https://login.microsoftonline.com",
        }
    }
}
