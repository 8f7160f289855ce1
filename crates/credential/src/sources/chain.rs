//! An explicit chain: the first source that applies is chosen, and stays chosen.

use std::sync::{Arc, OnceLock};

use entrant_types::{BoxFuture, Scope};

use crate::source::{Outcome, Source};

/// Tries its sources in order. Only [`Outcome::NotApplicable`] goes on to the next: a source that applies
/// and fails is an error to mend, not a reason to become somebody else. For the same reason the first source
/// that gave a token is the only one asked from then on.
#[derive(Debug)]
pub struct Chain {
    /// With each source's name inside the chain, such as `chain:azure-cli`.
    sources: Vec<(String, Arc<dyn Source>)>,
    chosen: OnceLock<usize>,
}

impl Chain {
    /// A chain that begins with `source`.
    #[must_use]
    pub fn first_try(source: impl Source + 'static) -> Self {
        Self { sources: Vec::new(), chosen: OnceLock::new() }.or_else(source)
    }

    /// The same chain with one more source at its end.
    #[must_use]
    pub fn or_else(mut self, source: impl Source + 'static) -> Self {
        self.sources.push((format!("chain:{}", source.name()), Arc::new(source)));
        self
    }

    async fn search(&self, scope: &Scope) -> Outcome {
        let mut passed = Vec::new();
        for (index, (_, source)) in self.sources.iter().enumerate() {
            match source.fetch(scope).await {
                Outcome::NotApplicable(why) => passed.push(format!("{}: {why}", source.name())),
                Outcome::Failed(mut fault) => {
                    fault.what = format!("{}: {}", source.name(), fault.what);
                    if !passed.is_empty() {
                        fault.what = format!("{} (passed over: {})", fault.what, passed.join("; "));
                    }
                    return Outcome::Failed(fault);
                }
                Outcome::Token(token) => {
                    if self.chosen.set(index).is_ok() {
                        let (source, passed) = (source.name(), passed.join("; "));
                        tracing::info!(source, passed_over = %passed, "the credential chain chose its source");
                    }
                    return Outcome::Token(token);
                }
            }
        }
        Outcome::NotApplicable(format!("none of its sources applies: {}", passed.join("; ")))
    }
}

impl Source for Chain {
    /// `chain`, and once chosen the source's name too, such as `chain:azure-cli`.
    fn name(&self) -> &str {
        self.chosen.get().and_then(|index| self.sources.get(*index)).map_or("chain", |(name, _)| name)
    }

    fn fetch<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match self.chosen.get().and_then(|index| self.sources.get(*index)) {
                Some((_, source)) => source.fetch(scope).await,
                None => self.search(scope).await,
            }
        })
    }

    fn skew_millis(&self) -> Option<i64> {
        self.chosen.get().and_then(|index| self.sources.get(*index))?.1.skew_millis()
    }
}
