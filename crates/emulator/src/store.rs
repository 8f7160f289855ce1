//! The data directory: keys and certificates made once and kept, readable by their owner only.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use entrant_types::{Fault, Retry, Whose};

/// A data directory, or none: then nothing outlives the process.
#[derive(Clone, Debug)]
pub(crate) struct Store(Option<PathBuf>);

impl Store {
    pub(crate) fn open(directory: Option<PathBuf>) -> Result<Self, Fault> {
        if let Some(path) = &directory {
            fs::create_dir_all(path).map_err(|error| unusable(path, &error))?;
        }
        Ok(Self(directory))
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.as_ref().map(|directory| directory.join(name))
    }

    /// A file's content, `None` when there is none. At most 64 KiB: nothing kept here is larger.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        let Some(path) = self.path(name) else { return Ok(None) };
        match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&path, &error)),
            Ok(about) if about.len() > 64 * 1024 => return Err(unusable(&path, &"it is larger than 64 KiB")),
            Ok(_) => {}
        }
        fs::read(&path).map(Some).map_err(|error| unusable(&path, &error))
    }

    /// Writes a file that is made anew in every run, whole or not at all; `secret` ones for their owner's eyes only
    /// (mode 0600).
    pub(crate) fn write(&self, name: &str, content: &[u8], secret: bool) -> Result<(), Fault> {
        self.put(name, content, secret, false)
    }

    /// The same for a file that later runs need: it is on the disk when this returns.
    pub(crate) fn keep(&self, name: &str, content: &[u8], secret: bool) -> Result<(), Fault> {
        self.put(name, content, secret, true)
    }

    fn put(&self, name: &str, content: &[u8], secret: bool, lasting: bool) -> Result<(), Fault> {
        let Some(path) = self.path(name) else { return Ok(()) };
        let fresh = path.with_extension("new");
        let written = (|| {
            let _ = fs::remove_file(&fresh);
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            {
                use std::os::unix::fs::OpenOptionsExt as _;
                options.mode(if secret { 0o600 } else { 0o644 });
            }
            #[cfg(not(unix))]
            let _ = secret;
            let mut file = options.open(&fresh)?;
            file.write_all(content)?;
            // Costs milliseconds of every start where it is not needed.
            if lasting {
                file.sync_data()?;
            }
            fs::rename(&fresh, &path)
        })();
        written.map_err(|error| unusable(&path, &error))
    }
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Fault {
    Fault::new(
        Whose::Configuration,
        format!("The emulator cannot use {}: {error}.", path.display()),
        "Choose a data directory that this account may write, or delete that file to have it made anew.",
    )
    .retry(Retry::Never)
}
