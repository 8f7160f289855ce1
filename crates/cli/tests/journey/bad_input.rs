//! Bad input and absent neighbours: one clear sentence with what to change, the right exit code, within three seconds.

use std::time::Duration;

use crate::folder::Folder;
use crate::process::{Ended, Entrant, run, run_with};
use crate::sign_in;

const SOON: Duration = Duration::from_secs(3);
/// Of loopback; nothing listens there.
const NOBODY: &str = "127.0.0.1:1";
const TENANT: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";

/// Its code, what it says, and that it names a side and a fix.
fn refused(ended: &Ended, code: i32, says: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    assert!(ended.took < SOON, "took {:?}:\n{}", ended.took, ended.stderr);
    for part in says {
        assert!(ended.stderr.contains(part), "does not say `{part}`:\n{}", ended.stderr);
    }
    let sentences = ended.stderr.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(sentences, 1, "one sentence:\n{}", ended.stderr);
    assert!(ended.stderr.contains("\n  side: ") && ended.stderr.contains("\n  fix:  "), "{}", ended.stderr);
    assert_eq!(ended.stdout, "", "nothing claims to run");
    sign_in::no_token_in(&ended.stderr);
}

#[test]
fn a_port_in_use_is_named_with_its_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    for flag in ["--web-port", "--api-port", "--gate-port", "--admin-port", "--entra-port", "--imds-port"] {
        let folder = Folder::new();
        let data = folder.path().to_string_lossy();
        refused(&run(&["dev", "--ports", "auto", "--data-dir", &data, flag, &port]), 1, &[&port, flag]);
    }
}

#[test]
fn a_config_file_that_cannot_be_read_or_understood_is_named() {
    refused(&run(&["web", "--config", "/nonexistent/entrant.toml"]), 2, &["/nonexistent/entrant.toml"]);
    let folder = Folder::new();
    let path = folder.path().join("entrant.toml");
    std::fs::write(&path, "tenant_id = \"x\"\nweb_prot = 1\n").expect("the file is written");
    refused(&run(&["web", "--config", &path.to_string_lossy()]), 2, &["entrant.toml", "`web_prot`"]);
}

#[test]
fn an_unknown_flag_is_bad_usage_and_the_right_one_is_proposed() {
    let ended = run(&["dev", "--time-lapsed", "60"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--time-lapse") && ended.took < SOON, "{}", ended.stderr);
}

#[test]
fn a_tenant_that_is_none_is_named_with_who_said_so() {
    for tenant in ["contoso", "not a tenant", "0000-1111"] {
        refused(&run_with(&["web"], &[("TENANT_ID", tenant)]), 2, &["TENANT_ID", "environment", tenant]);
    }
}

#[test]
fn what_is_missing_is_named_with_its_variable() {
    refused(&run(&["web"]), 2, &["--tenant-id", "TENANT_ID"]);
    refused(&run(&["api", "--tenant-id", TENANT]), 2, &["--api-client-id", "API_CLIENT_ID"]);
    refused(&run(&["redis-gate", "--tenant-id", TENANT]), 2, &["--tls-cert"]);
    refused(&run(&["redis-proxy"]), 2, &["--upstream"]);
    refused(&run(&["emulator", "env"]), 2, &["--attach"]);
}

#[test]
fn an_unreachable_entra_is_said_at_the_start() {
    let authority = format!("https://{NOBODY}");
    let arguments = ["api", "--ports", "auto", "--tenant-id", TENANT, "--api-client-id", TENANT];
    refused(&run(&[&arguments[..], &["--authority-host", &authority]].concat()), 1, &[NOBODY, "refused"]);
}

#[test]
fn an_untrusted_ca_is_said_at_once_with_the_ca_that_is_trusted() {
    let emulator = Entrant::start(&["emulator", "--ports", "auto"]);
    let other = Entrant::start(&["emulator", "--ports", "auto"]);
    let (ready, ca) = (emulator.ready_file(), other.fact("ca_path"));
    let says = ["not trusted", "no trusted CA has issued", ca, "--ca"];
    refused(&run(&["api", "--ports", "auto", "--attach", &ready, "--ca", ca]), 1, &says);
    refused(&run(&["web", "--ports", "auto", "--attach", &ready, "--ca", ca]), 1, &says);
}

#[test]
fn an_unreachable_redis_is_said_at_the_start() {
    let emulator = Entrant::start(&["emulator", "--ports", "auto"]);
    let attach = ["--ports", "auto", "--attach", &emulator.ready_file()];
    refused(&run(&[&["web"], &attach[..], &["--redis", NOBODY]].concat()), 1, &[NOBODY]);
    let url = format!("redis://{NOBODY}");
    refused(&run(&[&["redis-gate"], &attach[..], &["--backend", &url]].concat()), 1, &[&url]);
    let folder = Folder::new();
    let data = folder.path().to_string_lossy();
    refused(&run(&["dev", "--ports", "auto", "--data-dir", &data, "--redis-url", &url]), 1, &[&url]);
    let test = ["redis-proxy", "--upstream", NOBODY, "--run-connection-test"];
    refused(&run(&[&test[..], &attach[..]].concat()), 1, &[NOBODY]);
}

#[test]
fn a_clock_that_cannot_be_shared_is_refused() {
    refused(&run(&["dev", "--time-lapse", "fast"]), 2, &["`fast`", "such as 60"]);
    let azure = ["api", "--tenant-id", TENANT, "--api-client-id", TENANT, "--time-lapse", "60"];
    refused(&run(&azure), 2, &["--time-lapse"]);
}
