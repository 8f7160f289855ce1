//! The directory: tenants, app registrations, people, managed identities, as the seed resolved them.

use std::collections::BTreeMap;

use entrant_types::{ClientId, Guid, ObjectId, Secret, TenantId, Timestamp};

use crate::seed::IdentityKind;

/// Everything that can be looked up. Immutable once built.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) apps: Vec<App>,
    pub(crate) people: Vec<Person>,
    pub(crate) identities: Vec<Identity>,
    /// Indices of the identities that the host has.
    pub(crate) host: Vec<usize>,
    /// Index of the identity that a request without a selector gets.
    pub(crate) host_default: Option<usize>,
    pub(crate) redis: Vec<RedisAssignment>,
}

#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) domain: String,
}

#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) tenant: TenantId,
    pub(crate) client_id: ClientId,
    /// Object id of the service principal: `oid` of its app-only tokens.
    pub(crate) principal: ObjectId,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) logout_url: Option<String>,
    pub(crate) secrets: Vec<AppSecret>,
    pub(crate) certificates: Vec<AppCertificate>,
    pub(crate) public_client: bool,
    pub(crate) multi_tenant: bool,
    pub(crate) assignment_required: bool,
    pub(crate) admin_consent: bool,
    pub(crate) group_claims: bool,
    pub(crate) api: Option<Api>,
    pub(crate) roles: Vec<String>,
    /// (API name, role).
    pub(crate) permissions: Vec<(String, String)>,
    pub(crate) federated: Vec<FederatedCredential>,
}

#[derive(Clone, Debug)]
pub(crate) struct AppSecret {
    pub(crate) value: Secret,
    pub(crate) expires: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(crate) struct AppCertificate {
    pub(crate) key: entrant_proto::jose::PublicKey,
    /// Base64url SHA-1 and SHA-256 thumbprints of the certificate.
    pub(crate) x5t: String,
    pub(crate) x5t_s256: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) uri: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) version: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct FederatedCredential {
    pub(crate) name: String,
    pub(crate) issuer: String,
    pub(crate) subject: Subject,
    pub(crate) audience: String,
}

#[derive(Clone, Debug)]
pub(crate) enum Subject {
    Exact(String),
    Expression(crate::seed::Expression),
}

#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) upn: String,
    pub(crate) name: String,
    pub(crate) oid: ObjectId,
    pub(crate) tenant: TenantId,
    pub(crate) groups: Vec<Guid>,
    pub(crate) roles: Vec<String>,
    pub(crate) assigned: Option<Vec<String>>,
    pub(crate) consent: Vec<String>,
    pub(crate) mfa: bool,
    pub(crate) disabled: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) kind: IdentityKind,
    pub(crate) tenant: TenantId,
    pub(crate) client_id: ClientId,
    pub(crate) principal: ObjectId,
    pub(crate) resource_id: String,
}

#[derive(Clone, Debug)]
pub(crate) struct RedisAssignment {
    pub(crate) object_id: ObjectId,
    pub(crate) name: String,
    /// Policy name as in an assignments file, or an ACL string.
    pub(crate) policy: String,
    pub(crate) access: String,
}

/// What a scope or resource text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// `aud` of tokens for it.
    pub(crate) audience: String,
    pub(crate) version: u8,
    /// Index of the API's registration, if it is one of the seed.
    pub(crate) app: Option<usize>,
}

/// Microsoft's own resources that a token can be asked for, with their application ids.
const BUILT_IN: &[(&str, &str)] = &[
    ("https://redis.azure.com", "acca5fbb-b7e4-4009-81f1-37e38fd66d78"),
    ("https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000"),
    ("https://management.azure.com", "797f4846-ba00-4fd7-ba43-dac1f8f63013"),
    ("https://management.core.windows.net", "797f4846-ba00-4fd7-ba43-dac1f8f63013"),
    ("https://vault.azure.net", "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"),
    ("https://storage.azure.com", "e406a681-f3d4-42a8-90b6-c2b029497af1"),
    ("https://database.windows.net", "022907d3-0f1b-48f7-badc-1ba6abab6d66"),
    ("https://ossrdbms-aad.database.windows.net", "123cd850-d9df-40bd-94d5-c9f07b7fa203"),
    ("https://servicebus.azure.net", "80a10ef9-8168-493d-abf9-3297c4ef6e3c"),
    ("https://cosmos.azure.com", "a232010e-820c-4083-83bb-3ace5fc29d0b"),
    ("https://eventhubs.azure.net", "80369ed6-5f11-4dd9-bef3-692475845e77"),
    ("https://azconfig.io", "35ffadb3-7fc1-497e-b61b-381d28e744cc"),
    ("https://cognitiveservices.azure.com", "7d312290-28c8-473c-a0ed-8e53749b6d6d"),
];

/// `aud` of a managed identity's token for `api://AzureADTokenExchange` in the public cloud.
pub(crate) const TOKEN_EXCHANGE_AUDIENCE: &str = "fb60f99c-7a34-4190-8149-302f77469936";

