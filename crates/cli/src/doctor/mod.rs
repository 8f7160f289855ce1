//! `entrant doctor`: every hop tried on its own, each failure with its cause and what to change.

mod entra;
mod identity;
mod lint;
mod redis;
mod report;
pub(crate) mod sdk;

use std::time::Duration;

use entrant_types::Fault;

use crate::ending::{self, Ending};
use crate::lifecycle::Lifecycle;
use crate::settings::Settings;
use crate::surroundings::Surroundings;
use crate::variable;

use report::{Finding, Report};

/// For each hop: longer than any healthy one takes.
const HOP_LIMIT: Duration = Duration::from_secs(5);

/// What the checks share.
struct Patient<'a> {
    settings: &'a Settings,
    around: Surroundings,
    lifecycle: Lifecycle,
}

/// Runs all checks; the exit code is 1 when one failed.
pub(crate) async fn run(settings: &Settings) -> Result<Ending, Fault> {
    let patient = Patient { settings, around: Surroundings::of(settings)?, lifecycle: Lifecycle::new() };
    let mut report = Report::default();
    lint::check(&patient, &mut report);
    let metadata = entra::metadata(&patient, &mut report).await;
    let identity = identity::token(&patient, &mut report).await;
    identity::credential(&patient, identity.as_ref(), &mut report).await;
    entra::redirect_uri(&patient, metadata.as_ref(), &mut report).await;
    entra::api(&patient, &mut report).await;
    redis::check(&patient, &mut report).await;
    ending::print(&if settings.on(&variable::JSON) { report.json() } else { report.human() });
    Ok(if report.is_healthy() { Ending::Done } else { Ending::Child(1) })
}

/// A hop with its time limit.
async fn limited<T>(what: &str, hop: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::time::timeout(HOP_LIMIT, hop).await.unwrap_or_else(|_| {
        Err(Fault::new(
            entrant_types::Whose::Network,
            format!("{what} did not answer within {} s.", HOP_LIMIT.as_secs()),
            "Check its address, and that this machine may reach it.",
        ))
    })
}

impl Patient<'_> {
    /// The authority, unless the lint has already said why there is none.
    fn authority(&self) -> Option<entrant_proto::oauth::Authority> {
        self.around.authority.clone()
    }
}
