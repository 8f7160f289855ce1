//! Other programs, run without a shell.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use entrant_types::outside::{CommandError, CommandOutput};
use entrant_types::{BoxFuture, Commands, Secret};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The most that is read of each output stream. A token is under 16 KiB; the rest is somebody's warning text.
const MAX_OUTPUT_BYTES: u64 = 1 << 20;

/// Runs programs of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessCommands;

impl Commands for ProcessCommands {
    fn run<'a>(
        &'a self,
        program: &'a str,
        args: &'a [&'a str],
        limit: Duration,
    ) -> BoxFuture<'a, Result<CommandOutput, CommandError>> {
        Box::pin(async move {
            tokio::time::timeout(limit, run(program, args)).await.unwrap_or(Err(CommandError::Timeout(limit)))
        })
    }
}

async fn run(program: &str, args: &[&str]) -> Result<CommandOutput, CommandError> {
    #[expect(clippy::disallowed_methods, reason = "the one legal place where a process starts")]
    let mut command = tokio::process::Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => CommandError::NotFound,
        _ => CommandError::Failed(format!("{program} could not be started: {error}")),
    })?;
    let (stdout, stderr) = tokio::join!(collect(child.stdout.take()), collect(child.stderr.take()));
    let failed = |error: io::Error| CommandError::Failed(format!("{program} could not be read: {error}"));
    let (stdout, stderr) = (stdout.map_err(failed)?, stderr.map_err(failed)?);
    let status = child.wait().await.map_err(failed)?;
    Ok(CommandOutput { code: status.code(), stdout: Secret::new(stdout), stderr })
}

async fn collect(stream: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // Dropping the stream at the limit ends a program that never stops talking.
        stream.take(MAX_OUTPUT_BYTES).read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_program_that_is_not_installed_is_told_apart() {
        let error = ProcessCommands.run("entrant-no-such-program", &[], LIMIT).await.err();
        assert_eq!(error, Some(CommandError::NotFound));
    }

    #[tokio::test]
    async fn output_and_exit_code_are_returned() {
        let output = ProcessCommands.run("sh", &["-c", "echo out; echo err >&2; exit 3"], LIMIT).await.unwrap();
        assert_eq!((output.code, output.stdout.expose(), output.stderr.as_str()), (Some(3), "out\n", "err\n"));
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_killed_at_the_limit() {
        let limit = Duration::from_millis(50);
        assert_eq!(ProcessCommands.run("sleep", &["600"], limit).await.err(), Some(CommandError::Timeout(limit)));
    }
}
