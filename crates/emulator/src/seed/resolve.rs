//! From a seed file to a directory: names become ids, references are followed, mistakes become sentences.

use entrant_proto::jose::JwkSet;
use entrant_types::{ClientId, Guid, ObjectId, Secret, TenantId, Timestamp, access};

use super::{AppSeed, Expression, FicSeed, IdentityKind, IdentitySeed, RedisUserSeed, Seed, UserSeed, derived, x509};
use crate::directory::{
    Api, App, AppSecret, Directory, FederatedCredential, Identity, Person, RedisAssignment, Subject, Tenant,
};
use crate::faults::FaultRule;
use crate::token::Issuers;

/// What an exchange asks for when the seed says nothing else.
pub(crate) const EXCHANGE: &str = "api://AzureADTokenExchange";

/// Builds the directory. Everything that is wrong is said at once, a sentence each.
pub(crate) fn resolve(seed: &Seed, issuers: &Issuers) -> Result<Directory, Vec<String>> {
    let mut problems = Vec::new();
    let tenants = tenants(seed, &mut problems);
    let Some(home) = tenants.first().map(|tenant| tenant.id) else {
        return Err(vec!["There is no tenant: add [[tenant]] with a domain, or leave the section out.".into()]);
    };
    let find_tenant = |domain: Option<&String>, problems: &mut Vec<String>| {
        let Some(domain) = domain else { return home };
        tenants.iter().find(|tenant| tenant.domain.eq_ignore_ascii_case(domain)).map_or_else(
            || {
                problems.push(format!("No [[tenant]] has the domain '{domain}'."));
                home
            },
            |tenant| tenant.id,
        )
    };
    let identities: Vec<Identity> = seed
        .identity
        .iter()
        .map(|raw| identity(raw, find_tenant(raw.tenant.as_ref(), &mut problems), &mut problems))
        .collect();
    let apps = seed
        .app
        .iter()
        .map(|raw| app(raw, find_tenant(raw.tenant.as_ref(), &mut problems), &identities, issuers, &mut problems))
        .collect();
    let people = seed
        .user
        .iter()
        .map(|raw| {
            let own = raw.upn.rsplit_once('@').map(|(_, domain)| domain.to_owned());
            let own = own.filter(|domain| tenants.iter().any(|tenant| tenant.domain.eq_ignore_ascii_case(domain)));
            person(raw, find_tenant(raw.tenant.as_ref().or(own.as_ref()), &mut problems), &mut problems)
        })
        .collect();
    let mut directory =
        Directory { tenants, apps, people, identities, host: Vec::new(), host_default: None, redis: Vec::new() };
    host(seed, &mut directory, &mut problems);
    directory.redis = seed.redis.user.iter().filter_map(|raw| redis(raw, &directory, &mut problems)).collect();
    unique(&directory, &mut problems);
    problems.extend(seed.fault.iter().filter_map(FaultRule::problem));
    problems.extend(seed.issuer.iter().filter_map(|issuer| {
        let why = JwkSet::parse(issuer.jwks.as_bytes()).err()?;
        Some(format!("The jwks of [[issuer]] '{}' cannot be used: {why}.", issuer.url))
    }));
    if problems.is_empty() { Ok(directory) } else { Err(problems) }
}

fn guid(given: Option<&String>, what: &str, kind: &str, name: &str, problems: &mut Vec<String>) -> Guid {
    match given.map(|text| text.parse::<Guid>()) {
        Some(Ok(guid)) => guid,
        Some(Err(error)) => {
            problems.push(format!("The {what} of '{name}' is {error}."));
            derived(kind, name)
        }
        None => derived(kind, name),
    }
}

fn tenants(seed: &Seed, problems: &mut Vec<String>) -> Vec<Tenant> {
    seed.tenant
        .iter()
        .map(|raw| {
            if raw.domain.is_empty() || raw.domain.len() > 253 || raw.domain.contains(['/', ' ']) {
                problems.push(format!("A tenant's domain is '{}'; give a name such as contoso.example.", raw.domain));
            }
            let id = guid(raw.id.as_ref(), "id", "tenant", &raw.domain, problems);
            Tenant { id: TenantId::new(id), domain: raw.domain.clone() }
        })
        .collect()
}

fn identity(raw: &IdentitySeed, tenant: TenantId, problems: &mut Vec<String>) -> Identity {
    let name = &raw.name;
    if name.is_empty() {
        problems.push("An [[identity]] has no name.".into());
    }
    let client_id = guid(raw.client_id.as_ref(), "client_id", "identity-client", name, problems);
    let principal = guid(raw.principal_id.as_ref(), "principal_id", "identity-principal", name, problems);
    let group = format!("/subscriptions/{}/resourcegroups/emulator/providers/", derived("subscription", "emulator"));
    let resource_id = raw.resource_id.clone().unwrap_or_else(|| match raw.kind {
        IdentityKind::User => format!("{group}Microsoft.ManagedIdentity/userAssignedIdentities/{name}"),
        IdentityKind::System => format!("{group}Microsoft.Compute/virtualMachines/{name}"),
    });
    Identity {
        name: name.clone(),
        kind: raw.kind,
        tenant,
        client_id: ClientId::new(client_id),
        principal: ObjectId::new(principal),
        resource_id,
    }
}

