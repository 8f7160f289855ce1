//! A client that knows nothing of Entra, through the sidecar.

use std::process::Command;

use crate::process::{Entrant, installed};

#[test]
fn redis_cli_speaks_plain_redis_to_the_sidecar_which_brings_the_token() {
    let Some(redis_cli) = installed("redis-cli") else { return };
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    let ready = system.ready_file();
    let upstream = format!("localhost:{}", system.port("gate_port"));
    let arguments = ["redis-proxy", "--ports", "auto", "--attach", &ready, "--upstream", &upstream];
    let sidecar = Entrant::start(&arguments);
    let port = sidecar.port("proxy_port").to_string();
    let redis = |arguments: &[&str]| {
        let output = Command::new(&redis_cli).args(["-p", &port]).args(arguments).output().expect("redis-cli runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(redis(&["SET", "journey", "kept"]), "OK");
    assert_eq!(redis(&["GET", "journey"]), "kept");
    assert_eq!(redis(&["-3", "ACL", "WHOAMI"]), system.fact("managed_identity_principal_id"));
    assert_eq!(sidecar.stop().code(), Some(130), "it stops cleanly");
}
