//! The seed: what the emulated directory holds, as one TOML file in which everything is optional.

mod check;
mod defaults;
mod derive;
mod expression;
mod resolve;
mod x509;

use serde::Deserialize;

use entrant_types::{Fault, Retry, Whose};

use crate::faults::FaultRule;

pub use check::{Finding, Level};
pub(crate) use derive::derived;
pub(crate) use expression::Expression;
pub(crate) use resolve::{EXCHANGE, resolve, service_account_subject};

/// A seed file. [`Seed::default`] serves both of the project's walk-throughs with no configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seed {
    /// How issuers are written: `emulator` (this origin) or `entra` (production-shaped).
    pub issuer_style: IssuerStyle,
    /// Tenants; the first is the home of everything that names none.
    pub tenant: Vec<TenantSeed>,
    /// App registrations.
    pub app: Vec<AppSeed>,
    /// People.
    pub user: Vec<UserSeed>,
    /// Managed identities.
    pub identity: Vec<IdentitySeed>,
    /// The machine that the identity endpoints stand for.
    pub host: HostSeed,
    /// Redis access policy assignments.
    pub redis: RedisSeed,
    /// Token lifetimes.
    pub lifetimes: LifetimeSeed,
    /// How sign-in behaves.
    pub sign_in: SignInSeed,
    /// Other issuers that federated credentials may name.
    pub issuer: Vec<IssuerSeed>,
    /// Fault rules in force from the start.
    pub fault: Vec<FaultRule>,
}

/// An issuer outside this directory, with its keys: nothing is fetched from the network.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IssuerSeed {
    /// `iss` of its tokens.
    pub url: String,
    /// Its JSON Web Key Set, as text.
    pub jwks: String,
}

/// How issuers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IssuerStyle {
    /// `https://localhost:8443/{tenant}/v2.0`: what every MSAL accepts, and never mistaken for Azure.
    #[default]
    Emulator,
    /// `https://login.microsoftonline.com/{tenant}/v2.0`: for validators that hard-code it. Keys and marker
    /// claim are still the emulator's.
    Entra,
}

/// A tenant.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantSeed {
    /// Its GUID; derived from the domain when absent.
    pub id: Option<String>,
    /// Its domain name.
    pub domain: String,
}

/// An app registration with its service principal.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppSeed {
    /// Its name, from which missing ids are derived.
    pub name: String,
    /// Domain of its tenant; the first tenant when absent.
    pub tenant: Option<String>,
    /// Application (client) id.
    pub client_id: Option<String>,
    /// Object id of its service principal.
    pub sp_object_id: Option<String>,
    /// Where sign-in may return to, and where sign-out may.
    pub redirect_uris: Vec<String>,
    /// Front-channel logout URL.
    pub logout_url: Option<String>,
    /// Client secrets.
    pub secrets: Vec<SecretSeed>,
    /// Certificates for `private_key_jwt`.
    pub certificates: Vec<CertificateSeed>,
    /// A public client (no credential) may redeem codes and device codes.
    pub public_client: bool,
    /// Whether other tenants' people may sign in.
    pub multi_tenant: bool,
    /// Whether only assigned people get in (AADSTS50105 otherwise).
    pub assignment_required: bool,
    /// Whether an administrator has consented for everybody; without it people are asked.
    pub admin_consent: Option<bool>,
    /// Whether tokens carry a `groups` claim.
    pub group_claims: bool,
    /// What it exposes, if it is an API.
    pub api: Option<ApiSeed>,
    /// App roles that people can have.
    pub roles: Vec<String>,
    /// Application permissions granted to it, as `api-name/Role`.
    pub permissions: Vec<String>,
    /// Federated identity credentials.
    pub fic: Vec<FicSeed>,
}

/// A client secret.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretSeed {
    /// The secret itself. The emulator's secrets protect nothing.
    pub value: String,
    /// When it ends, RFC 3339.
    pub expires: Option<String>,
}

/// A certificate that the app may sign assertions with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CertificateSeed {
    /// The certificate, PEM.
    pub pem: String,
}

/// The API half of an app registration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSeed {
    /// App ID URI; `api://{client id}` when absent.
    pub uri: Option<String>,
    /// Delegated scopes.
    pub scopes: Vec<String>,
    /// Roles for apps (application permissions) and people.
    pub roles: Vec<String>,
    /// Accepted token version, 1 or 2 (absent: 2).
    pub token_version: Option<u8>,
}

/// A federated identity credential; `managed_identity` or `service_account` fills issuer, subject and audience.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FicSeed {
    /// 3 to 120 URL-safe characters.
    pub name: String,
    /// Name of the managed identity to trust.
    pub managed_identity: Option<String>,
    /// `namespace/name` of a Kubernetes service account to trust, as issued by the emulator's workload issuer.
    pub service_account: Option<String>,
    /// Issuer of the assertion.
    pub issuer: Option<String>,
    /// Subject of the assertion; a managed identity's *principal* id.
    pub subject: Option<String>,
    /// Instead of the subject: a flexible expression such as `claims['sub'] matches 'repo:x/*'`.
    pub expression: Option<String>,
    /// Audience of the assertion; `api://AzureADTokenExchange` when absent.
    pub audience: Option<String>,
}

