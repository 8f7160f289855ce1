//! Developer tools that print tokens: run with a time limit, without a shell.

use std::time::Duration;

use entrant_proto::oauth::error::quoted;
use entrant_types::outside::{CommandError, CommandOutput};
use entrant_types::{Code, Fault, Outside, Retry, Scope, Whose};

use crate::source::Outcome;

/// The Azure CLI starts a Python interpreter and may itself ask Entra: seconds, but not many.
const LIMIT: Duration = Duration::from_secs(13);

/// Runs a tool and gives what it printed, whatever its exit code.
pub(super) async fn run(outside: &Outside, program: &str, args: &[&str]) -> Result<CommandOutput, Outcome> {
    outside.commands.run(program, args, LIMIT).await.map_err(|error| {
        let (what, fix) = match error {
            CommandError::NotFound => return Outcome::NotApplicable(format!("the program {program} is not installed")),
            CommandError::Timeout(limit) => (
                format!("{program} did not end within {} s", limit.as_secs()),
                format!("Run `{program} {}` by hand, and see what it waits for.", args.join(" ")),
            ),
            CommandError::Failed(error) => {
                (format!("{program} could not be run: {error}"), format!("Check that {program} works by hand."))
            }
        };
        Outcome::Failed(Fault::new(Whose::Configuration, what, fix).code(Code::Entrant("command_failed")))
    })
}

/// The fault of a tool that is signed in and still gave no token.
pub(super) fn failed(program: &str, output: &CommandOutput) -> Fault {
    let what = match output.code {
        Some(code) => format!("{program} ended with code {code}: {}", quoted(&output.stderr)),
        None => format!("{program} was killed"),
    };
    Fault::new(Whose::Configuration, what, format!("Mend what {program} says, then try again."))
        .code(Code::Entrant("command_failed"))
}

/// The fault of output in another form than the documented one.
pub(super) fn unreadable(program: &str) -> Fault {
    let what = format!("{program} printed something else than a token in JSON");
    Fault::new(Whose::Configuration, what, format!("Update {program}."))
        .code(Code::Entrant("command_output_unreadable"))
}

/// Scopes and tenants become arguments of another program: nothing that could be read as an option or, by a
/// script wrapper on Windows, as shell text.
pub(super) fn argument<'a>(text: &'a str, what: &str) -> Result<&'a str, Outcome> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte));
    if plain && !text.is_empty() && !text.starts_with('-') {
        return Ok(text);
    }
    Err(Outcome::Failed(
        Fault::new(
            Whose::Caller,
            format!("the {what} has characters that are not passed to another program"),
            format!("Write the {what} with letters, digits and - . _ : / only."),
        )
        .retry(Retry::Never)
        .code(Code::Entrant("argument_refused")),
    ))
}

/// The scope as an argument.
pub(super) fn scope_argument(scope: &Scope) -> Result<String, Outcome> {
    let scope = if scope.as_str().ends_with("/.default") { scope.clone() } else { scope.resource().default_scope() };
    argument(scope.as_str(), "scope").map(str::to_owned)
}
