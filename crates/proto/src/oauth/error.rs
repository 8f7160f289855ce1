//! Error replies as data: Entra's numbers, suberror, claims and trace ids, and the fault they make.

use entrant_types::fault::Trace;
use entrant_types::outside::{HttpError, HttpReply};
use entrant_types::{Code, Fault, Retry, Timestamp, Whose};
use serde_json::{Map, Value};

use super::http_date::retry_after;
use super::remedy::remedy;

/// An error reply of a token endpoint (RFC 6749 §5.2 and what Entra adds).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenError {
    /// `error`, such as `invalid_grant`; empty when the body is not an OAuth error.
    pub error: String,
    /// `error_description` up to its trace ids, without control characters and anything like a token.
    pub description: String,
    /// `error_codes`, or the number that the description begins with.
    pub codes: Vec<u32>,
    /// `suberror`, such as `consent_required` or `basic_action`.
    pub suberror: Option<String>,
    /// `claims`: what a new sign-in must ask for.
    pub claims: Option<String>,
    /// `trace_id`.
    pub trace_id: Option<String>,
    /// `correlation_id`.
    pub correlation_id: Option<String>,
    /// `timestamp`.
    pub timestamp: Option<String>,
}

impl TokenError {
    /// Reads what can be read; a body that is not JSON gives an empty error, never a failure.
    #[must_use]
    pub fn parse(reply: &HttpReply) -> Self {
        let fields: Map<String, Value> = serde_json::from_slice(&reply.body).unwrap_or_default();
        let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        Self::from_parts(text("error").unwrap_or_default(), text("error_description").unwrap_or_default())
            .with_fields(&fields)
    }

    /// From the `error` and `error_description` of a redirect back from the authorize endpoint.
    #[must_use]
    pub fn from_parts(error: &str, description: &str) -> Self {
        Self {
            error: quoted(error).chars().take(64).collect(),
            codes: number_at_start(description).into_iter().collect(),
            description: quoted(description),
            trace_id: labelled(description, "Trace ID: ", 1),
            correlation_id: labelled(description, "Correlation ID: ", 1),
            timestamp: labelled(description, "Timestamp: ", 2),
            ..Self::default()
        }
    }

    fn with_fields(mut self, fields: &Map<String, Value>) -> Self {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(list) = fields.get("error_codes").and_then(Value::as_array) {
            let listed: Vec<u32> = list.iter().take(8).filter_map(|code| u32::try_from(code.as_u64()?).ok()).collect();
            // Throttling lists AADSTS numbers beside unrelated ones: the description's own stands first.
            self.codes.extend(listed.iter().filter(|code| !self.codes.contains(code)).copied().collect::<Vec<_>>());
        }
        self.suberror = text("suberror").map(quoted);
        self.claims = text("claims").filter(|claims| claims.len() <= 8192).map(str::to_owned);
        self.trace_id = text("trace_id").map(quoted).or(self.trace_id);
        self.correlation_id = text("correlation_id").map(quoted).or(self.correlation_id);
        self.timestamp = text("timestamp").map(quoted).or(self.timestamp);
        self
    }

    /// The fault of this error, where `reply` carried it.
    #[must_use]
    pub fn into_fault(self, reply: &HttpReply, now: Timestamp) -> Fault {
        let wait = retry_after(reply, now);
        let status = reply.status;
        let mut fault = self.fault(Some(status));
        fault.codes.push(Code::Http(status));
        if let Some(wait) = wait.filter(|_| status == 429 || status >= 500 || fault.retry != Retry::Never) {
            fault.retry = Retry::After(wait);
        }
        fault
    }

    /// The fault of this error; `status` is `None` for one that came by redirect.
    #[must_use]
    pub fn fault(self, status: Option<u16>) -> Fault {
        let known = self.codes.iter().find_map(|code| remedy(*code));
        let (whose, fix, retry) = match known {
            Some(known) => (known.whose, known.fix, known.retry),
            None => by_error(&self.error, status.unwrap_or(400)),
        };
        let what = match (known, self.description.is_empty()) {
            (Some(known), true) => known.cause.to_owned(),
            (Some(known), false) => format!("{} Entra ID says: {}", known.cause, self.description),
            (None, false) => format!("Entra ID refused: {}", self.description),
            (None, true) if !self.error.is_empty() => format!("Entra ID refused with {}", self.error),
            (None, true) => format!("the token endpoint answered {} without an OAuth error", status.unwrap_or(0)),
        };
        let mut fault = Fault::new(whose, what, fix).retry(retry);
        fault.codes.extend(self.codes.iter().map(|code| Code::Aadsts(*code)));
        if !self.error.is_empty() {
            fault.codes.push(Code::OAuth(self.error));
        }
        fault.trace = Trace {
            trace_id: self.trace_id,
            correlation_id: self.correlation_id,
            timestamp: self.timestamp,
            suberror: self.suberror,
            claims: self.claims,
        };
        fault
    }
}

