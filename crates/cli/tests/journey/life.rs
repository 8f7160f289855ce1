//! How processes begin and end: what the ready file says, what a signal leaves behind.

use std::path::PathBuf;
use std::time::Duration;

use crate::http;
use crate::process::{Entrant, eventually, installed, run};

const SOON: Duration = Duration::from_secs(10);

/// The private Redis server of a system, found by the socket in its command line.
fn redis_server_of(system: &Entrant) -> Option<PathBuf> {
    let data = PathBuf::from(system.fact("ca_path")).parent()?.parent()?.to_string_lossy().into_owned();
    std::fs::read_dir("/proc").ok()?.filter_map(Result::ok).map(|entry| entry.path()).find(|process| {
        let line = std::fs::read_to_string(process.join("cmdline")).unwrap_or_default();
        let name = line.split('\0').next().unwrap_or_default();
        name.contains("redis-server") && line.contains(&data)
    })
}

#[test]
fn the_ready_file_has_every_key_of_the_contract_and_goes_with_the_process() {
    let system = Entrant::start(&["dev", "--ports", "auto", "--time-lapse", "2"]);
    for key in [
        "web_url",
        "api_url",
        "console_url",
        "admin_url",
        "authority",
        "tenant_id",
        "ca_path",
        "client_id",
        "api_client_id",
        "api_scope",
        "managed_identity_client_id",
        "managed_identity_principal_id",
        "imds_url",
        "identity_endpoint",
        "identity_header",
        "gate_host",
        "redis_backend",
        "time_lapse",
    ] {
        assert!(!system.fact(key).is_empty(), "{key}");
    }
    assert!(system.port("gate_port") > 0);
    assert!(system.fact("authority").ends_with(system.fact("tenant_id")));
    let path = system.ready_file();
    assert_eq!(system.stop().code(), Some(130));
    assert!(!PathBuf::from(path).exists(), "a stale ready file would mislead the next reader");
}

#[test]
fn probes_answer_for_the_whole_system() {
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    for path in ["startup", "readiness", "liveness"] {
        let answer = http::get(&format!("{}/{path}", system.fact("admin_url")));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
}

#[test]
fn ctrl_c_ends_everything_in_order_and_nothing_is_left() {
    let Some(_) = installed("redis-server") else { return };
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    let redis = redis_server_of(&system).expect("its Redis server runs");
    system.signal("INT");
    assert!(eventually(SOON, || !redis.exists()), "the Redis server is gone");
    let log = system.log();
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "an orderly end:\n{log}");
    assert_eq!(system.stop_status(), Some(130));
}

#[test]
fn a_killed_system_leaves_no_redis_server_behind() {
    let Some(_) = installed("redis-server") else { return };
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    let redis = redis_server_of(&system).expect("its Redis server runs");
    system.signal("KILL");
    assert!(eventually(SOON, || !redis.exists()), "the Redis server is gone");
}

#[test]
fn a_termination_drains_and_says_so_by_its_code() {
    let emulator = Entrant::start(&["emulator", "--ports", "auto"]);
    emulator.signal("TERM");
    assert_eq!(emulator.stop_status(), Some(143));
}

#[test]
fn the_death_of_the_redis_server_ends_the_system_with_a_failure() {
    let Some(_) = installed("redis-server") else { return };
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    let redis = redis_server_of(&system).expect("its Redis server runs");
    let pid = redis.file_name().expect("a process id").to_string_lossy().into_owned();
    let killed = std::process::Command::new("kill").args(["-KILL", &pid]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    let log = system.log_at_end();
    assert!(log.contains("redis-server behind the gate ended"), "{log}");
}

#[test]
fn a_command_runs_in_the_environment_of_an_emulator_of_its_own() {
    let script = "test -n \"$IDENTITY_ENDPOINT\" && test -r \"$SSL_CERT_FILE\" && exit 7";
    let ended = run(&["emulator", "run", "--ports", "auto", "--", "sh", "-c", script]);
    assert_eq!(ended.code, Some(7), "the command's own code: {}", ended.stderr);
    let ended = run(&["emulator", "run", "--ports", "auto", "--", "entrant-no-such-command"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("`entrant-no-such-command`"), "{}", ended.stderr);
}

#[test]
fn the_printed_environment_works_in_a_shell() {
    let emulator = Entrant::start(&["emulator", "--ports", "auto"]);
    let ready = emulator.ready_file();
    let binary = env!("CARGO_BIN_EXE_entrant");
    let script = format!(
        "eval \"$({binary} emulator env --attach {ready})\" && exec {binary} token --ca \"$SSL_CERT_FILE\" --json"
    );
    let output = std::process::Command::new("sh").args(["-c", &script]).env_clear().output().expect("sh runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("\"source\": \"app-service\""), "{shown}{output:?}");
}
