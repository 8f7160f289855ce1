//! `entrant redis-proxy wait` and `redis-proxy shutdown`: what frames a sidecar in a job, from its neighbour.

use std::net::IpAddr;
use std::time::Duration;

use entrant_host::{DialPolicy, Host, HostConfig, SystemClock};
use entrant_types::outside::HttpRequest;
use entrant_types::{Clock as _, Code, Fault, Outside, Retry, Secret, Timestamp, Whose};

use crate::ending::Ending;
use crate::listen;
use crate::settings::Settings;
use crate::variable;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(100);
/// A sidecar on this machine answers at once or not at all.
const ANSWER: Duration = Duration::from_secs(2);

/// Returns once the sidecar has started; fails if it has not within `--max`.
pub(crate) async fn wait(settings: &Settings) -> Result<Ending, Fault> {
    let (outside, url) = admin(settings)?;
    let seconds: u32 = settings.required_as(&variable::MAX)?;
    let until = SystemClock.now() + Duration::from_secs(seconds.into());
    loop {
        let why = match ask(&outside, HttpRequest::get(format!("{url}/startup"))).await {
            Ok(200) => return Ok(Ending::Done),
            Ok(status) => format!("HTTP {status}"),
            Err(why) => why,
        };
        if SystemClock.now() >= until {
            return Err(absent(&url, format!("has not started within {seconds} s: {why}")));
        }
        SystemClock.sleep_until(next(until)).await;
    }
}

/// Asks the sidecar to end as it does at a signal: new clients are refused, the others finish.
pub(crate) async fn shutdown(settings: &Settings) -> Result<Ending, Fault> {
    let (outside, url) = admin(settings)?;
    let request = HttpRequest::post_form(format!("{url}/quitquitquit"), Secret::new(String::new()));
    match ask(&outside, request).await {
        Ok(200) => Ok(Ending::Done),
        Ok(404) => Err(absent(&url, "runs without --quitquitquit, so it can be ended by a signal only".to_owned())),
        Ok(status) => Err(absent(&url, format!("answered HTTP {status}"))),
        Err(why) => Err(absent(&url, format!("does not answer: {why}"))),
    }
}

fn next(until: Timestamp) -> Timestamp {
    (SystemClock.now() + PAUSE).min(until)
}

fn admin(settings: &Settings) -> Result<(Outside, String), Fault> {
    let ip: IpAddr = settings.required_as(&variable::ADMIN_BIND)?;
    // What listens on every address is reached on loopback.
    let host = if ip.is_unspecified() { "localhost".to_owned() } else { ip.to_string() };
    let port = listen::number(settings, &variable::ADMIN_PORT)?;
    let outside = Host::new(HostConfig { ca_file: None, dial: DialPolicy::LoopbackOnly, lapse: None })?.outside;
    Ok((outside, format!("http://{host}:{port}")))
}

async fn ask(outside: &Outside, mut request: HttpRequest) -> Result<u16, String> {
    request.timeout = ANSWER;
    outside.http.send(request).await.map(|reply| reply.status).map_err(|error| error.to_string())
}

fn absent(url: &str, why: String) -> Fault {
    let fix = "Start `entrant redis-proxy`, or name its admin listener with --admin-port and --admin-bind.";
    Fault::new(Whose::Network, format!("The sidecar at {url} {why}."), fix)
        .retry(Retry::Whenever)
        .code(Code::Entrant("no_sidecar"))
}
