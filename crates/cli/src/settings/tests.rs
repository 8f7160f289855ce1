//! Tests of precedence and of the sentences for bad input.

use std::ffi::OsString;

use entrant_testkit::MapEnv;
use entrant_types::TenantId;

use super::*;
use crate::arguments::{self, Verb};
use crate::variable::{API_PORT, BACKEND, CA, CLIENT_SECRET, ISSUER, TENANT_ID, WEB_PORT};

fn resolve(line: &str, env: &MapEnv) -> Result<Settings, Fault> {
    let parsed = arguments::parse(line.split(' ').map(OsString::from)).unwrap();
    let Verb::Command(command) = parsed.verb else { unreachable!() };
    Settings::resolve(command, &parsed, env)
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("entrant-settings-{name}-{}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let path = file("layers", "web_port = 3\ntenant_id = \"from-file\"");
    let line = format!("entrant web --config {}", path.display());
    let nothing = MapEnv::default();
    let env = MapEnv::of(&[("PORT", "2")]);
    assert_eq!(resolve(&format!("{line} --web-port 1"), &env).unwrap().text(&WEB_PORT), Some("1"));
    assert_eq!(resolve(&line, &env).unwrap().text(&WEB_PORT), Some("2"));
    assert_eq!(resolve(&line, &nothing).unwrap().text(&WEB_PORT), Some("3"));
    assert_eq!(resolve("entrant web", &nothing).unwrap().text(&WEB_PORT), Some("5000"));
    assert_eq!(resolve(&line, &nothing).unwrap().text(&TENANT_ID), Some("from-file"));
    assert!(!resolve("entrant web", &nothing).unwrap().is_chosen(&WEB_PORT));
}

#[test]
fn an_attached_ready_file_lends_its_values_and_flags_still_count() {
    let ready = r#"{"authority":"https://localhost:8443/00001111-aaaa-2222-bbbb-3333cccc4444",
        "tenant_id":"00001111-aaaa-2222-bbbb-3333cccc4444","ca_path":"/data/ca.pem","identity_header":"h",
        "gate_host":"localhost","gate_port":10000,"pid":1,"redis_backend":"embedded","people":[]}"#;
    let path = file("ready", ready);
    let env = MapEnv::of(&[("TENANT_ID", "ignored"), ("CLIENT_SECRET", "s")]);
    let settings = resolve(&format!("entrant web --attach {} --ca /mine.pem", path.display()), &env).unwrap();
    assert_eq!(settings.text(&TENANT_ID), Some("00001111-aaaa-2222-bbbb-3333cccc4444"));
    assert_eq!(settings.text(&crate::variable::AUTHORITY_HOST), Some("https://localhost:8443"));
    assert_eq!(settings.text(&crate::variable::REDIS), Some("localhost:10000"));
    assert_eq!(settings.text(&CA), Some("/mine.pem"));
    assert_eq!(settings.secret(&CLIENT_SECRET).map(Secret::expose), Some("s"));
}

#[test]
fn a_wrong_value_is_named_with_its_origin_and_its_meaning() {
    let env = MapEnv::of(&[("TENANT_ID", "contoso")]);
    let fault = resolve("entrant web", &env).unwrap().required_as::<TenantId>(&TENANT_ID).unwrap_err();
    assert!(fault.what.contains("`contoso` (from the environment variable TENANT_ID)"), "{fault}");
    assert!(fault.fix.contains("--tenant-id or TENANT_ID"), "{fault}");
    let fault = resolve("entrant web", &MapEnv::default()).unwrap().required(&TENANT_ID).unwrap_err();
    assert!(fault.what.contains("is not set, and `entrant web` needs it"), "{fault}");
}

#[test]
fn lists_come_from_repeated_flags_or_commas() {
    let env = MapEnv::of(&[("ENTRANT_ISSUER", "https://a, https://b")]);
    assert_eq!(resolve("entrant redis-gate", &env).unwrap().many(&ISSUER), ["https://a", "https://b"]);
    assert_eq!(resolve("entrant redis-gate --issuer x --issuer y", &env).unwrap().many(&ISSUER), ["x", "y"]);
    assert_eq!(resolve("entrant redis-gate", &env).unwrap().text(&BACKEND), Some("embedded"));
    assert_eq!(resolve("entrant api", &MapEnv::of(&[("PORT", "7")])).unwrap().text(&API_PORT), Some("7"));
}

#[test]
fn a_config_file_that_cannot_be_used_is_a_sentence() {
    for (name, text, expected) in [
        ("syntax", "a = 1\nb = = 2", "is not TOML (line 2)"),
        ("unknown", "web_prot = 1", "unknown key `web_prot`"),
        ("secret", "client_secret = \"x\"", "must not hold `client_secret`"),
        ("shape", "web_port = { a = 1 }", "no text, number, switch or list"),
    ] {
        let path = file(name, text);
        let fault = resolve(&format!("entrant web --config {}", path.display()), &MapEnv::default()).unwrap_err();
        assert!(fault.what.contains(expected) && fault.what.contains(path.to_str().unwrap()), "{fault}");
    }
    let fault = resolve("entrant web --config /nonexistent.toml", &MapEnv::default()).unwrap_err();
    assert!(fault.what.contains("/nonexistent.toml cannot be read"), "{fault}");
}
