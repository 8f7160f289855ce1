//! The doctor: everything healthy, and each illness by its name.

use serde_json::Value;

use crate::process::{Entrant, run, run_with};
use crate::sign_in;

/// The results by check, from `doctor --json` with more arguments.
fn examine(system: &Entrant, more: &[&str], code: i32) -> impl Fn(&str) -> String + use<> {
    let ended = run(&[&["doctor", "--json", "--attach", &system.ready_file()], more].concat());
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    sign_in::no_token_in(&ended.stdout);
    let report: Value = serde_json::from_str(&ended.stdout).expect("the doctor prints JSON");
    move |check: &str| {
        let checks = report["checks"].as_array().expect("a list of checks");
        let found: Vec<String> = checks.iter().filter(|one| one["name"] == check).map(Value::to_string).collect();
        assert!(!found.is_empty(), "no check is called `{check}`: {report}");
        found.concat()
    }
}

#[test]
fn a_healthy_system_passes_every_check() {
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    let result = examine(&system, &[], 0);
    for check in [
        "configuration",
        "clock",
        "Entra ID",
        "identity endpoint",
        "identity token",
        "app registration",
        "redirect URI",
        "protected API",
        "Redis",
        "Redis permissions",
    ] {
        assert!(result(check).contains("\"result\":\"ok\""), "{check}: {}", result(check));
    }
    let principal = system.fact("managed_identity_principal_id");
    assert!(result("identity token").contains(principal), "the subject that the credential must have");
}

#[test]
fn each_illness_is_found_where_it_is_and_nowhere_else() {
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    let unknown = "00000000-0000-4000-8000-000000000000";

    let result = examine(&system, &["--client-id", unknown], 1);
    assert!(result("app registration").contains("AADSTS700016"), "{}", result("app registration"));
    assert!(result("Redis").contains("\"result\":\"ok\""), "{}", result("Redis"));

    let result = examine(&system, &["--public-url", "https://elsewhere.example"], 1);
    assert!(result("redirect URI").contains("AADSTS50011"), "{}", result("redirect URI"));
    assert!(result("app registration").contains("\"result\":\"ok\""));

    let result = examine(&system, &["--identity-endpoint", "http://127.0.0.1:1/msi/token"], 1);
    assert!(result("identity endpoint").contains("connect_failed"), "{}", result("identity endpoint"));
    assert!(result("app registration").contains("skipped"));
    assert!(result("Entra ID").contains("\"result\":\"ok\""));

    let result = examine(&system, &["--redis", "127.0.0.1:1", "--api-endpoint", "http://127.0.0.1:1"], 1);
    assert!(result("Redis").contains("127.0.0.1:1"), "{}", result("Redis"));
    assert!(result("protected API").contains("connect_failed"), "{}", result("protected API"));

    let same = system.fact("client_id").to_owned();
    let result = examine(&system, &["--managed-identity-client-id", &same], 1);
    assert!(result("configuration").contains("federation_same_client_id"), "{}", result("configuration"));
}

/// What `emulator doctor --json` says in an environment, check by check.
fn examine_shell(system: &Entrant, environment: &[(&str, &str)], code: i32) -> String {
    let ended = run_with(&["emulator", "doctor", "--json", "--attach", &system.ready_file()], environment);
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    sign_in::no_token_in(&ended.stdout);
    assert!(!ended.stdout.contains(system.fact("identity_header")), "the header is a secret: {}", ended.stdout);
    ended.stdout
}

#[test]
fn a_shell_with_the_emulators_environment_is_healthy_for_every_profile() {
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    for profile in ["app-service", "imds", "workload", "service-principal"] {
        let ready = system.ready_file();
        let env = run(&["emulator", "env", "--profile", profile, "--shell", "dotenv", "--attach", &ready]);
        let variables: Vec<(&str, &str)> = env.stdout.lines().filter_map(|line| line.split_once('=')).collect();
        let report = examine_shell(&system, &variables, 0);
        assert!(report.contains(&format!("{profile}, of this emulator")), "{report}");
        assert!(!report.contains("\"warning\""), "{report}");
    }
}

#[test]
fn a_bare_and_a_confused_shell_are_told_what_to_set() {
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    let bare = examine_shell(&system, &[], 1);
    assert!(bare.contains("No variable names a credential") && bare.contains("retries for 82 s"), "{bare}");
    let (endpoint, header) = (system.fact("identity_endpoint"), system.fact("identity_header"));
    let both = [
        ("IDENTITY_ENDPOINT", endpoint),
        ("IDENTITY_HEADER", header),
        ("AZURE_FEDERATED_TOKEN_FILE", "elsewhere"),
        ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ];
    let confused = examine_shell(&system, &both, 1);
    assert!(confused.contains("unset AZURE_FEDERATED_TOKEN_FILE") && confused.contains("NO_PROXY"), "{confused}");
}
