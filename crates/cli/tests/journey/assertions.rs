//! The app's proof refused: each mistake has its own number, on the page and in the log, with what to change.

use crate::browser::Browser;
use crate::folder::Folder;
use crate::process::Entrant;
use crate::{seed, sign_in};

/// Two ids of the built-in identity. They are derived from names, so they are the same on every machine.
struct Identity {
    client_id: String,
    principal_id: String,
    system_principal_id: String,
}

fn built_in_identity() -> Identity {
    let emulator = Entrant::start(&["emulator", "--ports", "auto"]);
    let console = crate::http::get(emulator.fact("console_url")).body;
    let host_vm = console.split("host-vm").nth(1).expect("the console names the machine's own identity");
    let ids: Vec<&str> =
        host_vm.split(|c: char| !c.is_ascii_hexdigit() && c != '-').filter(|id| id.len() == 36).collect();
    Identity {
        system_principal_id: ids[1].to_owned(),
        client_id: emulator.fact("managed_identity_client_id").to_owned(),
        principal_id: emulator.fact("managed_identity_principal_id").to_owned(),
    }
}

/// A sign-in whose code cannot be redeemed, since the app registration has this federated credential.
fn sign_in_is_refused(credential: &str, number: &str, advice: &str) {
    sign_in_with_seed_is_refused(&seed::with_credential(credential), number, advice);
}

fn sign_in_with_seed_is_refused(seed: &str, number: &str, advice: &str) {
    let Some(browser) = Browser::start() else { return };
    let folder = Folder::new();
    let path = seed::file(folder.path(), seed);
    let system = Entrant::start(&["dev", "--ports", "auto", "--seed", &path]);
    sign_in::sign_in(&browser, system.fact("web_url"), "alice@contoso.example");
    browser.expect(number);
    browser.expect(advice);
    sign_in::no_token_in(&browser.source());
    let log = system.log();
    assert!(log.contains(number), "the log has the number too:\n{log}");
    sign_in::no_token_in(&log);
}

fn credential(lines: &str) -> String {
    format!("[[app.fic]]\nname = \"web-app-identity\"\nmanaged_identity = \"web-app-identity\"\n{lines}\n")
}

#[test]
fn a_client_id_as_subject_is_refused_with_aadsts700213() {
    let subject = format!("subject = \"{}\"", built_in_identity().client_id);
    sign_in_is_refused(&credential(&subject), "AADSTS700213", "principal");
}

#[test]
fn a_subject_in_the_wrong_case_is_refused_with_aadsts7002138() {
    let subject = format!("subject = \"{}\"", built_in_identity().principal_id.to_uppercase());
    sign_in_is_refused(&credential(&subject), "AADSTS7002138", "case");
}

#[test]
fn a_credential_with_another_issuer_is_refused_with_aadsts700211() {
    let issuer = "issuer = \"https://login.microsoftonline.com/00000000-0000-4000-8000-000000000000/v2.0\"";
    sign_in_is_refused(&credential(issuer), "AADSTS700211", "issuer");
}

#[test]
fn a_credential_with_another_audience_is_refused_with_aadsts700212() {
    let audience = "audience = \"api://AzureADTokenExchangeUSGov\"";
    sign_in_is_refused(&credential(audience), "AADSTS700212", "api://AzureADTokenExchange");
}

#[test]
fn an_app_registration_without_any_credential_is_refused_with_aadsts70025() {
    sign_in_is_refused("", "AADSTS70025", "federated credential");
}

#[test]
fn an_expired_assertion_is_refused_with_aadsts700024() {
    let expired = "[[fault]]\nresource = \"AzureADTokenExchange\"\neffect = { shift-times = { seconds = -7200 } }\n";
    sign_in_with_seed_is_refused(expired, "AADSTS700024", "clock");
}

#[test]
fn a_system_assigned_identity_is_refused_with_aadsts700222() {
    // The endpoint answers with the token of the machine's own identity, whatever was asked for.
    let claim = |name: &str| {
        let value = &built_in_identity().system_principal_id;
        format!(
            "[[fault]]\nresource = \"AzureADTokenExchange\"\neffect = {{ claim = {{ name = \"{name}\", value = \"{value}\" }} }}\n"
        )
    };
    sign_in_with_seed_is_refused(&(claim("oid") + &claim("sub")), "AADSTS700222", "user-assigned");
}
