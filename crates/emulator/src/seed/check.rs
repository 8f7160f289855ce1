//! `emulator check FILE`: mistakes and oddities of a seed, a sentence each, with what to write instead.

use std::fmt;

use super::{AppSeed, FicSeed, IdentityKind, Seed, derived, resolve};
use crate::seed::{EXCHANGE, IssuerStyle};
use crate::token::Issuers;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The emulator does not start with it.
    Mistake,
    /// It starts, and behaves as Entra would: something will be refused.
    Warning,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it is and what to write instead.
    pub sentence: String,
}

/// `mistake: …` or `warning: …`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.level == Level::Mistake { "mistake" } else { "warning" };
        write!(f, "{level}: {}", self.sentence)
    }
}

pub(super) fn check(text: &str) -> Vec<Finding> {
    let seed = match Seed::parse(text) {
        Ok(seed) => seed,
        Err(fault) => return vec![Finding { level: Level::Mistake, sentence: fault.what }],
    };
    // The default port stands in for whatever the emulator will run on.
    let issuers = Issuers::new(seed.issuer_style, "https://localhost:8443");
    let mistakes = resolve(&seed, &issuers).err().unwrap_or_default();
    let mut findings: Vec<Finding> =
        mistakes.into_iter().map(|sentence| Finding { level: Level::Mistake, sentence }).collect();
    let mut warnings = Vec::new();
    for app in &seed.app {
        for fic in &app.fic {
            federated(&seed, app, fic, &mut warnings);
        }
        redirects(app, &mut warnings);
        duplicates(app, &mut warnings);
        for secret in app.secrets.iter().filter(|secret| looks_real(&secret.value)) {
            let shown: String = secret.value.chars().take(3).collect();
            warnings.push(format!("A secret of '{}' ('{shown}…') looks like a real one of Entra's: revoke it there and write any other text here.", app.name));
        }
    }
    references(&seed, &mut warnings);
    lifetimes(&seed, &mut warnings);
    findings.extend(warnings.into_iter().map(|sentence| Finding { level: Level::Warning, sentence }));
    findings
}

