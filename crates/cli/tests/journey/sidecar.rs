//! A client that knows nothing of Entra, through the sidecar; and how a sidecar begins and ends among others.

use std::process::Command;

use crate::folder::Folder;
use crate::http;
use crate::process::{Entrant, installed, run};

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

/// A sidecar of an emulator's identity, before a Redis that is not there: enough for how it begins and ends.
fn sidecar(emulator: &Entrant, more: &[&str], environment: &[(&str, &str)]) -> Entrant {
    let ready = emulator.ready_file();
    let mut arguments = vec!["redis-proxy", "--attach", &ready, "--upstream", "localhost:1", "--proxy-port", "0"];
    arguments.extend(more);
    Entrant::start_with(&arguments, environment)
}

#[test]
fn a_job_waits_for_its_sidecar_and_ends_it_when_it_is_done() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its number");
    let port = free.port().to_string();
    let nobody = run(&["redis-proxy", "wait", "--max", "0", "--admin-port", &port]);
    assert_eq!(nobody.code, Some(1), "{}", nobody.stderr);
    assert!(nobody.stderr.contains("has not started within 0 s"), "{}", nobody.stderr);
    let nobody = run(&["redis-proxy", "shutdown", "--admin-port", &port]);
    assert_eq!(nobody.code, Some(1), "{}", nobody.stderr);

    let emulator = Entrant::start(&["emulator", "--ports", "auto"]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| run(&["redis-proxy", "wait", "--max", "60", "--admin-port", &port]));
        let sidecar = sidecar(&emulator, &["--admin-port", &port, "--quitquitquit"], &[]);
        assert_eq!(waiting.join().expect("it ends").code, Some(0));
        let url = format!("http://127.0.0.1:{port}/quitquitquit");
        assert_eq!(http::request("GET", &url, &[], None).expect("an answer").status, 405);
        let page = [("origin", "https://evil.example"), ("content-length", "0")];
        assert_eq!(http::request("POST", &url, &page, None).expect("an answer").status, 403, "a page cannot end it");
        assert_eq!(run(&["redis-proxy", "shutdown", "--admin-port", &port]).code, Some(0));
        assert_eq!(sidecar.stop_status(), Some(0), "it was asked to");
    });

    let locked = sidecar(&emulator, &["--admin-port", "0"], &[("ENTRANT_EXIT_ZERO_ON_SIGTERM", "true")]);
    let port = locked.fact("admin_url").rsplit(':').next().expect("a port").to_owned();
    let refused = run(&["redis-proxy", "shutdown", "--admin-port", &port]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("runs without --quitquitquit"), "{}", refused.stderr);
    locked.signal("TERM");
    assert_eq!(locked.stop_status(), Some(0), "as ENTRANT_EXIT_ZERO_ON_SIGTERM says");
}

#[test]
fn systemd_is_told_of_the_beginning_and_the_end_and_every_setting_may_stand_in_a_file() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let socket = std::os::unix::net::UnixDatagram::bind(path("notify")).expect("a socket");
    socket.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("a limit");
    let told = || {
        let mut text = [0; 64];
        let length = socket.recv(&mut text).expect("systemd is told");
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let listen = format!("unix:{}", path("redis.sock"));
    let settings = format!("listen = \"{listen}\"\nsocket_mode = \"0660\"\nlazy_refresh = true\nadmin_port = 0\n");
    std::fs::write(path("sidecar.toml"), settings).expect("a file");

    let emulator = Entrant::start(&["emulator", "--ports", "auto"]);
    let (config, notify) = (path("sidecar.toml"), path("notify"));
    let environment = [("ENTRANT_CONFIG", config.as_str()), ("NOTIFY_SOCKET", &notify)];
    let sidecar = sidecar(&emulator, &[], &environment);
    assert_eq!(told(), "READY=1");
    let mode = std::fs::metadata(path("redis.sock")).expect("it listens there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let ready = http::get(&format!("{}/readiness", sidecar.fact("admin_url")));
    assert_eq!(ready.status, 200, "lazy: no token is needed before the first client: {}", ready.body);
    assert!(!sidecar.log().contains("token acquired"), "{}", sidecar.log());
    sidecar.signal("TERM");
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(sidecar.stop_status(), Some(143));
    assert!(!folder.path().join("redis.sock").exists(), "nothing is left behind");
}
