//! Three token lifetimes in three minutes, with requests running throughout; then the identity endpoint stands still
//! for one and a half lifetimes. One clock, sixty times faster, in four processes.

use std::time::{Duration, Instant};

use crate::browser::Browser;
use crate::http::{self, Answer};
use crate::process::{eventually, pause};
use crate::separate::Separate;
use crate::sign_in;

/// A managed-identity token of the emulator lives an hour, and an hour takes a minute here.
const LIFETIME: Duration = Duration::from_secs(60);
/// Between two requests: about four a second, 240 a lifetime.
const PAUSE_MS: u64 = 250;

#[test]
fn requests_never_fail_across_three_token_lifetimes_and_recover_after_an_outage() {
    let Some(browser) = Browser::start() else { return };
    let system = Separate::start(&["--time-lapse", "60"], &[]);
    let session = Session::begin(&browser, &system);

    let requests = session.requests_for(LIFETIME * 3);
    let failed: Vec<&Answer> = requests.iter().filter(|answer| !is_claims(answer)).collect();
    assert!(failed.is_empty(), "{} of {} failed; the first:\n{}", failed.len(), requests.len(), failed[0].body);
    assert!(requests.len() > 200, "only {} requests ran", requests.len());
    renewed_quietly(&system);

    outage(&system, &session);
    recovery(&browser, &system);
    sign_in::no_token_in(&system.log());
}

/// Every refresh was one fetch, and no connection lived longer than its token.
fn renewed_quietly(system: &Separate) {
    let fetched = system.emulator.metric("entrant_emulator_requests_total", &[("endpoint", "imds")])
        + system.emulator.metric("entrant_emulator_requests_total", &[("endpoint", "app_service")]);
    let acquired = system.web.metric("entrant_token_acquisitions_total", &[]);
    assert_eq!(fetched, acquired, "one fetch for each token, and no other");
    // Two resources (assertion, Redis): the first token each, then at least one renewal a lifetime.
    assert!(acquired >= 8.0, "{acquired} tokens in three lifetimes");
    assert!(system.web.metric("entrant_redis_auth_total", &[("kind", "reauth"), ("result", "ok")]) >= 3.0);
    for (name, process) in [
        ("entrant_token_refresh_failures_total", &system.web),
        ("entrant_redis_auth_failures_total", &system.web),
        ("entrant_redis_connection_drops_total", &system.web),
    ] {
        assert_eq!(process.metric(name, &[]), 0.0, "{name}:\n{}", process.log());
    }
    assert_eq!(system.gate.metric("entrant_gate_closed_total", &[("reason", "expired")]), 0.0);
}

/// The whole of Entra and the identity endpoint accept connections and say nothing: the worst kind of outage.
fn outage(system: &Separate, session: &Session) {
    system.emulator.signal("STOP");
    let answers = session.requests_for(LIFETIME * 3 / 2);
    let dishonest: Vec<&Answer> = answers.iter().filter(|answer| !is_claims(answer) && !is_honest(answer)).collect();
    system.emulator.signal("CONT");
    assert!(dishonest.is_empty(), "status {}:\n{}", dishonest[0].status, dishonest[0].body);
    assert!(answers.iter().any(is_claims), "a valid token outlives the beginning of an outage");
    assert!(answers.iter().any(|answer| !is_claims(answer)), "an outage longer than a token's life is noticed");
    assert!(system.web.metric("entrant_token_refresh_failures_total", &[]) > 0.0);
    assert!(system.gate.metric("entrant_gate_closed_total", &[("reason", "expired")]) > 0.0);
}

/// Nothing is restarted; the app works again by itself.
fn recovery(browser: &Browser, system: &Separate) {
    let readiness = format!("{}/readiness", system.web.fact("admin_url"));
    let ready = eventually(LIFETIME, || http::get(&readiness).status == 200);
    assert!(ready, "not ready again:\n{}", system.web.log());
    let session = Session::begin(browser, system);
    let answers = session.requests_for(Duration::from_secs(5));
    assert!(
        answers.iter().all(is_claims),
        "{}",
        answers.iter().find(|answer| !is_claims(answer)).map_or("", |answer| &answer.body)
    );
}

/// Alice's session, driven without the browser.
struct Session {
    url: String,
    cookies: String,
}

impl Session {
    fn begin(browser: &Browser, system: &Separate) -> Self {
        let web_url = system.web.fact("web_url");
        sign_in::sign_in(browser, web_url, "alice@contoso.example");
        browser.expect("Signed in as Alice");
        let cookies: Vec<String> = browser.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
        Self { url: format!("{web_url}/call-api"), cookies: cookies.join("; ") }
    }

    /// One request after the other until the time is over.
    fn requests_for(&self, span: Duration) -> Vec<Answer> {
        let started = Instant::now();
        let mut answers = Vec::new();
        while started.elapsed() < span {
            let answer = http::request("GET", &self.url, &[("cookie", &self.cookies)], None);
            answers.push(answer.unwrap_or_else(|error| panic!("after {:?}: {error}", started.elapsed())));
            pause(PAUSE_MS);
        }
        answers
    }
}

fn is_claims(answer: &Answer) -> bool {
    answer.status == 200 && answer.body.contains("access_as_user")
}

/// A page that says what to do, or the way to a new sign-in: the session ended while its store was away.
fn is_honest(answer: &Answer) -> bool {
    let explained = answer.status >= 400 && answer.body.contains("What to do");
    let sign_in_again = (300..400).contains(&answer.status) && answer.header("location").is_some();
    explained || sign_in_again
}
