//! Folders for keys and sockets: private to their owner.

use std::fs::{DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use entrant_types::{Code, Fault, Retry, Whose};

/// A folder that is removed with everything in it when dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes a new private folder `name` in `parent`.
    ///
    /// # Errors
    /// When it exists or cannot be made.
    pub fn temporary(parent: &Path, name: &str) -> Result<Self, Fault> {
        let path = parent.join(name);
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| unusable(&path, &error.to_string()))?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(folder = %self.0.display(), %error, "a temporary folder could not be removed");
        }
    }
}

/// The folder at `path`, or a per-user one in the system's temporary directory: made with mode 0700 when missing, and
/// refused when somebody else could read or replace what is in it. It stays, so that keys are made only once.
///
/// # Errors
/// When it cannot be made, or belongs to somebody else, or is open to others.
pub fn private_folder(path: Option<&Path>) -> Result<PathBuf, Fault> {
    let chosen = path.is_some();
    let path = match path {
        Some(path) => path.to_owned(),
        None => default_folder()?,
    };
    let failed = |error: io::Error| unusable(&path, &error.to_string());
    DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed)?;
    // A link is somebody's choice when the path is; in the shared temporary directory it may be somebody's trap.
    let data = if chosen { std::fs::metadata(&path) } else { std::fs::symlink_metadata(&path) };
    check(&path, &data.map_err(failed)?)?;
    path.canonicalize().map_err(failed)
}

fn default_folder() -> Result<PathBuf, Fault> {
    let uid = own_uid().map_err(|error| {
        Fault::new(Whose::Entrant, format!("This process's user cannot be told: {error}."), "Give --data-dir.")
    })?;
    Ok(std::env::temp_dir().join(format!("entrant-{uid}")))
}

fn check(path: &Path, data: &Metadata) -> Result<(), Fault> {
    if !data.is_dir() {
        return Err(unusable(path, "it is not a folder"));
    }
    if own_uid().is_ok_and(|uid| uid != data.uid()) {
        return Err(unusable(path, "it belongs to another user"));
    }
    if data.mode() & 0o002 != 0 {
        return Err(unusable(path, "others may write to it"));
    }
    Ok(())
}

/// The user of this process, as the owner of its entry in `/proc`; elsewhere, of the home folder.
fn own_uid() -> io::Result<u32> {
    let owned = std::fs::metadata("/proc/self").or_else(|error| std::env::home_dir().ok_or(error)?.metadata());
    Ok(owned?.uid())
}

fn unusable(path: &Path, why: &str) -> Fault {
    Fault::new(
        Whose::Configuration,
        format!("The folder {} cannot be used: {why}.", path.display()),
        "Give --data-dir a folder of your own that only you can write to.",
    )
    .retry(Retry::Never)
    .code(Code::Entrant("bad_folder"))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("entrant-folder-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_missing_folder_is_made_for_its_owner_only_and_kept() {
        let path = place("made").join("deep");
        let made = private_folder(Some(&path)).unwrap();
        assert_eq!(made.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(private_folder(Some(&path)).unwrap(), made);
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let path = place("open");
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        let fault = private_folder(Some(&path)).unwrap_err();
        assert!(fault.what.contains("others may write"), "{fault}");
        let data = std::fs::symlink_metadata("/proc/self/exe").unwrap();
        assert!(check(&path, &data).unwrap_err().what.contains("not a folder"));
    }

    #[test]
    fn a_temporary_folder_goes_with_its_value() {
        let folder = Folder::temporary(&std::env::temp_dir(), &format!("entrant-gone-{}", std::process::id())).unwrap();
        let path = folder.path().to_owned();
        std::fs::write(path.join("file"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
