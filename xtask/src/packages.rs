//! Packages from PyPI and npm, by name and pinned version, into `target/`: nothing is installed on the machine.

use std::path::{Path, PathBuf};

use crate::run;

/// A virtual environment at `folder` with the packages of a requirements file; returns its interpreter.
pub(crate) fn python(folder: &str, requirements: &str) -> Result<PathBuf, String> {
    let interpreter = run::root().join(folder).join("bin/python");
    if !interpreter.is_file() {
        run::run("python3", &["-m", "venv", folder])?;
    }
    let program = interpreter.to_string_lossy().into_owned();
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements];
    run::run(&program, &install)?;
    Ok(interpreter)
}

/// The packages of `source/package.json` in `folder`, and every file of `source` beside them: Node finds packages
/// from where a script is.
pub(crate) fn node(folder: &str, source: &str) -> Result<PathBuf, String> {
    let target = run::root().join(folder);
    copy(&run::root().join(source), &target).map_err(|error| format!("{source} cannot be copied: {error}"))?;
    run::run("npm", &["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", folder])?;
    Ok(target)
}

/// Copies the files of a folder, not its folders.
pub(crate) fn copy(source: &Path, target: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(target)?;
    for entry in std::fs::read_dir(source)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), target.join(entry.file_name()))?;
        }
    }
    Ok(())
}
