//! What can be seen to be wrong without asking anybody.

use entrant_credential::Selector;
use entrant_credential::sources::federation_subject;
use entrant_types::emulation::World;
use entrant_types::{ClientId, Fault, ObjectId};

use super::{Finding, Patient, Report};
use crate::identity::{self, Kind};
use crate::settings::bad;
use crate::variable;

const CHECK: &str = "configuration";

/// Reads every setting that the web app would, and looks for the mistakes that people make.
pub(super) fn check(patient: &Patient<'_>, report: &mut Report) {
    let before = report.is_healthy();
    for result in [ids(patient), assertion(patient), addresses(patient)] {
        if let Err(fault) = result {
            report.add(CHECK, Finding::Failed(Box::new(fault)));
        }
    }
    for (what, fix) in doubts(patient) {
        report.add(CHECK, Finding::Warning(what, fix));
    }
    if before && report.is_healthy() {
        let world = match patient.around.world {
            World::Azure => "real Entra ID",
            World::Emulator => "the emulator",
        };
        report.add(CHECK, Finding::Ok(format!("readable, for {world}")));
    }
}

fn ids(patient: &Patient<'_>) -> Result<(), Fault> {
    let settings = patient.settings;
    settings.required(&variable::TENANT_ID)?;
    let app: ClientId = settings.required_as(&variable::CLIENT_ID)?;
    let api: Option<ClientId> = settings.parsed(&variable::API_CLIENT_ID)?;
    if api == Some(app) {
        let fix = "Set CLIENT_ID to the web app's registration and API_CLIENT_ID to the API's.";
        return Err(bad("The web app and the API have the same client id.", fix));
    }
    let object: Option<ObjectId> = settings.parsed(&variable::OBJECT_ID)?;
    let identity: Option<ClientId> = settings.parsed(&variable::MANAGED_IDENTITY_CLIENT_ID)?;
    if object.is_some() && object.map(|id| id.guid()) == identity.map(|id| id.guid()) {
        let fix = "An identity has a client id and another object (principal) id: `az identity show` prints both.";
        return Err(bad("The identity's object id is the same as its client id.", fix));
    }
    Ok(())
}

fn assertion(patient: &Patient<'_>) -> Result<(), Fault> {
    let settings = patient.settings;
    if !matches!(identity::kind(settings)?, Kind::ManagedIdentity | Kind::Federated) {
        return Ok(());
    }
    let selector: Selector = identity::selector(settings, Kind::Federated)?;
    federation_subject(&selector, identity::client_id(settings)?)
}

fn addresses(patient: &Patient<'_>) -> Result<(), Fault> {
    let settings = patient.settings;
    let _: Option<url::Url> = settings.parsed(&variable::API_ENDPOINT)?;
    let public: Option<url::Url> = settings.parsed(&variable::PUBLIC_URL)?;
    let plain = public.as_ref().filter(|url| url.scheme() == "http").and_then(url::Url::host_str);
    if let Some(host) = plain.filter(|host| !entrant_types::emulation::is_loopback_host(host)) {
        let what = format!("The public address is plain http at {host}, which Entra ID accepts for localhost only.");
        return Err(bad(what, "Serve the web app by https and register that redirect URI."));
    }
    Ok(())
}

/// What works and is still a trap.
fn doubts(patient: &Patient<'_>) -> Vec<(String, String)> {
    let (settings, env) = (patient.settings, &patient.around.outside.env);
    let mut doubts = Vec::new();
    let managed = matches!(identity::kind(settings), Ok(Kind::ManagedIdentity | Kind::Federated));
    if managed && settings.secret(&variable::CLIENT_SECRET).is_some() {
        let what = "A client secret is set, and nothing needs it.";
        doubts.push((
            what.to_owned(),
            "Remove CLIENT_SECRET (AZURE_CLIENT_SECRET) and delete the secret in Entra.".to_owned(),
        ));
    }
    if env.get("IDENTITY_ENDPOINT").is_some() && env.get("IDENTITY_HEADER").is_none() {
        let what = "IDENTITY_ENDPOINT is set without IDENTITY_HEADER.";
        doubts.push((
            what.to_owned(),
            "On App Service the platform sets both; elsewhere remove IDENTITY_ENDPOINT.".to_owned(),
        ));
    }
    if settings.text(&variable::REDIS).is_none() {
        let what = "No Redis is set: sessions would live in the web app's memory.";
        doubts.push((what.to_owned(), "Set --redis HOST:PORT (ENTRANT_REDIS).".to_owned()));
    }
    doubts
}
