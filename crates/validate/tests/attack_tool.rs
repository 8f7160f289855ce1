//! An attack tool of other people's (myjwt, from PyPI) against the validator.
//!
//! `cargo xtask test` installs it into `target/conformance/tokens`. Without it the test says so and passes, except in
//! CI, where nothing is skipped.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at a broken promise")]
#![expect(clippy::disallowed_methods, reason = "the tool is a program of its own, found by the workspace's layout")]

mod support;

use std::path::Path;
use std::process::Command;

use entrant_types::emulation::World;
use entrant_validate::{IssuerRule, KeySet, Policy, Tenants, Validator};
use serde_json::{Value, json};
use support::*;

/// A free port on loopback for the key set that the honest tokens point to.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn no_token_of_a_published_attack_tool_is_accepted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let python = root.join("target/conformance/tokens/bin/python");
    let installed = Command::new(&python).args(["-c", "import myjwt.vulnerabilities"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI nothing is skipped: run `cargo xtask test`");
        eprintln!("skipped: myjwt is not installed; `cargo xtask test` installs it");
        return;
    }
    let issuer = Issuer::new();
    let outside = issuer.stage.outside();
    let rules = vec![IssuerRule::new(v2_issuer(TENANT))];
    let policy = Policy::new(World::Emulator, rules, vec![API.to_owned()], Tenants::Any);
    let validator = Validator::new(policy, KeySet::new(JWKS, &outside), outside.clock);

    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/keys");
    let honest = |header: Value| sign_with(&KEY, header, &access_claims());
    let given = json!({
        "plain": honest(json!({})), "with_jku": honest(json!({"jku": url})), "with_x5u": honest(json!({"x5u": url})),
        "jwk": KEY.jwk(), "port": port, "url": url,
    });
    for name in ["plain", "with_jku", "with_x5u"] {
        validator.validate(given[name].as_str().unwrap()).await.unwrap();
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("attack.json");
    std::fs::write(&file, given.to_string()).unwrap();
    let output = Command::new(python).arg(root.join("conformance/tokens/attack.py")).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let forged: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(forged.len() >= 20, "the tool made only {} tokens", forged.len());
    for forgery in forged {
        let refused = validator.validate(forgery["token"].as_str().unwrap()).await;
        let Err(refused) = refused else { panic!("accepted: {}", forgery["attack"]) };
        assert_eq!(refused.status(), 401, "{}: {refused}", forgery["attack"]);
    }
}
