//! The managed identity and the app registration that trusts it.

use std::time::Duration;

use entrant_credential::Source;
use entrant_credential::sources::managed_identity;
use entrant_proto::jose::UnverifiedJwt;
use entrant_types::{AccessToken, Code, Fault, Scope, Timestamp, Whose};

use super::{Finding, Patient, Report, limited};
use crate::identity::{self, Kind};
use crate::variable;

/// What Entra says after it has accepted the client's proof: no permission, no consent, no such resource. None of it is
/// about the federated credential.
const AFTER_ACCEPTANCE: &[u32] = &[500_011, 501_051, 65_001, 50_105, 70_011, 650_057];

/// A token of the identity for the token exchange, and what a federated credential for it must say.
pub(super) async fn token(patient: &Patient<'_>, report: &mut Report) -> Option<AccessToken> {
    const CHECK: &str = "identity endpoint";
    let kind = match identity::kind(patient.settings) {
        Ok(kind) => kind,
        Err(fault) => {
            report.add(CHECK, Finding::Failed(Box::new(fault)));
            return None;
        }
    };
    let (Kind::ManagedIdentity | Kind::Federated, Some(authority)) = (kind, patient.authority()) else {
        report.add(CHECK, Finding::Skipped(format!("the source is {kind}")));
        return None;
    };
    let clock = &patient.around.outside.clock;
    let asked = clock.now();
    let fetched = async {
        let selector = identity::selector(patient.settings, Kind::Federated)?;
        let source = managed_identity(selector, &patient.around.outside);
        let scope = Scope::new(authority.cloud().token_exchange().as_str());
        let token = source.fetch(&scope).await.into_result(source.name())?;
        Ok((token, source.name().to_owned()))
    };
    match limited("The identity endpoint", fetched).await {
        Err(fault) => {
            report.add(CHECK, Finding::Failed(Box::new(fault)));
            None
        }
        Ok((token, name)) => {
            report.add(CHECK, Finding::Ok(answered(&name, asked.until(clock.now()), &token, clock.now())));
            report.judge("identity token", predict(&token, patient.settings.text(&variable::CLIENT_ID).unwrap_or("?")));
            Some(token)
        }
    }
}

fn answered(source: &str, took: Duration, token: &AccessToken, now: Timestamp) -> String {
    format!(
        "{source} answered in {} ms, with a token for {} min",
        took.as_millis(),
        token.lifetime.left(now).as_secs() / 60
    )
}

/// The credential that the token needs, in the words of its form.
fn predict(token: &AccessToken, app: &str) -> Result<String, Fault> {
    let read = UnverifiedJwt::parse(token.secret.expose()).map_err(|error| {
        Fault::new(
            Whose::Provider,
            format!("The identity's token is not a JWT: {error}."),
            "Ask the platform's support.",
        )
    })?;
    let claim = |name: &str| read.unverified_claims().get(name).and_then(serde_json::Value::as_str).unwrap_or("(none)");
    let (issuer, subject) = (claim("iss"), claim("sub"));
    if subject != claim("oid") {
        return Err(Fault::new(
            Whose::Provider,
            "The token's subject is not the identity's object id: it is not a managed identity's.",
            "Check which endpoint IDENTITY_ENDPOINT names.",
        ));
    }
    Ok(format!(
        "app {app} must have a federated credential with issuer {issuer}, subject {subject}, audience api://AzureADTokenExchange"
    ))
}

/// Lets the app registration prove itself, which only Entra can judge.
pub(super) async fn credential(patient: &Patient<'_>, identity: Option<&AccessToken>, report: &mut Report) {
    const CHECK: &str = "app registration";
    let settings = patient.settings;
    let kind = identity::kind(settings).ok().filter(|kind| !matches!(kind, Kind::AzureCli | Kind::Chain));
    let managed = matches!(kind, Some(Kind::ManagedIdentity | Kind::Federated));
    let (Some(kind), false) = (kind, managed && identity.is_none()) else {
        report.add(CHECK, Finding::Skipped("needs the identity's token".to_owned()));
        return;
    };
    let grant = async {
        let kind = if managed { Kind::Federated } else { kind };
        let source = identity::source(settings, &patient.around, kind)?;
        let resource =
            settings.text(&variable::API_CLIENT_ID).or(settings.text(&variable::CLIENT_ID)).unwrap_or_default();
        let scope = Scope::new(format!("api://{resource}/.default"));
        source.fetch(&scope).await.into_result(source.name())
    };
    let judged = match limited("Entra ID", grant).await {
        Ok(_) => Ok("Entra ID accepts its proof".to_owned()),
        Err(fault) => {
            match fault.codes.iter().find_map(|code| if let Code::Aadsts(number) = code { Some(*number) } else { None })
            {
                Some(number) if AFTER_ACCEPTANCE.contains(&number) => Ok(format!(
                    "Entra ID accepts its proof (and then says AADSTS{number} about permissions, which sign-in does not need)"
                )),
                _ => Err(fault),
            }
        }
    };
    report.judge(CHECK, judged);
}
