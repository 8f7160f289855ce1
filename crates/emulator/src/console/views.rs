//! What the console's pages show of the directory and of the journal, as text.

use std::collections::BTreeMap;

use entrant_types::Timestamp;
use serde_json::Value;

use crate::directory::{App, Directory, Subject};
use crate::journal::{Entry, TokenView};
use crate::seed::IdentityKind;

pub(super) struct PersonView {
    pub(super) name: String,
    pub(super) upn: String,
    pub(super) oid: String,
    pub(super) notes: String,
}

pub(super) struct AppView {
    pub(super) name: String,
    pub(super) client_id: String,
    pub(super) principal: String,
    pub(super) redirects: Vec<String>,
    pub(super) exposes: Vec<String>,
    pub(super) credentials: String,
    pub(super) federated: Vec<FederatedView>,
}

pub(super) struct FederatedView {
    pub(super) name: String,
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) who: String,
    pub(super) audience: String,
}

pub(super) struct IdentityView {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) client_id: String,
    pub(super) principal: String,
    pub(super) redis: String,
}

pub(super) struct EntryView {
    pub(super) number: u64,
    pub(super) time: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) what: String,
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) explanation: String,
    pub(super) trace_id: String,
    pub(super) tokens: Vec<ClaimsView>,
}

pub(super) struct ClaimsView {
    pub(super) name: String,
    pub(super) hash: String,
    pub(super) claims: Vec<(String, String, String)>,
}

pub(super) fn person_views(directory: &Directory) -> Vec<PersonView> {
    directory
        .people
        .iter()
        .map(|person| {
            let mut notes = Vec::new();
            let refused: Vec<&str> =
                directory.apps.iter().filter(|app| !app.admits(person)).map(|app| app.name.as_str()).collect();
            if !refused.is_empty() {
                notes.push(format!("not assigned to {}", refused.join(", ")));
            }
            if !person.roles.is_empty() {
                notes.push(format!("role {}", person.roles.join(", ")));
            }
            if !person.groups.is_empty() {
                notes.push(format!("{} groups", person.groups.len()));
            }
            if person.disabled {
                notes.push("disabled".to_owned());
            }
            PersonView {
                name: person.name.clone(),
                upn: person.upn.clone(),
                oid: person.oid.to_string(),
                notes: notes.join("; "),
            }
        })
        .collect()
}

pub(super) fn app_views(directory: &Directory, names: &BTreeMap<String, String>) -> Vec<AppView> {
    directory
        .apps
        .iter()
        .map(|app| AppView {
            name: app.name.clone(),
            client_id: app.client_id.to_string(),
            principal: app.principal.to_string(),
            redirects: app.redirect_uris.clone(),
            exposes: app
                .api
                .iter()
                .flat_map(|api| api.scopes.iter().map(|scope| format!("{}/{scope}", api.uri)))
                .collect(),
            credentials: credentials(app),
            federated: app
                .federated
                .iter()
                .map(|fic| {
                    let subject = match &fic.subject {
                        Subject::Exact(subject) => subject.clone(),
                        Subject::Expression(expression) => expression.to_string(),
                    };
                    FederatedView {
                        name: fic.name.clone(),
                        issuer: fic.issuer.clone(),
                        who: names.get(&subject).cloned().unwrap_or_default(),
                        subject,
                        audience: fic.audience.clone(),
                    }
                })
                .collect(),
        })
        .collect()
}

fn credentials(app: &App) -> String {
    let count = |number: usize, what: &str| (number > 0).then(|| format!("{number} {what}"));
    let parts: Vec<String> = [
        count(app.federated.len(), "federated"),
        count(app.secrets.len(), "secret(s)"),
        count(app.certificates.len(), "certificate(s)"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

pub(super) fn identity_views(directory: &Directory) -> Vec<IdentityView> {
    directory
        .identities
        .iter()
        .map(|identity| IdentityView {
            name: identity.name.clone(),
            kind: if identity.kind == IdentityKind::User { "user-assigned" } else { "system-assigned" },
            client_id: identity.client_id.to_string(),
            principal: identity.principal.to_string(),
            redis: directory
                .redis
                .iter()
                .find(|own| own.object_id == identity.principal)
                .map_or_else(|| "none".to_owned(), |own| own.policy.clone()),
        })
        .collect()
}

/// The entries, newest first.
pub(super) fn entry_views(entries: &[Entry], names: &BTreeMap<String, String>) -> Vec<EntryView> {
    let view = |entry: &Entry| EntryView {
        number: entry.number,
        time: entry.at.to_string(),
        from: entry.from.clone(),
        to: entry.to.clone(),
        what: if entry.times > 1 { format!("{} ({} times)", entry.what, entry.times) } else { entry.what.clone() },
        status: entry.status,
        code: entry.code.clone().unwrap_or_default(),
        explanation: entry.explanation.clone().unwrap_or_default(),
        trace_id: entry.trace_id.clone().unwrap_or_default(),
        tokens: entry.tokens.iter().map(|token| claims_view(token, names)).collect(),
    };
    entries.iter().rev().map(view).collect()
}

fn claims_view(token: &TokenView, names: &BTreeMap<String, String>) -> ClaimsView {
    let claims = token.claims.iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), text.chars().take(400).collect(), meaning(name, value, names))
    });
    ClaimsView { name: token.name.clone(), hash: token.hash.clone(), claims: claims.collect() }
}

/// What a claim's value stands for: whose id it is, which moment, which service.
fn meaning(name: &str, value: &Value, names: &BTreeMap<String, String>) -> String {
    if matches!(name, "exp" | "iat" | "nbf" | "auth_time") {
        return value.as_i64().map(|at| Timestamp::from_secs(at).to_string()).unwrap_or_default();
    }
    let text = value.as_str().unwrap_or_default();
    match text {
        crate::directory::TOKEN_EXCHANGE_AUDIENCE => "api://AzureADTokenExchange".to_owned(),
        _ if matches!(name, "azpacr" | "appidacr") => match text {
            "0" => "public client".to_owned(),
            "1" => "client secret".to_owned(),
            _ => "assertion or certificate".to_owned(),
        },
        _ => names.get(text).cloned().unwrap_or_default(),
    }
}
