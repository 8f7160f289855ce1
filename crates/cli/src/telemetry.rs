//! Log lines on standard error, metrics for Prometheus.

use entrant_types::{Fault, Whose};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::settings::Settings;
use crate::variable::{self, Command};

/// The vocabulary's own text: its doc comments are the descriptions, so that each is written once.
const VOCABULARY: &str = include_str!("../../types/src/metric.rs");

/// How log lines look.
#[derive(Clone, Copy, Debug)]
enum Format {
    Human,
    Json,
}

/// Starts logging to standard error.
pub(crate) fn log(settings: &Settings) -> Result<(), Fault> {
    let quiet = match settings.command() {
        // Its report says it all.
        Command::Doctor | Command::EmulatorDoctor => "off",
        Command::Token
        | Command::EmulatorEnv
        | Command::EmulatorRun
        | Command::EmulatorCheck
        | Command::EmulatorTail => "warn",
        _ => "info",
    };
    let filter = settings.text(&variable::LOG).unwrap_or(quiet);
    let filter =
        EnvFilter::builder().parse(filter).map_err(|error| settings.wrong(&variable::LOG, &error.to_string()))?;
    let format = settings.word(&variable::LOG_FORMAT, &[("human", Format::Human), ("json", Format::Json)])?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        Some(Format::Json) => builder.json().flatten_event(true).try_init(),
        _ => {
            use std::io::IsTerminal as _;
            builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).compact().try_init()
        }
    };
    started.map_err(|error| Fault::new(Whose::Entrant, format!("Logging cannot start: {error}."), "Report this."))
}

/// Starts recording metrics; the handle renders them.
pub(crate) fn metrics() -> Result<PrometheusHandle, Fault> {
    let failed = |error: String| Fault::new(Whose::Entrant, format!("Metrics cannot start: {error}."), "Report this.");
    // Token requests take 5 ms (emulator, warm) to 10 s (the time limit).
    let buckets = [0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 10.0];
    let builder = PrometheusBuilder::new().set_buckets(&buckets).map_err(|error| failed(error.to_string()))?;
    let handle = builder.install_recorder().map_err(|error| failed(error.to_string()))?;
    for (name, help) in described() {
        if help.contains("(counter") {
            metrics::describe_counter!(name, help);
        } else if help.contains("(gauge") {
            metrics::describe_gauge!(name, help);
        } else {
            metrics::describe_histogram!(name, help);
        }
    }
    Ok(handle)
}

/// Every metric's name with its doc comment.
fn described() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = VOCABULARY.lines();
    lines.clone().zip(lines.skip(1)).filter_map(|(doc, item)| {
        let help = doc.strip_prefix("/// ")?;
        let name = item.strip_prefix("pub const ")?.split('"').nth(1)?;
        Some((name, help))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_description_with_its_kind() {
        let all: Vec<_> = described().collect();
        assert_eq!(all.len(), VOCABULARY.matches("pub const").count());
        for (name, help) in all {
            assert!(name.starts_with("entrant_"), "{name}");
            assert!(["(counter", "(gauge", "(histogram"].iter().any(|kind| help.contains(kind)), "{name}: {help}");
        }
    }
}
