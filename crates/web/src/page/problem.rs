//! A failure as a page, or as JSON for who asks for it: status, code, cause, numbered remedy, ids for support.

use askama::Template;
use axum::Json;
use axum::response::{IntoResponse, Response};
use entrant_proto::oauth::remedy::remedy;
use entrant_types::{Code, Fault, Retry, Timestamp, Whose};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use super::shell::{Shell, respond};

/// What a failure page says.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The most specific code.
    pub code: Option<String>,
    /// The headline.
    pub title: String,
    /// One sentence.
    pub cause: String,
    /// What to change, in order. Text between backticks is for machines.
    pub steps: Vec<String>,
    /// Where to start again: address and text of a button.
    pub action: Option<(String, &'static str)>,
    /// RFC 3339.
    pub at: Timestamp,
    /// What support asks for: label and value.
    pub details: Vec<(&'static str, String)>,
    retry_after: Option<u64>,
}

/// A sentence with `code` in it, as HTML.
#[derive(Template)]
#[template(
    ext = "html",
    source = "{% for piece in text.split('`') %}{% if loop.index0 % 2 == 1 %}<code>{{ piece }}</code>{% else %}{{ piece }}{% endif %}{% endfor %}"
)]
struct Prose<'a> {
    text: &'a str,
}

// What the template writes is escaped there.
impl askama::filters::HtmlSafe for Prose<'_> {}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    shell: &'a Shell,
    problem: &'a Problem,
}

impl ProblemPage<'_> {
    fn steps(&self) -> impl Iterator<Item = Prose<'_>> {
        self.problem.steps.iter().map(|text| Prose { text })
    }
}

impl Problem {
    /// A problem without a fault behind it.
    #[must_use]
    pub fn plain(status: StatusCode, title: &str, cause: &str, step: &str, at: Timestamp) -> Self {
        Self {
            status: status.as_u16(),
            code: None,
            title: title.to_owned(),
            cause: cause.to_owned(),
            steps: vec![step.to_owned()],
            action: None,
            at,
            details: Vec::new(),
            retry_after: None,
        }
    }

    /// A fault, explained with what is known of its Entra error number.
    #[must_use]
    pub fn of(fault: &Fault, at: Timestamp) -> Self {
        let known = fault.aadsts().and_then(remedy);
        let mut steps = sentences(known.map_or(fault.fix.as_str(), |known| known.fix));
        if let Retry::After(span) = fault.retry {
            steps.push(format!("Try again in {}.", super::moment::span(span)));
        }
        let retry_after = if let Retry::After(span) = fault.retry { Some(span.as_secs().max(1)) } else { None };
        Self {
            status: status(fault).as_u16(),
            code: fault.codes.first().map(ToString::to_string),
            title: known.map_or_else(|| headline(fault), |known| known.title.to_owned()),
            cause: known.map_or_else(|| fault.what.clone(), |known| known.cause.to_owned()),
            steps,
            action: None,
            at,
            details: details(fault, known.is_some()),
            retry_after,
        }
    }

    /// The same problem with a button that starts again.
    #[must_use]
    pub fn action(mut self, address: impl Into<String>, text: &'static str) -> Self {
        self.action = Some((address.into(), text));
        self
    }

    /// The same problem with another status.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status.as_u16();
        self
    }

    /// The response: a page, or JSON when that is what `Accept` asks for.
    #[must_use]
    pub fn respond(&self, shell: Shell, headers: &HeaderMap) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = if wants_json(headers) {
            (status, Json(self.json(&shell))).into_response()
        } else {
            respond(status, &ProblemPage { shell: &shell, problem: self }, None)
        };
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    fn json(&self, shell: &Shell) -> serde_json::Value {
        let details: serde_json::Map<String, serde_json::Value> = self
            .details
            .iter()
            .map(|(label, value)| (label.to_lowercase().replace(' ', "_"), value.clone().into()))
            .collect();
        json!({
            "status": self.status,
            "code": self.code,
            "title": self.title,
            "cause": self.cause,
            "remedy": self.steps,
            "request_id": shell.request_id,
            "time": self.at.to_string(),
            "details": details,
        })
    }
}

