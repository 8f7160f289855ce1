//! Entropy, environment, files and processes from the test's hand.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use entrant_types::outside::{CommandError, CommandOutput};
use entrant_types::{BoxFuture, Commands, Entropy, Env, Files, Secret};

/// Bytes that look random and are the same in every run. Not for anything but tests.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// A sequence of its own for every seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            // SplitMix64 (Steele, Lea, Flood 2014): an atomic counter and a mixer.
            let mut word =
                self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15);
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^= word >> 31;
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// An environment that holds what the test put there.
#[derive(Debug, Default)]
pub struct MapEnv(Mutex<HashMap<String, String>>);

impl MapEnv {
    /// With these variables.
    #[must_use]
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let env = Self::default();
        for (name, value) in variables {
            env.set(name, value);
        }
        env
    }

    /// Sets a variable; an empty value counts as unset.
    pub fn set(&self, name: &str, value: &str) {
        lock(&self.0).insert(name.to_owned(), value.to_owned());
    }
}

impl Env for MapEnv {
    fn get(&self, name: &str) -> Option<String> {
        lock(&self.0).get(name).filter(|value| !value.is_empty()).cloned()
    }
}

/// Files that exist only here. Paths are canonical as written, but for links made by [`link`](Self::link).
#[derive(Debug, Default)]
pub struct MapFiles {
    contents: Mutex<HashMap<PathBuf, Vec<u8>>>,
    links: Mutex<HashMap<PathBuf, PathBuf>>,
}

impl MapFiles {
    /// Writes a file.
    pub fn set(&self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) {
        lock(&self.contents).insert(path.into(), content.into());
    }

    /// Removes a file.
    pub fn remove(&self, path: impl AsRef<Path>) {
        lock(&self.contents).remove(path.as_ref());
    }

    /// Makes `from` a symbolic link to `to`.
    pub fn link(&self, from: impl Into<PathBuf>, to: impl Into<PathBuf>) {
        lock(&self.links).insert(from.into(), to.into());
    }

    fn target(&self, path: &Path) -> PathBuf {
        lock(&self.links).get(path).cloned().unwrap_or_else(|| path.to_owned())
    }
}

impl Files for MapFiles {
    fn read<'a>(&'a self, path: &'a Path, max_bytes: usize) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        let found = lock(&self.contents).get(&self.target(path)).cloned();
        Box::pin(std::future::ready(match found {
            None => Err(format!("{} cannot be read: no such file", path.display())),
            Some(bytes) if bytes.len() > max_bytes => {
                Err(format!("{} is larger than {max_bytes} bytes", path.display()))
            }
            Some(bytes) => Ok(bytes),
        }))
    }

    fn canonical<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<PathBuf, String>> {
        let target = self.target(path);
        let exists = lock(&self.contents).contains_key(&target);
        Box::pin(std::future::ready(if exists {
            Ok(target)
        } else {
            Err(format!("{} cannot be found: no such file", path.display()))
        }))
    }
}

/// Programs that print what the test says.
#[derive(Debug, Default)]
pub struct ScriptedCommands {
    outputs: Mutex<HashMap<String, Result<CommandOutput, CommandError>>>,
    calls: Mutex<Vec<Vec<String>>>,
}

impl ScriptedCommands {
    /// Installs a program that ends with `code` and prints this.
    pub fn install(&self, program: &str, code: i32, stdout: &str, stderr: &str) {
        let output = CommandOutput { code: Some(code), stdout: Secret::from(stdout), stderr: stderr.to_owned() };
        lock(&self.outputs).insert(program.to_owned(), Ok(output));
    }

    /// Installs a program that fails like this.
    pub fn fail(&self, program: &str, error: CommandError) {
        lock(&self.outputs).insert(program.to_owned(), Err(error));
    }

    /// Every call so far: program, then arguments.
    #[must_use]
    pub fn calls(&self) -> Vec<Vec<String>> {
        lock(&self.calls).clone()
    }
}

impl Commands for ScriptedCommands {
    fn run<'a>(
        &'a self,
        program: &'a str,
        args: &'a [&'a str],
        _limit: Duration,
    ) -> BoxFuture<'a, Result<CommandOutput, CommandError>> {
        let call = std::iter::once(program).chain(args.iter().copied()).map(str::to_owned).collect();
        lock(&self.calls).push(call);
        let output = lock(&self.outputs).get(program).cloned().unwrap_or(Err(CommandError::NotFound));
        Box::pin(std::future::ready(output))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_draws_differ() {
        let draw = |entropy: &SeededEntropy| {
            let mut bytes = [0; 20];
            entropy.fill(&mut bytes);
            bytes
        };
        let (first, second) = (SeededEntropy::new(7), SeededEntropy::new(7));
        let drawn = draw(&first);
        assert_eq!(drawn, draw(&second));
        assert_ne!(drawn, draw(&first));
    }

    #[tokio::test]
    async fn a_program_that_was_not_installed_is_not_found() {
        let commands = ScriptedCommands::default();
        assert_eq!(commands.run("az", &["version"], Duration::ZERO).await.err(), Some(CommandError::NotFound));
        commands.install("az", 0, "{}", "");
        assert_eq!(commands.run("az", &[], Duration::ZERO).await.unwrap().code, Some(0));
        assert_eq!(commands.calls(), [vec!["az", "version"], vec!["az"]]);
    }
}
