//! `cargo xtask docs`: the reference pages that are written from code. Tests fail when one is older than its code.

use std::process::{Command, Stdio};

use crate::{run, tidy};

/// Writes all of them.
pub(crate) fn write() -> Result<(), String> {
    tidy::metrics::write()?;
    let settings = run::output("cargo", &["run", "--quiet", "--package", "entrant", "--", "reference"])?;
    let page = run::root().join("docs/reference/configuration.md");
    std::fs::write(page, settings).map_err(|error| error.to_string())?;
    let written = Command::new("cargo")
        .args([
            "test",
            "--quiet",
            "--package",
            "entrant",
            "--test",
            "reference",
            "--test",
            "relying_party",
            "written_from",
        ])
        .current_dir(run::root())
        .env("ENTRANT_WRITE_DOCS", "1")
        .stdin(Stdio::null())
        .status();
    if written.is_ok_and(|status| status.success()) { Ok(()) } else { Err("a page was not written".to_owned()) }
}