fn federated(seed: &Seed, app: &AppSeed, fic: &FicSeed, warnings: &mut Vec<String>) {
    let label = format!("Federated credential '{}' of '{}'", fic.name, app.name);
    if !fic.name.is_empty()
        && (!(3..=120).contains(&fic.name.len())
            || !fic.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')))
    {
        warnings.push(format!("{label}: Entra wants a name of 3 to 120 letters, digits, dashes and underscores."));
    }
    if let Some(subject) = &fic.subject {
        for identity in &seed.identity {
            let client =
                identity.client_id.clone().unwrap_or_else(|| derived("identity-client", &identity.name).to_string());
            let principal = identity
                .principal_id
                .clone()
                .unwrap_or_else(|| derived("identity-principal", &identity.name).to_string());
            if subject.eq_ignore_ascii_case(&client) {
                warnings.push(format!("{label}: the subject is the client id of '{}'; Entra wants its principal id: {principal}. As it is, the token endpoint answers AADSTS700213.", identity.name));
            } else if subject.eq_ignore_ascii_case(&principal) && *subject != principal {
                warnings.push(format!("{label}: the subject differs from the principal id of '{}' in case only; Entra compares exactly (AADSTS7002138). Write {principal}.", identity.name));
            }
            if subject.eq_ignore_ascii_case(&principal) && identity.kind == IdentityKind::System {
                warnings.push(system(&label, &identity.name));
            }
        }
    }
    let trusted = seed.identity.iter().find(|identity| Some(&identity.name) == fic.managed_identity.as_ref());
    if let Some(identity) = trusted.filter(|identity| identity.kind == IdentityKind::System) {
        warnings.push(system(&label, &identity.name));
    }
    if let Some(audience) = fic.audience.as_ref().filter(|audience| *audience != EXCHANGE) {
        warnings.push(format!("{label}: the audience is '{audience}'; SDKs ask for {EXCHANGE}, and a managed identity must (AADSTS700212)."));
    }
    if let Some(issuer) = &fic.issuer {
        issuer_form(seed, &label, issuer, warnings);
    }
}

fn system(label: &str, name: &str) -> String {
    format!(
        "{label}: '{name}' is a system-assigned identity; Entra accepts user-assigned ones only (AADSTS700222 here)."
    )
}

fn issuer_form(seed: &Seed, label: &str, issuer: &str, warnings: &mut Vec<String>) {
    let real =
        issuer.starts_with("https://login.microsoftonline.com/") || issuer.starts_with("https://sts.windows.net/");
    if issuer.starts_with("https://sts.windows.net/") {
        warnings.push(format!("{label}: '{issuer}' is the issuer of v1 tokens; the exchange token is v2: https://login.microsoftonline.com/TENANT/v2.0."));
    } else if real && !issuer.ends_with("/v2.0") {
        warnings.push(format!(
            "{label}: the issuer '{issuer}' does not end in /v2.0, so no token will match (AADSTS700211)."
        ));
    }
    if real && seed.issuer_style == IssuerStyle::Emulator {
        warnings.push(format!("{label}: the issuer is the real Entra's, but this directory issues from https://localhost. Write managed_identity = \"NAME\", which fills it in, or issuer_style = \"entra\"."));
    }
}

fn redirects(app: &AppSeed, warnings: &mut Vec<String>) {
    for uri in &app.redirect_uris {
        let label = format!("Redirect URI '{uri}' of '{}'", app.name);
        let Ok(url) = url::Url::parse(uri) else {
            warnings.push(format!("{label} is no absolute URL."));
            continue;
        };
        if url.scheme() == "http" && !matches!(url.host_str(), Some("localhost" | "127.0.0.1")) {
            warnings.push(format!("{label}: Entra allows plain http for localhost only; write https."));
        }
        if url.host_str() == Some("[::1]") {
            warnings.push(format!("{label}: Entra does not support [::1]; write localhost."));
        }
        // `reply-url.md` lists the characters.
        if uri.contains(['!', '$', '\'', '(', ')', ',', ';', '*']) {
            warnings.push(format!("{label}: Entra refuses the characters ! $ ' ( ) , ; and wildcards."));
        }
    }
}

fn duplicates(app: &AppSeed, warnings: &mut Vec<String>) {
    for (index, fic) in app.fic.iter().enumerate() {
        let key = |fic: &FicSeed| {
            (fic.managed_identity.clone(), fic.service_account.clone(), fic.issuer.clone(), fic.subject.clone())
        };
        if fic.expression.is_none()
            && app.fic[..index].iter().any(|other| other.expression.is_none() && key(other) == key(fic))
        {
            warnings.push(format!("Federated credential '{}' of '{}' has the issuer and subject of another one; Entra refuses that (AADSTS700263).", fic.name, app.name));
        }
    }
}

fn references(seed: &Seed, warnings: &mut Vec<String>) {
    let app = |name: &str| seed.app.iter().find(|app| app.name == name);
    let defines = |app: &AppSeed, role: &str| app.all_roles().any(|own| own == role);
    for user in &seed.user {
        for name in user.assigned.iter().flatten().chain(&user.consent).filter(|name| app(name).is_none()) {
            warnings.push(format!("'{}' refers to the app '{name}', which does not exist.", user.upn));
        }
        for role in user.roles.iter().filter(|role| !seed.app.iter().any(|app| defines(app, role))) {
            warnings.push(format!(
                "'{}' has the role '{role}', which no app defines: add it to roles of an [[app]].",
                user.upn
            ));
        }
    }
    for (own, permission) in
        seed.app.iter().flat_map(|own| own.permissions.iter().map(move |permission| (own, permission)))
    {
        let known =
            permission.split_once('/').is_some_and(|(api, role)| app(api).is_some_and(|api| defines(api, role)));
        if !known {
            warnings.push(format!("'{}' has the permission '{permission}', which no API defines.", own.name));
        }
    }
    let users = seed.identity.iter().filter(|identity| identity.kind == IdentityKind::User).count();
    let system = seed.identity.iter().any(|identity| identity.kind == IdentityKind::System);
    if users > 1 && !system && seed.host.default.is_none() {
        warnings.push("The host has several user-assigned identities and no default: requests without client_id are refused, as in Azure.".into());
    }
}

fn lifetimes(seed: &Seed, warnings: &mut Vec<String>) {
    let own = [("access", seed.lifetimes.access), ("managed_identity", seed.lifetimes.managed_identity)];
    let own = own.into_iter().filter_map(|(name, seconds)| Some((name.to_owned(), seconds?)));
    let resources = seed.lifetimes.resource.iter().map(|(name, seconds)| (name.clone(), *seconds));
    for (name, seconds) in own.chain(resources).filter(|(_, seconds)| *seconds < 300) {
        warnings.push(format!("Tokens for '{name}' live {seconds} s: every SDK counts less than 300 s as expired and caches nothing. Run the clock faster instead (--time-lapse)."));
    }
}

/// Entra's generated secrets are 40 characters with `8Q~` at the fourth.
fn looks_real(secret: &str) -> bool {
    secret.len() == 40 && secret.get(3..6) == Some("8Q~")
}