/// A person.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UserSeed {
    /// User principal name, such as `alice@contoso.example`.
    pub upn: String,
    /// Object id.
    pub oid: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Domain of the tenant; found by the UPN's domain, else the first.
    pub tenant: Option<String>,
    /// Groups by name.
    pub groups: Vec<String>,
    /// This many more groups with derived names: over 200 the overage claim replaces the list.
    pub group_count: u32,
    /// App roles, by name, on every app that defines them.
    pub roles: Vec<String>,
    /// Apps that the person is assigned to, by name; absent: all.
    pub assigned: Option<Vec<String>>,
    /// Apps that the person has consented to, by name.
    pub consent: Vec<String>,
    /// Whether every sign-in needs a second factor.
    pub mfa: bool,
    /// Whether the account is blocked.
    pub disabled: bool,
}

/// A managed identity.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentitySeed {
    /// Its name, from which missing ids are derived.
    pub name: String,
    /// `user` or `system`.
    pub kind: IdentityKind,
    /// Domain of its tenant.
    pub tenant: Option<String>,
    /// Client id.
    pub client_id: Option<String>,
    /// Principal (object) id.
    pub principal_id: Option<String>,
    /// ARM resource id.
    pub resource_id: Option<String>,
}

/// Kind of a managed identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityKind {
    /// User-assigned: the only kind that a federated credential may trust.
    #[default]
    User,
    /// System-assigned.
    System,
}

/// The machine that IMDS and App Service stand for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostSeed {
    /// Names of its identities; absent: all of the seed.
    pub identities: Option<Vec<String>>,
    /// The identity that a request without a selector gets; absent: the system-assigned one, else the only one.
    pub default: Option<String>,
}

/// Redis access.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisSeed {
    /// Access policy assignments.
    pub user: Vec<RedisUserSeed>,
}

/// One access policy assignment; exactly one of `identity`, `user`, `app`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisUserSeed {
    /// Name of a managed identity.
    pub identity: Option<String>,
    /// UPN of a person.
    pub user: Option<String>,
    /// Name of an app registration (its service principal).
    pub app: Option<String>,
    /// `default`, `data-owner`, `data-contributor`, `data-reader`, or an ACL string.
    pub policy: Option<String>,
}

/// Token lifetimes in seconds of the emulated clock.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LifetimeSeed {
    /// Access tokens; absent: random between 3600 and 5400, as Entra does.
    pub access: Option<u32>,
    /// Managed-identity tokens; absent: 3600 (Azure gives about 86400).
    pub managed_identity: Option<u32>,
    /// ID tokens; absent: 3600.
    pub id: Option<u32>,
    /// Refresh tokens, since their last use; absent: 90 days.
    pub refresh: Option<u32>,
    /// Authorization codes; absent: 600.
    pub code: Option<u32>,
    /// Life of managed-identity tokens for one resource, by the resource's text.
    pub resource: std::collections::BTreeMap<String, u32>,
}

/// How sign-in behaves.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignInSeed {
    /// Whether a request whose `login_hint` names a person skips the page (for scripts).
    pub auto: bool,
    /// What using a refresh token twice does.
    pub refresh_reuse: RefreshReuse,
}

/// What using a refresh token a second time does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefreshReuse {
    /// It works, as at Entra ("refresh tokens aren't revoked when used", `docs/identity-platform/refresh-tokens.md`).
    #[default]
    Allow,
    /// It ends the whole family: what RFC 9700 §4.14.2 asks of stricter servers.
    RevokeFamily,
}

impl Seed {
    /// What is wrong or odd about a seed file, a sentence each; empty when nothing is.
    #[must_use]
    pub fn check(text: &str) -> Vec<Finding> {
        check::check(text)
    }

    /// Reads a seed file. Sections that are absent keep the default seed's content.
    ///
    /// # Errors
    /// A sentence with the line, when the text is not TOML or names an unknown field.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut seed: Self = toml::from_str(text).map_err(|error| unreadable(text, &error))?;
        let table: toml::Table = text.parse().map_err(|error| unreadable(text, &error))?;
        seed.follow_overrides(|section| table.contains_key(section));
        Ok(seed)
    }

    /// Default sections refer to one another; those that were kept follow the ones that the file replaced.
    fn follow_overrides(&mut self, given: impl Fn(&str) -> bool) {
        if given("app") && !given("user") {
            let defined: Vec<String> = self.app.iter().flat_map(AppSeed::all_roles).cloned().collect();
            for user in &mut self.user {
                user.roles.retain(|role| defined.contains(role));
            }
        }
        if !given("identity") {
            return;
        }
        let first = self.identity.iter().find(|identity| identity.kind == IdentityKind::User);
        let first = first.map(|identity| identity.name.clone());
        if !given("app") {
            for app in &mut self.app {
                app.fic.retain(|fic| fic.managed_identity.is_none() || first.is_some());
                for fic in app.fic.iter_mut().filter(|fic| fic.managed_identity.is_some()) {
                    fic.managed_identity.clone_from(&first);
                }
            }
        }
        if !given("redis") {
            self.redis.user.retain(|_| first.is_some());
            for user in &mut self.redis.user {
                user.identity.clone_from(&first);
            }
        }
    }
}

impl AppSeed {
    /// Roles of the app and of the API that it is.
    fn all_roles(&self) -> impl Iterator<Item = &String> {
        self.roles.iter().chain(self.api.iter().flat_map(|api| &api.roles))
    }
}

fn unreadable(text: &str, error: &toml::de::Error) -> Fault {
    let message = error.message().replace('\n', " ");
    let before = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.as_bytes()[..before].iter().filter(|byte| **byte == b'\n').count() + 1;
    Fault::new(
        Whose::Configuration,
        format!("The seed file cannot be read: line {line}: {message}."),
        "Correct that line; docs/reference/seed.md has all fields.",
    )
    .retry(Retry::Never)
}