fn app(raw: &AppSeed, tenant: TenantId, identities: &[Identity], issuers: &Issuers, problems: &mut Vec<String>) -> App {
    let name = &raw.name;
    if name.is_empty() {
        problems.push("An [[app]] has no name.".into());
    }
    let client_id = ClientId::new(guid(raw.client_id.as_ref(), "client_id", "app", name, problems));
    let principal = guid(raw.sp_object_id.as_ref(), "sp_object_id", "service-principal", name, problems);
    // Entra's limits: learn `reply-url.md` and `workload-identity-federation-considerations.md`.
    if raw.redirect_uris.len() > 256 || raw.redirect_uris.iter().any(|uri| uri.len() > 256) {
        problems.push(format!("'{name}' has more than 256 redirect URIs, or one longer than 256 characters."));
    }
    if raw.fic.len() > 20 {
        problems.push(format!("'{name}' has {} federated credentials; Entra allows 20.", raw.fic.len()));
    }
    let permissions = raw.permissions.iter().filter_map(|text| {
        let split = text.split_once('/').map(|(api, role)| (api.to_owned(), role.to_owned()));
        if split.is_none() {
            problems.push(format!("The permission '{text}' of '{name}' is not API-NAME/ROLE."));
        }
        split
    });
    let permissions = permissions.collect();
    let secrets = secrets(raw, problems);
    let certificates = raw.certificates.iter().filter_map(|certificate| {
        x509::certificate(&certificate.pem)
            .map_err(|why| problems.push(format!("A certificate of '{name}' cannot be used: {why}.")))
            .ok()
    });
    let certificates = certificates.collect();
    let federated = raw.fic.iter().filter_map(|fic| federated(name, fic, identities, issuers, problems)).collect();
    let api = raw.api.as_ref().map(|api| {
        let version = api.token_version.unwrap_or(2);
        if !matches!(version, 1 | 2) {
            problems.push(format!("token_version of '{name}' is {version}; Entra knows 1 and 2."));
        }
        let uri = api.uri.clone().unwrap_or_else(|| format!("api://{client_id}"));
        Api { uri, scopes: api.scopes.clone(), version }
    });
    let mut roles = raw.roles.clone();
    roles.extend(raw.api.iter().flat_map(|api| api.roles.iter().cloned()));
    App {
        name: name.clone(),
        tenant,
        client_id,
        principal: ObjectId::new(principal),
        redirect_uris: raw.redirect_uris.clone(),
        logout_url: raw.logout_url.clone(),
        secrets,
        certificates,
        public_client: raw.public_client,
        multi_tenant: raw.multi_tenant,
        assignment_required: raw.assignment_required,
        admin_consent: raw.admin_consent.unwrap_or(true),
        group_claims: raw.group_claims,
        api,
        roles,
        permissions,
        federated,
    }
}

fn secrets(raw: &AppSeed, problems: &mut Vec<String>) -> Vec<AppSecret> {
    raw.secrets
        .iter()
        .map(|secret| {
            let expires = secret.expires.as_ref().and_then(|text| {
                let format = &time::format_description::well_known::Rfc3339;
                time::OffsetDateTime::parse(text, format)
                    .map(|moment| Timestamp::from_secs(moment.unix_timestamp()))
                    .map_err(|_| {
                        let name = &raw.name;
                        problems.push(format!("A secret of '{name}' expires at '{text}'; write 2030-01-31T00:00:00Z."));
                    })
                    .ok()
            });
            AppSecret { value: Secret::from(secret.value.as_str()), expires }
        })
        .collect()
}

fn federated(
    app: &str,
    raw: &FicSeed,
    identities: &[Identity],
    issuers: &Issuers,
    problems: &mut Vec<String>,
) -> Option<FederatedCredential> {
    let audience = raw.audience.clone().unwrap_or_else(|| EXCHANGE.to_owned());
    if let Some(name) = &raw.managed_identity {
        let Some(identity) = identities.iter().find(|identity| identity.name == *name) else {
            problems.push(format!("A federated credential of '{app}' trusts '{name}', which is no [[identity]]."));
            return None;
        };
        return Some(FederatedCredential {
            name: if raw.name.is_empty() { name.clone() } else { raw.name.clone() },
            issuer: raw.issuer.clone().unwrap_or_else(|| issuers.v2(identity.tenant)),
            subject: Subject::Exact(raw.subject.clone().unwrap_or_else(|| identity.principal.to_string())),
            audience,
        });
    }
    if let Some(account) = &raw.service_account {
        return Some(FederatedCredential {
            name: if raw.name.is_empty() { account.replace('/', "-") } else { raw.name.clone() },
            issuer: raw.issuer.clone().unwrap_or_else(|| issuers.workload()),
            subject: Subject::Exact(raw.subject.clone().unwrap_or_else(|| service_account_subject(account))),
            audience,
        });
    }
    let Some(issuer) = raw.issuer.clone() else {
        problems
            .push(format!("Federated credential '{}' of '{app}' has neither issuer nor managed_identity.", raw.name));
        return None;
    };
    let subject = match (&raw.subject, &raw.expression) {
        (Some(subject), None) => Subject::Exact(subject.clone()),
        (None, Some(text)) => match Expression::parse(text) {
            Ok(expression) => Subject::Expression(expression),
            Err(why) => {
                problems.push(format!("The expression of federated credential '{}' of '{app}': {why}.", raw.name));
                return None;
            }
        },
        _ => {
            problems
                .push(format!("Federated credential '{}' of '{app}' needs one of subject and expression.", raw.name));
            return None;
        }
    };
    Some(FederatedCredential { name: raw.name.clone(), issuer, subject, audience })
}

