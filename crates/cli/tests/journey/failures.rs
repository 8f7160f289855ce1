//! The failures people meet most, through the real parts: each ends in a sentence to act on.

use std::process::Command;
use std::time::Duration;

use crate::browser::Browser;
use crate::folder::Folder;
use crate::process::{Ended, Entrant, eventually, installed, run, run_with};
use crate::separate::Separate;
use crate::{seed, sign_in};

/// A port of loopback on which nothing listens.
const NOBODY: &str = "http://127.0.0.1:1";
const SOON: Duration = Duration::from_secs(3);

fn one_sentence(ended: &Ended, code: i32, says: &str) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    assert!(ended.took < SOON, "took {:?}", ended.took);
    assert!(ended.stderr.to_lowercase().contains(&says.to_lowercase()), "does not say `{says}`:\n{}", ended.stderr);
    sign_in::no_token_in(&ended.stderr);
}

#[test]
fn without_an_identity_endpoint_a_token_is_refused_in_one_sentence() {
    let ended = run(&["token", "--source", "managed-identity", "--imds-host", NOBODY]);
    one_sentence(&ended, 1, "managed identity");
}

#[test]
fn a_web_app_without_an_identity_endpoint_says_so_on_the_page() {
    let Some(browser) = Browser::start() else { return };
    let emulator = Entrant::start(&["emulator", "--ports", "auto"]);
    let endpoint = format!("{NOBODY}/msi/token");
    let ready = emulator.ready_file();
    let web = Entrant::start(&["web", "--ports", "auto", "--attach", &ready, "--identity-endpoint", &endpoint]);
    sign_in::sign_in(&browser, web.fact("web_url"), "alice@contoso.example");
    browser.expect("What to do");
    assert!(browser.text().to_lowercase().contains("identity endpoint"), "{}", browser.text());
    assert!(web.log().contains("token acquisition failed"), "{}", web.log());
    assert!(web.metric("entrant_token_acquisition_failures_total", &[]) > 0.0);
}

#[test]
fn an_application_that_does_not_exist_is_refused_with_aadsts700016() {
    let emulator = Entrant::start(&["emulator", "--ports", "auto"]);
    let ready = emulator.ready_file();
    let unknown = "00000000-0000-4000-8000-000000000000";
    let ended = run(&["token", "--attach", &ready, "--source", "federated", "--client-id", unknown]);
    one_sentence(&ended, 1, "AADSTS700016");
}

#[test]
fn a_good_identity_token_with_a_refused_assertion_is_told_apart() {
    let folder = Folder::new();
    let wrong = seed::with_credential(
        "[[app.fic]]\nname = \"web-app-identity\"\nmanaged_identity = \"web-app-identity\"\nsubject = \"somebody-else\"\n",
    );
    let path = seed::file(folder.path(), &wrong);
    let emulator = Entrant::start(&["emulator", "--ports", "auto", "--seed", &path]);
    let ready = emulator.ready_file();
    let identity = run(&["token", "--attach", &ready, "--source", "managed-identity"]);
    assert_eq!(identity.code, Some(0), "the identity has its token: {}", identity.stderr);
    sign_in::no_token_in(&identity.stdout);
    let app = run(&["token", "--attach", &ready, "--source", "federated"]);
    one_sentence(&app, 1, "AADSTS700213");
}

#[test]
fn a_missing_access_policy_is_explained_on_the_page_with_the_object_id_to_assign() {
    let Some(browser) = Browser::start() else { return };
    let folder = Folder::new();
    let path = seed::file(folder.path(), seed::NO_REDIS_POLICY);
    let system = Separate::start(&["--seed", &path], &[]);
    sign_in::sign_in(&browser, system.web.fact("web_url"), "alice@contoso.example");
    browser.expect("WRONGPASS");
    browser.expect("What to do");
    let (page, object_id) = (browser.text(), system.emulator.fact("managed_identity_principal_id"));
    assert!(page.contains("access policy") && page.contains(object_id), "{page}");
    assert!(system.web.log().contains("WRONGPASS"), "{}", system.web.log());
    assert!(system.gate.log().contains("missing_policy"), "the gate knows more than it tells:\n{}", system.gate.log());
}

