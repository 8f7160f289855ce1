//! The page of metrics is written from the code that names them, and alerts name only metrics that exist.

use crate::run;

const SOURCE: &str = "crates/types/src/metric.rs";
const PAGE: &str = "docs/reference/metrics.md";
const BEGIN: &str = "<!-- written by `cargo xtask docs` from crates/types/src/metric.rs -->\n";
const END: &str = "<!-- end -->\n";

/// One constant of the source with what its documentation says.
struct Metric {
    name: String,
    about: String,
}

/// Complaints when page and source have parted, or a rule or dashboard names a metric that does not exist.
pub(crate) fn check(tracked: &[&str]) -> Result<Vec<String>, String> {
    let (metrics, page) = (read(SOURCE).map(|source| metrics(&source))?, read(PAGE)?);
    let mut complaints = Vec::new();
    if rewritten(&page, &metrics)? != page {
        complaints.push(format!("{PAGE} is older than {SOURCE}: run `cargo xtask docs`"));
    }
    for path in tracked.iter().filter(|path| path.starts_with("deploy/")) {
        for word in words(&read(path)?) {
            let known = metrics.iter().any(|metric| {
                word.strip_prefix(metric.name.as_str())
                    .is_some_and(|rest| matches!(rest, "" | "_bucket" | "_count" | "_sum"))
            });
            if !known {
                complaints.push(format!("{path}: no metric is called {word} ({SOURCE})"));
            }
        }
    }
    Ok(complaints)
}

/// Writes the table of the page anew.
pub(crate) fn write() -> Result<(), String> {
    let page = rewritten(&read(PAGE)?, &metrics(&read(SOURCE)?))?;
    std::fs::write(run::root().join(PAGE), page).map_err(|error| format!("{PAGE}: {error}"))
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(run::root().join(path)).map_err(|error| format!("{path}: {error}"))
}

fn metrics(source: &str) -> Vec<Metric> {
    let mut about = Vec::new();
    let mut found = Vec::new();
    for line in source.lines() {
        if let Some(text) = line.strip_prefix("///") {
            about.push(text.trim());
            continue;
        }
        if let Some(name) = line.strip_prefix("pub const ").and_then(|_| line.split('"').nth(1)) {
            found.push(Metric { name: name.to_owned(), about: about.join(" ") });
        }
        about.clear();
    }
    found
}

fn rewritten(page: &str, metrics: &[Metric]) -> Result<String, String> {
    let (before, rest) = page.split_once(BEGIN).ok_or(format!("{PAGE} has lost the line that marks the table"))?;
    let (_, after) = rest.split_once(END).ok_or(format!("{PAGE} has lost the line that ends the table"))?;
    let rows: String = metrics
        .iter()
        .map(|metric| format!("| `{}` | {} |\n", metric.name, metric.about.replace('|', "\\|")))
        .collect();
    Ok(format!("{before}{BEGIN}\n| metric | what it counts |\n|---|---|\n{rows}\n{END}{after}"))
}

/// Every word of a file that looks like a metric of ours.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("entrant_"))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, metrics, rewritten, words};

    #[test]
    fn the_page_has_one_row_for_each_metric_and_keeps_its_own_prose() {
        let found = metrics("//! Module.\n\n/// Counts a\n/// thing.\npub const A: &str = \"entrant_a_total\";\n");
        let page = rewritten(&format!("# Title\n{BEGIN}old\n{END}tail\n"), &found).unwrap();
        assert!(page.starts_with("# Title\n") && page.ends_with("tail\n"), "{page}");
        assert!(page.contains("| `entrant_a_total` | Counts a thing. |") && !page.contains("old"), "{page}");
    }

    #[test]
    fn names_are_found_inside_expressions() {
        assert_eq!(words("rate(entrant_a_total{x=\"y\"}[5m])").collect::<Vec<_>>(), ["entrant_a_total"]);
    }
}
