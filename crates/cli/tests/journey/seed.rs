//! Seed files: the same directory as without one, but for one mistake.

use std::path::Path;

/// The built-in directory as a file, with another federated credential on the web app.
pub(crate) fn with_credential(credential: &str) -> String {
    format!(
        r#"
[[app]]
name = "web-app"
redirect_uris = ["http://localhost:5000/getAToken", "http://localhost:5000/"]
assignment_required = true
{credential}

[[app]]
name = "protected-api"
[app.api]
scopes = ["access_as_user"]
token_version = 2
"#
    )
}

/// The built-in directory, but nobody may use Redis.
pub(crate) const NO_REDIS_POLICY: &str = "[redis]\nuser = []\n";

/// Writes a seed file and returns its path for `--seed`.
pub(crate) fn file(folder: &Path, seed: &str) -> String {
    let path = folder.join("seed.toml");
    std::fs::write(&path, seed).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path.to_string_lossy().into_owned()
}
