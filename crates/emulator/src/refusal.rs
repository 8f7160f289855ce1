//! A refused request: Entra's error document for the caller, a plain sentence with the fix for the person.

use entrant_types::{Guid, Timestamp};
use serde_json::{Map, Value, json};

use crate::aadsts::{Shape, shape_of};

/// Characters of a text. Ours are shorter; only what clients make us quote could be longer.
const LONGEST_TEXT: usize = 1200;

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) shape: Shape,
    /// What is wrong, with the values that the caller sent (never secrets).
    pub(crate) text: String,
    /// What to change, for the log, the console and the pages.
    pub(crate) fix: String,
    pub(crate) claims: Option<String>,
}

/// Ids that connect a reply with a log line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace {
    pub(crate) trace_id: Guid,
    pub(crate) correlation_id: Guid,
    pub(crate) at: Timestamp,
}

impl Refusal {
    pub(crate) fn new(number: u32, text: impl Into<String>, fix: impl Into<String>) -> Self {
        // Texts quote what the client sent: nothing of it may break a log line, a header or the JSON.
        let clean = |text: String| plain(&text.chars().take(LONGEST_TEXT).collect::<String>());
        Self { shape: shape_of(number), text: clean(text.into()), fix: clean(fix.into()), claims: None }
    }

    /// A refusal with the number's own text.
    pub(crate) fn bare(number: u32) -> Self {
        let shape = shape_of(number);
        Self { shape, text: shape.text.into(), fix: String::new(), claims: None }
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new(
            900_144,
            format!("The request body must contain the following parameter: '{parameter}'."),
            format!("Send '{parameter}' in the form body."),
        )
    }

    pub(crate) fn number(&self) -> u32 {
        self.shape.number
    }

    /// `AADSTSnnn: text Trace ID: … Correlation ID: … Timestamp: …`, joined by single spaces: one line of ASCII
    /// without quotes or backslashes, because a JSON escape in here turns the error into a parse failure in the
    /// Rust SDK.
    pub(crate) fn description(&self, trace: &Trace) -> String {
        plain(&format!(
            "AADSTS{}: {} Trace ID: {} Correlation ID: {} Timestamp: {}",
            self.shape.number,
            self.text,
            trace.trace_id,
            trace.correlation_id,
            timestamp(trace.at)
        ))
    }

    /// The error document.
    pub(crate) fn document(&self, trace: &Trace) -> Value {
        let mut document = Map::new();
        document.insert("error".into(), self.shape.error.into());
        document.insert("error_description".into(), self.description(trace).into());
        document.insert("error_codes".into(), json!([self.shape.number]));
        document.insert("timestamp".into(), timestamp(trace.at).into());
        document.insert("trace_id".into(), trace.trace_id.to_string().into());
        document.insert("correlation_id".into(), trace.correlation_id.to_string().into());
        if let Some(suberror) = self.shape.suberror {
            document.insert("suberror".into(), suberror.into());
        }
        if let Some(claims) = &self.claims {
            document.insert("claims".into(), claims.clone().into());
        }
        Value::Object(document)
    }
}

/// `YYYY-MM-DD HH:MM:SSZ`.
pub(crate) fn timestamp(at: Timestamp) -> String {
    at.to_string().replace('T', " ")
}

/// Text that JSON needs no escape for: printable ASCII, single quotes, slashes for backslashes.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => c,
            _ if c.is_control() => ' ',
            _ => '?',
        })
        .collect()
}