/// What an OAuth error means where Entra's number is not in the table (RFC 6749 §4.1.2.1, §5.2).
fn by_error(error: &str, status: u16) -> (Whose, &'static str, Retry) {
    match error {
        "invalid_client" => (
            Whose::Configuration,
            "Check the client id, and that its secret, certificate or federated credential is the one configured here.",
            Retry::Never,
        ),
        "unauthorized_client" | "invalid_scope" | "invalid_resource" | "unsupported_grant_type" => (
            Whose::Configuration,
            "Check the app registration: its ids, the scope asked for and the permissions granted to it.",
            Retry::Never,
        ),
        "invalid_grant" => (Whose::Caller, "Sign in again.", Retry::Never),
        "interaction_required" | "login_required" | "consent_required" | "access_denied" => {
            (Whose::Caller, "Sign in again, and answer what Entra ID asks.", Retry::Never)
        }
        "invalid_request" => {
            (Whose::Configuration, "Check the configured ids and scopes for typing mistakes.", Retry::Never)
        }
        _ if status == 429 => (Whose::Provider, "Wait: too many requests were sent.", Retry::Whenever),
        _ if status >= 500 || matches!(error, "temporarily_unavailable" | "server_error") => {
            (Whose::Provider, "Wait: Entra ID has a passing failure.", Retry::Whenever)
        }
        _ if (300..400).contains(&status) => (
            Whose::Network,
            "A token endpoint never redirects: check the authority, and that no proxy or portal answers in its place.",
            Retry::Never,
        ),
        _ => (
            Whose::Provider,
            "Check that the authority is Entra's and that no proxy or sign-in page answers in its place.",
            Retry::Whenever,
        ),
    }
}

/// The fault of a request to `endpoint` (such as `the token endpoint https://…`) that got no reply.
#[must_use]
pub fn transport_fault(endpoint: &str, error: &HttpError) -> Fault {
    let (whose, fix, retry, code) = match error {
        HttpError::Refused(_) => (
            Whose::Configuration,
            "Correct the configured URL. In emulator mode only loopback addresses are dialled.",
            Retry::Never,
            "dial_refused",
        ),
        HttpError::Connect(_) => (
            Whose::Network,
            "Check the host's name, that the service runs, and that a firewall lets the connection through.",
            Retry::Whenever,
            "connect_failed",
        ),
        HttpError::TlsUntrusted(_) => (
            Whose::Configuration,
            "Give the certificate authority's file with --ca FILE or SSL_CERT_FILE; \
             if a company proxy inspects TLS, its root certificate belongs in that file.",
            Retry::Never,
            "tls_untrusted",
        ),
        HttpError::Protocol(_) => (
            Whose::Network,
            "Check that the URL's scheme and port belong to that service.",
            Retry::Whenever,
            "http_protocol",
        ),
        HttpError::Timeout(_) => (
            Whose::Network,
            "Check the route to the host and that a firewall does not drop packets silently.",
            Retry::Whenever,
            "timeout",
        ),
        HttpError::TooLarge(_) => (
            Whose::Provider,
            "Check that the URL is that of the service and not of a page.",
            Retry::Whenever,
            "reply_too_large",
        ),
    };
    Fault::new(whose, format!("no reply from {endpoint}: {error}"), fix).retry(retry).code(Code::Entrant(code))
}

