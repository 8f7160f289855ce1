//! `entrant emulator check` and `emulator tail`: a seed looked at before, and a running emulator looked at meanwhile.

use std::path::Path;
use std::time::Duration;

use entrant_emulator::{Entry, Level, Seed};
use entrant_host::{DialPolicy, Host, HostConfig, SystemClock};
use entrant_types::outside::HttpRequest;
use entrant_types::{Clock as _, Fault, Outside, Retry};

use crate::ending::{self, Ending};
use crate::listen;
use crate::settings::{Settings, bad, read_small};
use crate::variable;

/// Often enough to feel live, seldom enough to cost nothing.
const PAUSE: Duration = Duration::from_millis(300);
/// Hundreds of entries with their claims.
const LARGEST_JOURNAL: usize = 8 << 20;

/// Says what is wrong or odd about a seed file. A mistake, with which the emulator would not start, fails.
pub(crate) fn check(files: &[String]) -> Result<Ending, Fault> {
    let Some(file) = files.first() else {
        return Err(bad("No seed file was given.", "Write it after the command: entrant emulator check FILE"));
    };
    let findings = Seed::check(&read_small(Path::new(file), "seed file")?);
    let mistakes = findings.iter().filter(|finding| finding.level == Level::Mistake).count();
    let mut text: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    if findings.is_empty() {
        text = format!("{file}: nothing to correct\n");
    }
    ending::print(&text);
    if mistakes == 0 {
        return Ok(Ending::Done);
    }
    Err(bad(format!("{file} has {mistakes} mistake(s)."), "Correct them; docs/reference/seed.md has all fields."))
}

/// Prints every request as it happens, until Ctrl-C.
pub(crate) async fn tail(settings: &Settings) -> Result<Ending, Fault> {
    let attached = settings.attached.as_ref().and_then(|ready| ready.console_url.clone());
    let console = match attached {
        Some(url) => url,
        None => format!("http://localhost:{}", listen::number(settings, &variable::IMDS_PORT)?),
    };
    let outside = Host::new(HostConfig { ca_file: None, dial: DialPolicy::LoopbackOnly, lapse: None })?.outside;
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let mut after = 0;
    loop {
        for entry in entries(&outside, &console, after).await? {
            after = after.max(entry.number);
            ending::print(&line(&entry));
        }
        tokio::select! {
            () = SystemClock.sleep_until(SystemClock.now() + PAUSE) => {}
            _ = interrupt.as_mut() => return Ok(Ending::Signal(ending::Signal::Interrupt)),
        }
    }
}

async fn entries(outside: &Outside, console: &str, after: u64) -> Result<Vec<Entry>, Fault> {
    let missing = |why: String| {
        bad(
            format!("There is no emulator at {console}: {why}."),
            "Start one with `entrant emulator` or `entrant dev`, or name it with --attach READY-FILE or --imds-port PORT.",
        )
        .retry(Retry::Whenever)
    };
    let mut request = HttpRequest::get(format!("{}/control/journal?after={after}", console.trim_end_matches('/')));
    request.max_reply_bytes = LARGEST_JOURNAL;
    let reply = outside.http.send(request).await.map_err(|error| missing(error.to_string()))?;
    serde_json::from_slice(&reply.body).map_err(|_| missing(format!("HTTP {} without a journal", reply.status)))
}

/// One request, with why it was refused and what its tokens say underneath.
fn line(entry: &Entry) -> String {
    let time = entry.at.to_string();
    let time = time.get(11..19).unwrap_or_default();
    let status = if entry.status == 0 { String::new() } else { format!("  {}", entry.status) };
    let code = entry.code.as_ref().map_or_else(String::new, |code| format!("  {code}"));
    let mut text = format!("{time}  {} -> {}  {}{status}{code}\n", entry.from, entry.to, entry.what);
    if let Some(why) = &entry.explanation {
        text.push_str(&format!("          {why}\n"));
    }
    for token in &entry.tokens {
        let claims = ["aud", "sub", "oid", "scp"].iter().filter_map(|name| {
            let value = token.claims.get(*name)?;
            Some(format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        });
        let claims: Vec<String> = claims.collect();
        text.push_str(&format!("          {} {}  {}\n", token.name, token.hash, claims.join("  ")));
    }
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}