/// `sub` of a Kubernetes service account's token.
pub(crate) fn service_account_subject(account: &str) -> String {
    format!("system:serviceaccount:{}", account.replacen('/', ":", 1))
}

fn person(raw: &UserSeed, tenant: TenantId, problems: &mut Vec<String>) -> Person {
    if !raw.upn.contains('@') {
        problems.push(format!("The upn '{}' is not of the form name@domain.", raw.upn));
    }
    let oid = guid(raw.oid.as_ref(), "oid", "user", &raw.upn, problems);
    let mut groups: Vec<Guid> = raw.groups.iter().map(|name| derived("group", name)).collect();
    // More than a hundred thousand groups would only cost memory: the overage claim starts at 200.
    groups.extend((0..raw.group_count.min(100_000)).map(|n| derived("group", &format!("{}#{n}", raw.upn))));
    Person {
        upn: raw.upn.clone(),
        name: raw.name.clone().unwrap_or_else(|| raw.upn.clone()),
        oid: ObjectId::new(oid),
        tenant,
        groups,
        roles: raw.roles.clone(),
        assigned: raw.assigned.clone(),
        consent: raw.consent.clone(),
        mfa: raw.mfa,
        disabled: raw.disabled,
    }
}

fn host(seed: &Seed, directory: &mut Directory, problems: &mut Vec<String>) {
    let position = |name: &String, problems: &mut Vec<String>| {
        let found = directory.identities.iter().position(|identity| identity.name == *name);
        if found.is_none() {
            problems.push(format!("[host] names '{name}', which is no [[identity]]."));
        }
        found
    };
    let all = (0..directory.identities.len()).collect::<Vec<_>>();
    let host = seed
        .host
        .identities
        .as_ref()
        .map_or(all, |names| names.iter().filter_map(|name| position(name, problems)).collect());
    let system = |index: &&usize| directory.identities[**index].kind == IdentityKind::System;
    let chosen = match &seed.host.default {
        Some(name) => position(name, problems),
        None => {
            host.iter().find(system).copied().or_else(|| if host.len() == 1 { host.first().copied() } else { None })
        }
    };
    directory.host = host;
    directory.host_default = chosen;
}

fn redis(raw: &RedisUserSeed, directory: &Directory, problems: &mut Vec<String>) -> Option<RedisAssignment> {
    let (name, object_id) = match (&raw.identity, &raw.user, &raw.app) {
        (Some(name), None, None) => {
            (name, directory.identities.iter().find(|identity| identity.name == *name).map(|found| found.principal))
        }
        (None, Some(name), None) => (name, directory.person(name).map(|found| found.oid)),
        (None, None, Some(name)) => (name, directory.app_named(name).map(|found| found.principal)),
        _ => {
            problems.push("A [[redis.user]] needs exactly one of identity, user and app.".into());
            return None;
        }
    };
    let Some(object_id) = object_id else {
        problems.push(format!("A [[redis.user]] names '{name}', which does not exist."));
        return None;
    };
    let policy = raw.policy.clone().unwrap_or_else(|| "default".to_owned());
    let access = access::policy::by_name(&policy).map_or_else(|| policy.clone(), str::to_owned);
    if !access.contains(['+', '-', '~']) {
        problems.push(format!(
            "The Redis policy '{policy}' of '{name}' is unknown: use default, data-owner, data-contributor, data-reader or an ACL string such as '+get ~cache:*'."
        ));
    }
    Some(RedisAssignment { object_id, name: name.clone(), policy, access })
}

fn unique(directory: &Directory, problems: &mut Vec<String>) {
    let mut names: Vec<&str> = directory.apps.iter().map(|app| app.name.as_str()).collect();
    names.extend(directory.identities.iter().map(|identity| identity.name.as_str()));
    names.extend(directory.people.iter().map(|person| person.upn.as_str()));
    names.sort_unstable();
    for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
        problems.push(format!("'{}' is defined twice.", pair[0]));
    }
}