/// Foreign text fit for a log line or a page: one line, at most 400 characters, cut before Entra's trace ids
/// (kept as data), without anything that looks like a token.
#[must_use]
pub fn quoted(text: &str) -> String {
    let text = text.split(" Trace ID:").next().unwrap_or_default();
    let mut line = String::new();
    for word in text.split(|letter: char| letter.is_whitespace() || letter.is_control()) {
        if word.is_empty() {
            continue;
        }
        if line.chars().count() + word.chars().count() > 400 {
            line.push('…');
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        // Three base64url parts that begin with `{"`: a JWT.
        line.push_str(if word.contains("eyJ") && word.len() > 40 { "[token]" } else { word });
    }
    line.truncate(line.floor_char_boundary(1200));
    line
}

/// What follows a label at the end of a description, so many words long: a redirect carries the ids nowhere else.
fn labelled(description: &str, label: &str, words: usize) -> Option<String> {
    let (_, rest) = description.rsplit_once(label)?;
    let value: Vec<&str> = rest.split_whitespace().take(words).collect();
    Some(quoted(&value.join(" ")).chars().take(64).collect()).filter(|value: &String| !value.is_empty())
}

fn number_at_start(description: &str) -> Option<u32> {
    let digits = description.trim_start().strip_prefix("AADSTS")?;
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> HttpReply {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        HttpReply { status, headers, body: body.as_bytes().to_vec() }
    }

    fn fault(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
        let reply = reply(status, headers, body);
        TokenError::parse(&reply).into_fault(&reply, NOW)
    }

    #[test]
    fn numbers_suberror_claims_and_ids_are_kept_as_data() {
        let fault = fault(
            400,
            &[],
            r#"{"error":"invalid_grant","error_description":"AADSTS65001: no consent. Trace ID: a Correlation ID: b",
               "error_codes":[65001],"suberror":"consent_required","claims":"{\"x\":1}","trace_id":"a",
               "correlation_id":"b","timestamp":"2026-01-02 03:04:05Z"}"#,
        );
        assert_eq!(fault.aadsts(), Some(65001));
        assert!(fault.codes.contains(&Code::OAuth("invalid_grant".into())));
        assert_eq!(fault.trace.suberror.as_deref(), Some("consent_required"));
        assert_eq!(fault.trace.claims.as_deref(), Some("{\"x\":1}"));
        assert_eq!(fault.trace.trace_id.as_deref(), Some("a"));
        assert_eq!(fault.trace.correlation_id.as_deref(), Some("b"));
        assert!(!fault.to_string().contains("Trace ID"), "{fault}");
    }

    #[test]
    fn a_redirects_description_gives_its_ids_as_data() {
        let description =
            "AADSTS50105: not assigned. Trace ID: a-1 Correlation ID: b-2 Timestamp: 2026-01-02 03:04:05Z";
        let trace = TokenError::from_parts("access_denied", description).fault(None).trace;
        assert_eq!(trace.trace_id.as_deref(), Some("a-1"));
        assert_eq!(trace.correlation_id.as_deref(), Some("b-2"));
        assert_eq!(trace.timestamp.as_deref(), Some("2026-01-02 03:04:05Z"));
        assert_eq!(TokenError::from_parts("access_denied", "no ids. Trace ID: ").fault(None).trace.trace_id, None);
    }

    #[test]
    fn a_number_is_found_in_a_description_alone_and_through_json_escapes() {
        let fault = fault(401, &[], r#"{"error":"invalid_client","error_description":"AADSTS7000215: \u0027x\u0027"}"#);
        assert_eq!(fault.aadsts(), Some(7_000_215));
    }

    #[test]
    fn throttling_is_retried_when_the_endpoint_says() {
        assert_eq!(fault(429, &[("retry-after", "7")], "").retry, Retry::After(Duration::from_secs(7)));
        assert_eq!(fault(503, &[], "<html>").retry, Retry::Whenever);
    }

    #[test]
    fn an_error_page_that_is_not_json_keeps_its_status() {
        let fault = fault(502, &[], "<html>bad gateway</html>");
        assert_eq!(fault.codes, [Code::Http(502)]);
        assert_eq!(fault.whose, Whose::Provider);
    }

    #[test]
    fn a_redirect_is_refused_with_the_reason() {
        let fault = fault(302, &[("location", "https://portal.example/")], "");
        assert_eq!((fault.whose, fault.retry), (Whose::Network, Retry::Never));
    }

    #[test]
    fn foreign_text_loses_control_characters_and_tokens() {
        let token = format!("eyJ{}", "a".repeat(60));
        assert_eq!(quoted(&format!("a\r\nb\u{1b}[31m {token}")), "a b [31m [token]");
        assert!(quoted(&"word ".repeat(1000)).chars().count() <= 402);
        assert!(quoted(&"é".repeat(100_000)).len() <= 1200);
    }

    #[test]
    fn untrusted_tls_is_reported_as_never_worth_a_retry() {
        let fault = transport_fault("the token endpoint", &HttpError::TlsUntrusted("unknown issuer".into()));
        assert!(fault.is("tls_untrusted"));
        assert_eq!(fault.retry, Retry::Never);
    }
}
