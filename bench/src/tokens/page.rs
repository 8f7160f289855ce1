//! One page, several runs: each run replaces the part between its own marks.

use std::path::Path;

use super::Failure;

const TITLE: &str = "# Performance\n\nEvery number is written by the command that its section names, on one machine in one run: compare within a table, not across\nmachines. Ratios travel better than absolute numbers.\n";

/// Puts `text` in place of the part named `area`, or at the end.
pub fn replace(path: &Path, area: &str, text: &str) -> Result<(), Failure> {
    let (open, close) = (format!("<!-- {area}: written by a run -->"), format!("<!-- end of {area} -->"));
    let old = std::fs::read_to_string(path).unwrap_or_else(|_| TITLE.to_owned());
    let part = format!("{open}\n{}\n{close}", text.trim_end());
    let new = match (old.find(&open), old.find(&close)) {
        (Some(start), Some(end)) => format!("{}{part}{}", &old[..start], &old[end + close.len()..]),
        _ => format!("{}\n{part}\n", old),
    };
    Ok(std::fs::write(path, new)?)
}
