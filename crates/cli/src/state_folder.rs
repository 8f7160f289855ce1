//! Where the emulator's keys and this process's sockets are kept: one process at a time in one folder.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use entrant_host::{Folder, private_folder};
use entrant_types::Fault;

use crate::settings::{Settings, bad};
use crate::variable;

/// The locked folder, until dropped.
#[derive(Debug)]
pub(crate) struct StateFolder {
    path: PathBuf,
    _lock: Option<File>,
    _temporary: Option<Folder>,
}

impl StateFolder {
    /// The folder of `--data-dir`, or the one of this user in the temporary directory. Where that is in use by another
    /// process, a folder of its own is made and removed at the end, so that several systems can run side by side.
    pub(crate) fn open(settings: &Settings) -> Result<Self, Fault> {
        let chosen = settings.path(&variable::DATA_DIR);
        let path = private_folder(chosen.as_deref())?;
        if let Some(lock) = lock(&path)? {
            return Ok(Self { path, _lock: Some(lock), _temporary: None });
        }
        if chosen.is_some() {
            return Err(settings.wrong(&variable::DATA_DIR, "another entrant is using that folder"));
        }
        let folder = Folder::temporary(&std::env::temp_dir(), &format!("entrant-run-{}", std::process::id()))?;
        tracing::info!(folder = %folder.path().display(), "another entrant is running: this one keeps nothing");
        Ok(Self { path: folder.path().to_owned(), _lock: None, _temporary: Some(folder) })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The emulator's own part of it.
    pub(crate) fn emulator(&self) -> PathBuf {
        self.path.join("emulator")
    }
}

/// The lock goes with the process, however it ends.
fn lock(folder: &Path) -> Result<Option<File>, Fault> {
    let path = folder.join("lock");
    let failed = |error: std::io::Error| {
        bad(format!("{} cannot be locked: {error}.", path.display()), "Give --data-dir a folder on a local disk.")
    };
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_until_its_lock_is_gone() {
        let folder = Folder::temporary(&std::env::temp_dir(), &format!("entrant-lock-{}", std::process::id())).unwrap();
        let first = lock(folder.path()).unwrap();
        assert!(first.is_some());
        assert!(lock(folder.path()).unwrap().is_none());
        drop(first);
        assert!(lock(folder.path()).unwrap().is_some());
    }
}