#[test]
fn an_access_policy_that_is_taken_away_is_explained_on_the_page() {
    let Some(browser) = Browser::start() else { return };
    let folder = Folder::new();
    let assignments = folder.path().join("assignments.toml");
    let emulator = Entrant::start(&["emulator", "--ports", "auto"]);
    let object_id = emulator.fact("managed_identity_principal_id");
    let assigned = format!("[[assignment]]\nobject_id = \"{object_id}\"\npolicy = \"data-owner\"\n");
    std::fs::write(&assignments, assigned).expect("the assignments are written");
    let system = Separate::around(emulator, &["--assignments", &assignments.to_string_lossy()], &[]);
    sign_in::sign_in(&browser, system.web.fact("web_url"), "alice@contoso.example");
    browser.expect("Signed in as Alice");

    std::fs::write(&assignments, "").expect("the assignments are written");
    let gone = eventually(Duration::from_secs(20), || {
        system.gate.metric("entrant_gate_closed_total", &[("reason", "revoked")]) > 0.0
    });
    assert!(gone, "the gate closes what was revoked:\n{}", system.gate.log());
    browser.open(system.web.fact("web_url"));
    browser.expect("WRONGPASS");
    browser.expect("What to do");
    assert!(browser.text().contains("access policy"), "{}", browser.text());
    assert!(system.web.metric("entrant_redis_auth_failures_total", &[]) > 0.0);
}

#[test]
fn a_token_for_another_resource_is_refused_by_the_gate() {
    let Some(redis_cli) = installed("redis-cli") else { return };
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    let ready = system.ready_file();
    let token = |scope: &str| {
        let ended = run(&["token", "--attach", &ready, "--source", "managed-identity", "--raw", "--scope", scope]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout.trim().to_owned()
    };
    let ping = |token: &str| {
        let port = system.port("gate_port").to_string();
        let output = Command::new(&redis_cli)
            .args(["-h", "localhost", "-p", &port, "--tls", "--cacert", system.fact("ca_path"), "--no-auth-warning"])
            .args(["--user", system.fact("managed_identity_principal_id"), "ping"])
            .env("REDISCLI_AUTH", token)
            .output()
            .expect("redis-cli runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert!(ping(&token("https://redis.azure.com/.default")).contains("PONG"));
    let refused = ping(&token("api://AzureADTokenExchange"));
    assert!(refused.contains("WRONGPASS invalid username-password pair"), "{refused}");
    assert!(system.log().contains("audience"), "{}", system.log());
}

#[test]
fn what_cannot_be_reached_or_trusted_ends_the_start_at_once() {
    let emulator = Entrant::start(&["emulator", "--ports", "auto"]);
    let stranger = Entrant::start(&["emulator", "--ports", "auto"]);
    let ready = emulator.ready_file();
    let web = ["web", "--ports", "auto", "--attach", ready.as_str()];
    one_sentence(&run(&[&web[..], &["--redis", "localhost:1"]].concat()), 1, "localhost:1");
    one_sentence(&run(&[&web[..], &["--authority-host", "https://localhost:1"]].concat()), 1, "localhost:1");
    one_sentence(&run(&[&web[..], &["--ca", stranger.fact("ca_path")]].concat()), 1, "not trusted");
}

#[test]
fn mistakes_at_the_start_are_one_sentence_each_and_never_hang() {
    one_sentence(&run(&["dev", "--prots", "auto"]), 2, "--ports");
    // The authority is on loopback, so that no mistake of this test leaves the machine.
    let api = |tenant: &str| {
        let api_client_id = ("API_CLIENT_ID", "2fd173dd-48b9-87dd-a1c3-cefd52a498ce");
        let authority = ("AZURE_AUTHORITY_HOST", "https://localhost:1");
        run_with(&["api", "--ports", "auto"], &[("TENANT_ID", tenant), api_client_id, authority])
    };
    one_sentence(&api("no tenant/at all"), 2, "TENANT_ID");
    one_sentence(&api("contoso.example"), 1, "localhost:1");
    one_sentence(&run(&["dev", "--config", "/nonexistent/entrant.toml"]), 2, "/nonexistent/entrant.toml");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    one_sentence(&run(&["dev", "--ports", "auto", "--web-port", &port]), 1, &port);
}