impl Directory {
    /// The tenant that a path segment names: its id, its domain, or one of the shared words.
    pub(crate) fn tenant(&self, segment: &str) -> Option<TenantChoice<'_>> {
        if matches!(segment, "common" | "organizations" | "consumers") {
            return Some(TenantChoice::Any);
        }
        // `adfs` makes EnvironmentCredential work with environment variables alone: it skips discovery there.
        if segment == "adfs" {
            return self.tenants.first().map(TenantChoice::One);
        }
        self.tenants
            .iter()
            .find(|tenant| tenant.domain.eq_ignore_ascii_case(segment) || segment.parse() == Ok(tenant.id))
            .map(TenantChoice::One)
    }

    pub(crate) fn home(&self) -> Option<&Tenant> {
        self.tenants.first()
    }

    pub(crate) fn app_by_client_id(&self, client_id: &str) -> Option<&App> {
        let id: ClientId = client_id.parse().ok()?;
        self.apps.iter().find(|app| app.client_id == id)
    }

    pub(crate) fn app_named(&self, name: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.name == name)
    }

    pub(crate) fn person(&self, upn_or_oid: &str) -> Option<&Person> {
        self.people
            .iter()
            .find(|person| person.upn.eq_ignore_ascii_case(upn_or_oid) || upn_or_oid.parse() == Ok(person.oid))
    }

    pub(crate) fn identity_by_principal(&self, principal: &str) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.principal.to_string().eq_ignore_ascii_case(principal))
    }

    pub(crate) fn identity_by_client_id(&self, client_id: &str) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.client_id.to_string().eq_ignore_ascii_case(client_id))
    }

    /// Who is called so: a person by UPN, a managed identity or an app by name or client id, anybody by object id.
    pub(crate) fn object_id(&self, text: &str) -> Option<ObjectId> {
        let is = |name: &str, client_id: ClientId| name == text || text.parse() == Ok(client_id);
        let identity = || self.identities.iter().find(|identity| is(&identity.name, identity.client_id));
        let app = || self.apps.iter().find(|app| is(&app.name, app.client_id));
        (self.person(text).map(|person| person.oid))
            .or_else(|| identity().map(|identity| identity.principal))
            .or_else(|| app().map(|app| app.principal))
            .or_else(|| text.parse().ok())
    }

    /// The ARM resource id of the machine behind the identity endpoints: that of its system-assigned identity.
    pub(crate) fn host_resource(&self) -> &str {
        let host = self.host.iter().filter_map(|index| self.identities.get(*index));
        let mut system = host.filter(|identity| identity.kind == IdentityKind::System);
        system.next().map_or("/emulator/host", |identity| identity.resource_id.as_str())
    }

    /// What `text` names as a resource: an API by App ID URI or client id, or one of Microsoft's.
    pub(crate) fn resource(&self, text: &str) -> Option<Target> {
        if text == entrant_types::Resource::TOKEN_EXCHANGE
            || text.strip_suffix('/') == Some(entrant_types::Resource::TOKEN_EXCHANGE)
            || text == TOKEN_EXCHANGE_AUDIENCE
        {
            return Some(Target { audience: TOKEN_EXCHANGE_AUDIENCE.into(), version: 2, app: None });
        }
        let bare = text.strip_suffix('/').unwrap_or(text);
        for (index, app) in self.apps.iter().enumerate() {
            let id = app.client_id.to_string();
            let by_uri = app.api.as_ref().is_some_and(|api| api.uri == bare);
            if by_uri || bare.eq_ignore_ascii_case(&id) || bare.strip_prefix("api://") == Some(id.as_str()) {
                let version = app.api.as_ref().map_or(2, |api| api.version);
                // Entra: a v2 API's audience is its client id whatever name it was asked by; a v1 API's is the text.
                let audience = if version == 2 { id } else { bare.to_owned() };
                return Some(Target { audience, version, app: Some(index) });
            }
        }
        BUILT_IN
            .iter()
            .find(|(uri, id)| bare.eq_ignore_ascii_case(uri) || bare.eq_ignore_ascii_case(id))
            .map(|_| Target { audience: text.to_owned(), version: 1, app: None })
            // Resources with an instance in the name: `https://{vault}.vault.azure.net` and their like.
            .or_else(|| is_azure_instance(bare).then(|| Target { audience: text.to_owned(), version: 1, app: None }))
    }
}

/// A tenant as a request's path names it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TenantChoice<'a> {
    /// `common`, `organizations`, `consumers`.
    Any,
    /// One tenant.
    One(&'a Tenant),
}

impl App {
    /// Whether `person` may use the app (AADSTS50105 otherwise).
    pub(crate) fn admits(&self, person: &Person) -> bool {
        !self.assignment_required || person.assigned.as_ref().is_none_or(|names| names.contains(&self.name))
    }

    /// The roles of `person` on this app.
    pub(crate) fn roles_of(&self, person: &Person) -> Vec<String> {
        person.roles.iter().filter(|role| self.roles.contains(role)).cloned().collect()
    }
}

fn is_azure_instance(text: &str) -> bool {
    const SUFFIXES: [&str; 5] =
        [".vault.azure.net", ".documents.azure.com", ".azconfig.io", ".servicebus.windows.net", ".core.windows.net"];
    text.strip_prefix("https://").is_some_and(|host| {
        !host.contains('/') && SUFFIXES.iter().any(|suffix| host.len() > suffix.len() && host.ends_with(suffix))
    })
}

/// Names to GUIDs for the display of ids.
pub(crate) fn names_by_id(directory: &Directory) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for app in &directory.apps {
        names.insert(app.client_id.to_string(), app.name.clone());
        names.insert(app.principal.to_string(), app.name.clone());
    }
    for identity in &directory.identities {
        names.insert(identity.client_id.to_string(), identity.name.clone());
        names.insert(identity.principal.to_string(), identity.name.clone());
    }
    for person in &directory.people {
        names.insert(person.oid.to_string(), person.upn.clone());
    }
    names
}
