//! One script, two programs: what a person does at the Flask app of the first seed document, they do at `entrant web`,
//! word for word. Entra, the identity endpoint and the API are the same for both.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::browser::Browser;
use crate::http;
use crate::process::Entrant;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The Flask app as a child process, with packages that `cargo xtask sdk` installs.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    fn start(ready: &str) -> Option<Self> {
        let python = PathBuf::from(ROOT).join("target/conformance/python/bin/python");
        if !python.is_file() {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "no Flask: run `cargo xtask sdk`");
            eprintln!("skipped: Flask is not installed (`cargo xtask sdk` installs it)");
            return None;
        }
        let mut child = Command::new(python)
            .arg(Path::new(ROOT).join("conformance/sdk/python/flask_app.py"))
            .arg(ready)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python starts");
        let mut url = String::new();
        BufReader::new(child.stdout.take().expect("its output is ours")).read_line(&mut url).expect("it says its URL");
        Some(Self { child, url: url.trim().to_owned() })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The control API of an emulator.
struct Control<'a>(&'a str);

impl Control<'_> {
    fn rule(&self, rule: &str) {
        let headers = [("content-type", "application/json")];
        let answer = http::request("POST", &format!("{}/control/faults", self.0), &headers, Some(rule));
        let answer = answer.expect("the control API answers");
        assert_eq!(answer.status, 201, "{}", answer.body);
    }

    /// How often the rules in force have struck, in their order.
    fn struck(&self) -> Vec<u64> {
        let rules = http::get(&format!("{}/control/faults", self.0)).json();
        rules.as_array().into_iter().flatten().filter_map(|rule| rule["struck"].as_u64()).collect()
    }

    fn clear(&self) {
        let _ = http::request("DELETE", &format!("{}/control/faults", self.0), &[], None);
    }
}

/// The script.
fn a_person_signs_in_calls_renews_and_signs_out(browser: &Browser, url: &str, control: &Control) {
    // The access token of the sign-in is too short to be used: the first call renews it. The second rule only counts.
    control.rule(r#"{"endpoint":"token","grant":"authorization_code","times":1,"effect":{"lifetime":{"seconds":4}}}"#);
    control.rule(r#"{"endpoint":"token","grant":"refresh_token","effect":{"latency":{"millis":0}}}"#);
    browser.open(url);
    browser.click("Sign in");
    browser.click("alice@contoso.example");
    browser.expect("Signed in as Alice Archer");
    assert!(browser.address().starts_with(url), "back at the program: {}", browser.address());
    browser.click("Call the API");
    browser.expect("access_as_user");
    browser.expect("alice@contoso.example");
    assert_eq!(control.struck(), [1, 1], "one code redeemed, one token renewed");
    browser.open(&format!("{url}/call-api"));
    browser.expect("access_as_user");
    assert_eq!(control.struck(), [1, 1], "the second call takes the token from the cache");
    browser.open(url);
    browser.click("Sign out");
    browser.expect("Sign in");
    assert!(!browser.text().contains("Signed in as"), "{}", browser.text());
    control.clear();
}

#[test]
fn one_script_passes_at_the_flask_app_of_the_seed_and_at_entrant_in_its_place() {
    let system = Entrant::start(&["dev", "--ports", "auto"]);
    let control = Control(system.fact("console_url"));
    let Some(program) = Program::start(&system.ready_file()) else { return };
    for url in [program.url.as_str(), system.fact("web_url")] {
        // A profile of its own: nobody is signed in at Entra.
        let Some(browser) = Browser::start() else { return };
        a_person_signs_in_calls_renews_and_signs_out(&browser, url, &control);
    }
}