/// Whether JSON is asked for before HTML. Order counts, quality values are not weighed: browsers name HTML first,
/// programs name JSON alone.
#[must_use]
pub fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let place = |kind: &str| accept.split(',').position(|item| item.trim().starts_with(kind));
    match (place("application/json"), place("text/html")) {
        (Some(json), Some(html)) => json < html,
        (json, _) => json.is_some(),
    }
}

/// The status that fits: 4xx when the person can mend it, 502 when another side refused us, 503 when waiting helps,
/// 500 when only this app's setup can be at fault.
fn status(fault: &Fault) -> StatusCode {
    if matches!(fault.aadsts(), Some(50_105 | 53_003 | 65_001 | 65_004 | 50_020)) || fault.is("access_denied") {
        return StatusCode::FORBIDDEN;
    }
    if fault.is("session_store_unavailable") || matches!(fault.retry, Retry::After(_)) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let reported = fault.codes.iter().any(|code| !matches!(code, Code::Entrant(_)));
    match fault.whose {
        Whose::Caller => StatusCode::BAD_REQUEST,
        Whose::Provider | Whose::Network => StatusCode::BAD_GATEWAY,
        Whose::Configuration if reported => StatusCode::BAD_GATEWAY,
        Whose::Configuration | Whose::Entrant => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn headline(fault: &Fault) -> String {
    match fault.whose {
        Whose::Caller => "This request cannot be carried out",
        Whose::Configuration => "The setup needs a change",
        Whose::Provider => "The other side refused or failed",
        Whose::Network => "No connection to the other side",
        Whose::Entrant => "This app made a mistake",
    }
    .to_owned()
}

fn details(fault: &Fault, explained: bool) -> Vec<(&'static str, String)> {
    let mut details = Vec::new();
    if explained {
        details.push(("Reported", fault.what.clone()));
    }
    let codes: Vec<String> = fault.codes.iter().map(Code::to_string).collect();
    if !codes.is_empty() {
        details.push(("Codes", codes.join(", ")));
    }
    details.push(("Whose side", fault.whose.as_str().to_owned()));
    let trace = &fault.trace;
    let ids = [
        ("Trace id", &trace.trace_id),
        ("Correlation id", &trace.correlation_id),
        ("Timestamp", &trace.timestamp),
        ("Suberror", &trace.suberror),
    ];
    details.extend(ids.into_iter().filter_map(|(label, value)| Some((label, value.clone()?))));
    details
}

/// A remedy's sentences, each a step. A sentence ends at a full stop before a space and a capital letter.
fn sentences(text: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(". ") {
        if text.get(at + 2..).is_some_and(|rest| rest.starts_with(|c: char| c.is_uppercase())) {
            steps.extend(text.get(start..=at).map(str::to_owned));
            start = at + 2;
        }
    }
    steps.extend(text.get(start..).filter(|rest| !rest.trim().is_empty()).map(str::to_owned));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str) -> HeaderMap {
        [(header::ACCEPT, HeaderValue::from_str(value).unwrap())].into_iter().collect()
    }

    #[test]
    fn programs_get_json_and_browsers_get_pages() {
        assert!(wants_json(&accept("application/json")));
        assert!(wants_json(&accept("application/json, text/plain, */*")));
        assert!(!wants_json(&accept("text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8")));
        assert!(!wants_json(&accept("*/*")));
        assert!(!wants_json(&HeaderMap::new()));
    }

    #[test]
    fn a_remedy_is_split_into_steps_at_its_sentences() {
        let text = "Set it to `a. b`. Then wait. Use 127.0.0.1 or e.g. this.";
        assert_eq!(sentences(text), ["Set it to `a. b`.", "Then wait.", "Use 127.0.0.1 or e.g. this."]);
        assert_eq!(sentences(""), Vec::<String>::new());
    }

    #[test]
    fn an_unassigned_person_is_told_what_to_change_with_status_403() {
        let fault = Fault::new(Whose::Configuration, "AADSTS50105 was reported.", "").code(Code::Aadsts(50_105));
        let problem = Problem::of(&fault, Timestamp::from_secs(0));
        assert_eq!(problem.status, 403);
        assert_eq!(problem.code.as_deref(), Some("AADSTS50105"));
        assert!(!problem.steps.is_empty(), "{problem:?}");
    }
}
