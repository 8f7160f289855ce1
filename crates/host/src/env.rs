//! The environment of this process.

use entrant_types::Env;

/// Environment variables of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn get(&self, name: &str) -> Option<String> {
        #[expect(clippy::disallowed_methods, reason = "the one legal reader of the environment")]
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }
}
