//! Files of this machine.

use std::path::{Path, PathBuf};

use entrant_types::{BoxFuture, Files};
use tokio::io::AsyncReadExt as _;

/// Reads the disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFiles;

impl Files for DiskFiles {
    fn read<'a>(&'a self, path: &'a Path, max_bytes: usize) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        Box::pin(async move {
            let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
            let file = tokio::fs::File::open(path).await.map_err(failed)?;
            let mut bytes = Vec::new();
            // One byte more than the limit tells "too large" from "just fits".
            file.take(max_bytes as u64 + 1).read_to_end(&mut bytes).await.map_err(failed)?;
            if bytes.len() > max_bytes {
                return Err(format!("{} is larger than {max_bytes} bytes", path.display()));
            }
            Ok(bytes)
        })
    }

    fn canonical<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<PathBuf, String>> {
        Box::pin(async move {
            let failed = |error: std::io::Error| format!("{} cannot be found: {error}", path.display());
            let canonical = tokio::fs::canonicalize(path).await.map_err(failed)?;
            if !tokio::fs::metadata(&canonical).await.map_err(failed)?.is_file() {
                return Err(format!("{} is not a regular file", path.display()));
            }
            Ok(canonical)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_or_oversized_file_is_a_sentence_that_names_it() {
        let missing = DiskFiles.read(Path::new("/nonexistent/file"), 10).await.unwrap_err();
        assert!(missing.starts_with("/nonexistent/file cannot be read: "), "{missing}");
        let manifest = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let size = DiskFiles.read(manifest, 1 << 20).await.unwrap().len();
        assert_eq!(DiskFiles.read(manifest, size).await.map(|bytes| bytes.len()), Ok(size));
        assert!(DiskFiles.read(manifest, size - 1).await.unwrap_err().ends_with(&format!("than {} bytes", size - 1)));
    }

    #[tokio::test]
    async fn a_directory_is_not_a_file() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(DiskFiles.canonical(directory).await.unwrap_err().contains("not a regular file"));
    }
}
