//! Entra ID as the web app meets it: metadata, clock, redirect URI; and the API behind it.

use std::time::Duration;

use entrant_proto::oauth::{http_date, remedy, transport_fault};
use entrant_types::outside::{HttpReply, HttpRequest};
use entrant_types::{Code, Fault, Whose};
use entrant_validate::{KeySet, Metadata};
use url::Url;

use super::{Finding, HOP_LIMIT, Patient, Report, limited};
use crate::part::trusted;
use crate::variable;

/// Above it tokens are refused sooner or later: Entra back-dates `nbf` by five minutes and no more.
const CLOCK_LIMIT: Duration = Duration::from_secs(300);
/// Above it a clock without NTP is likely.
const CLOCK_DOUBT: Duration = Duration::from_secs(60);

/// Fetches metadata and keys; compares the clocks on the way.
pub(super) async fn metadata(patient: &Patient<'_>, report: &mut Report) -> Option<Metadata> {
    let Some(authority) = patient.authority() else {
        report.add("Entra ID", Finding::Skipped("no tenant is set".to_owned()));
        return None;
    };
    let url = authority.metadata_url();
    let reply = get(patient, "Entra ID", &url).await;
    if let Ok(reply) = &reply {
        clock(patient, reply, report);
    }
    let keys: KeySet = trusted::keys(&authority, patient.around.world, &patient.around.outside);
    let checked = match &reply {
        Err(fault) => Err(fault.clone()),
        Ok(_) => {
            limited("Entra ID", keys.warm()).await.map(|count| format!("{authority} answers, {count} signing keys"))
        }
    };
    if !report.judge("Entra ID", checked) {
        return None;
    }
    serde_json::from_slice(&reply.ok()?.body).ok()
}

fn clock(patient: &Patient<'_>, reply: &HttpReply, report: &mut Report) {
    let Some(skew) = http_date::skew_millis(reply, patient.around.outside.clock.now()) else {
        report.add("clock", Finding::Skipped("Entra ID did not say its time".to_owned()));
        return;
    };
    let apart = Duration::from_millis(skew.unsigned_abs());
    let side = if skew > 0 { "behind" } else { "ahead of" };
    let what = format!("this machine's clock is {} s {side} that of Entra ID", apart.as_secs());
    let fix = "Let NTP set this machine's clock (`timedatectl set-ntp true`).".to_owned();
    report.add(
        "clock",
        match apart {
            // The header has whole seconds only.
            apart if apart < Duration::from_secs(2) => Finding::Ok("agrees with that of Entra ID".to_owned()),
            apart if apart < CLOCK_DOUBT => Finding::Ok(what),
            apart if apart < CLOCK_LIMIT => Finding::Warning(what, fix),
            _ => {
                Finding::Failed(Box::new(Fault::new(Whose::Configuration, what, fix).code(Code::Entrant("clock_skew"))))
            }
        },
    );
}

/// Asks for a silent sign-in, which Entra answers at a registered redirect URI only (OpenID Connect Core §3.1.2.6).
pub(super) async fn redirect_uri(patient: &Patient<'_>, metadata: Option<&Metadata>, report: &mut Report) {
    const CHECK: &str = "redirect URI";
    let settings = patient.settings;
    let (Some(metadata), Some(app)) = (metadata, settings.text(&variable::CLIENT_ID)) else {
        report.add(CHECK, Finding::Skipped("needs Entra ID and CLIENT_ID".to_owned()));
        return;
    };
    let base = settings.text(&variable::PUBLIC_URL).unwrap_or("http://localhost:5000").trim_end_matches('/');
    let redirect = format!("{base}/getAToken");
    let Ok(mut url) = Url::parse(&metadata.authorization_endpoint) else {
        report.add(CHECK, Finding::Skipped("the metadata has no authorization endpoint".to_owned()));
        return;
    };
    url.query_pairs_mut().extend_pairs([
        ("client_id", app),
        ("response_type", "code"),
        ("redirect_uri", &redirect),
        ("scope", "openid"),
        ("prompt", "none"),
        ("state", "doctor"),
    ]);
    let reply = get(patient, "Entra ID", url.as_str()).await;
    report.judge(CHECK, reply.and_then(|reply| registered(&reply, &redirect, app)));
}

fn registered(reply: &HttpReply, redirect: &str, app: &str) -> Result<String, Fault> {
    if reply.header("location").is_some_and(|location| location.starts_with(redirect)) {
        return Ok(format!("{redirect} is registered"));
    }
    // Refusals are pages; their number is all that a program can read of them.
    let page = String::from_utf8_lossy(&reply.body);
    let number =
        page.split("AADSTS").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    match number.and_then(|digits| digits.parse().ok()) {
        None if reply.status == 200 => Ok(format!("{redirect}: Entra ID showed a page without an error")),
        None => Err(Fault::new(
            Whose::Provider,
            format!("The sign-in page answered with status {} and no reason.", reply.status),
            "Open /login in a browser to see the page.",
        )),
        Some(number) => {
            let known = remedy(number);
            let fix = match number {
                50_011 => format!("Add the redirect URI {redirect} (platform Web) to the app registration {app}."),
                _ => known.map_or_else(|| "See docs/troubleshooting.md.".to_owned(), |remedy| remedy.fix.to_owned()),
            };
            let title = known.map_or("Entra ID refuses the sign-in", |remedy| remedy.title);
            let what = format!("{} (redirect URI {redirect}, app {app}).", title.trim_end_matches('.'));
            Err(Fault::new(known.map_or(Whose::Configuration, |remedy| remedy.whose), what, fix)
                .code(Code::Aadsts(number)))
        }
    }
}

/// The API must answer, and must refuse a caller without a token.
pub(super) async fn api(patient: &Patient<'_>, report: &mut Report) {
    let base = patient.settings.text(&variable::API_ENDPOINT).unwrap_or_default();
    let Ok(url) = Url::parse(base).and_then(|url| url.join("/api/claims")) else {
        report.add("protected API", Finding::Skipped("API_ENDPOINT is no URL".to_owned()));
        return;
    };
    let judged = get(patient, "The protected API", url.as_str()).await.and_then(|reply| match reply.status {
        401 if reply.header("www-authenticate").is_some() => Ok(format!("{url} answers, and wants a token")),
        status => Err(Fault::new(
            Whose::Configuration,
            format!("{url} answered a request without a token with status {status}, where a protected API says 401."),
            "Check that API_ENDPOINT is the protected API.",
        )
        .code(Code::Http(status))),
    });
    report.judge("protected API", judged);
}

async fn get(patient: &Patient<'_>, what: &str, url: &str) -> Result<HttpReply, Fault> {
    let request = HttpRequest::get(url).timeout(HOP_LIMIT);
    patient.around.outside.http.send(request).await.map_err(|error| transport_fault(what, &error))
}
