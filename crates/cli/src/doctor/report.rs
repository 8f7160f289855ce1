//! What was found, for people and for programs.

use entrant_types::Fault;
use serde_json::{Value, json};

/// One check's result.
#[derive(Clone, Debug)]
pub(super) enum Finding {
    /// It works; how.
    Ok(String),
    /// It works, but: what, and what to change.
    Warning(String, String),
    /// It does not work.
    Failed(Box<Fault>),
    /// It could not be tried; why.
    Skipped(String),
    /// Nothing was tried: what a person should know.
    Note(String),
}

/// All results, in the order of the checks.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<(&'static str, Finding)>);

impl Report {
    /// Adds a result.
    pub(super) fn add(&mut self, check: &'static str, finding: Finding) {
        self.0.push((check, finding));
    }

    /// Adds a result that is good or bad.
    pub(super) fn judge(&mut self, check: &'static str, result: Result<String, Fault>) -> bool {
        let good = result.is_ok();
        self.add(check, result.map_or_else(|fault| Finding::Failed(Box::new(fault)), Finding::Ok));
        good
    }

    /// Whether nothing failed.
    pub(super) fn is_healthy(&self) -> bool {
        !self.0.iter().any(|(_, finding)| matches!(finding, Finding::Failed(_)))
    }

    /// One line for each check, and the fix below it where there is one.
    pub(super) fn human(&self) -> String {
        let mut text = String::from("\n");
        for (check, finding) in &self.0 {
            let (mark, what, fix) = match finding {
                Finding::Ok(how) => ("ok     ", how.clone(), None),
                Finding::Warning(what, fix) => ("warning", what.clone(), Some(fix.clone())),
                Finding::Failed(fault) => ("FAILED ", coded(fault), Some(fault.fix.clone())),
                Finding::Skipped(why) => ("skipped", why.clone(), None),
                Finding::Note(what) => ("note   ", what.clone(), None),
            };
            text.push_str(&format!("  {mark}  {check:<20}  {what}\n"));
            if let Some(fix) = fix.filter(|fix| !fix.is_empty()) {
                text.push_str(&format!("{:33}fix: {fix}\n", ""));
            }
        }
        let failed = self.0.iter().filter(|(_, finding)| matches!(finding, Finding::Failed(_))).count();
        text.push_str(&match failed {
            0 => "\n  Nothing is wrong.\n\n".to_owned(),
            1 => "\n  One check failed.\n\n".to_owned(),
            many => format!("\n  {many} checks failed; mend them from the top.\n\n"),
        });
        text
    }

    /// `{"ok", "checks": [{"name", "result", "detail", "fix", "codes"}]}`.
    pub(super) fn json(&self) -> String {
        let checks: Vec<Value> = self.0.iter().map(|(check, finding)| entry(check, finding)).collect();
        format!("{:#}\n", json!({ "ok": self.is_healthy(), "checks": checks }))
    }
}

fn entry(check: &str, finding: &Finding) -> Value {
    match finding {
        Finding::Ok(how) => json!({ "name": check, "result": "ok", "detail": how }),
        Finding::Warning(what, fix) => json!({ "name": check, "result": "warning", "detail": what, "fix": fix }),
        Finding::Skipped(why) => json!({ "name": check, "result": "skipped", "detail": why }),
        Finding::Note(what) => json!({ "name": check, "result": "note", "detail": what }),
        Finding::Failed(fault) => {
            let codes: Vec<String> = fault.codes.iter().map(ToString::to_string).collect();
            json!({
                "name": check, "result": "failed", "detail": fault.what, "fix": fault.fix, "codes": codes,
                "whose": fault.whose.as_str(),
            })
        }
    }
}

fn coded(fault: &Fault) -> String {
    match fault.codes.first() {
        Some(code) if !fault.what.contains(&code.to_string()) => format!("{} ({code})", fault.what),
        _ => fault.what.clone(),
    }
}

#[cfg(test)]
mod tests {
    use entrant_types::{Code, Whose};

    use super::*;

    #[test]
    fn one_failure_makes_the_whole_unhealthy_and_shows_its_fix_and_code() {
        let mut report = Report::default();
        report.add("clock", Finding::Ok("2 ms apart".to_owned()));
        assert!(report.is_healthy());
        let fault = Fault::new(Whose::Configuration, "No such subject.", "Write the principal id.");
        report.add("federated credential", Finding::Failed(Box::new(fault.code(Code::Aadsts(700_213)))));
        assert!(!report.is_healthy());
        let text = report.human();
        assert!(
            text.contains("No such subject. (AADSTS700213)") && text.contains("fix: Write the principal id."),
            "{text}"
        );
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!((&json["ok"], &json["checks"][1]["codes"][0]), (&json!(false), &json!("AADSTS700213")));
    }
}
