//! The command line, built from the table of settings.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches};

use crate::ending::Ending;
use crate::variable::{self, Command, Kind, Variable};

/// A parsed command line: which command, the flags that were given, and what follows `--`.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) verb: Verb,
    pub(crate) flags: BTreeMap<&'static str, Vec<String>>,
    pub(crate) rest: Vec<String>,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Command(Command),
    /// Hidden: prints `docs/reference/configuration.md`.
    Reference,
}

/// Parses a command line, program name included.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, Ending> {
    let matches = root().try_get_matches_from(arguments).map_err(|error| Ending::Usage(Box::new(error)))?;
    let (name, inner) = matches.subcommand().unwrap_or(("", &matches));
    if name == "reference" {
        return Ok(Parsed { verb: Verb::Reference, flags: BTreeMap::new(), rest: Vec::new() });
    }
    let (full, inner) = match inner.subcommand() {
        Some((nested, deeper)) => (format!("{name} {nested}"), deeper),
        None => (name.to_owned(), inner),
    };
    let Some(command) = Command::ALL.iter().copied().find(|command| command.name() == full) else {
        return Err(Ending::broken(&format!("the command `{full}` has no implementation")));
    };
    let flags = variable::of(command)
        .filter(|variable| variable.kind != Kind::Secret)
        .filter_map(|variable| Some((variable.flag, given(variable, inner)?)))
        .collect();
    let rest = match command {
        Command::EmulatorRun | Command::EmulatorCheck => {
            inner.get_many::<String>("command").unwrap_or_default().cloned().collect()
        }
        _ => Vec::new(),
    };
    Ok(Parsed { verb: Verb::Command(command), flags, rest })
}

fn given(variable: &Variable, matches: &ArgMatches) -> Option<Vec<String>> {
    if variable.kind == Kind::Switch {
        return matches.get_flag(variable.flag).then(|| vec!["true".to_owned()]);
    }
    Some(matches.get_many::<String>(variable.flag)?.cloned().collect())
}

/// The whole command tree.
pub(crate) fn root() -> clap::Command {
    let emulator = subcommand(Command::Emulator)
        .args_conflicts_with_subcommands(true)
        .subcommand(subcommand(Command::EmulatorEnv))
        .subcommand(
            subcommand(Command::EmulatorRun).arg(
                Arg::new("command")
                    .value_name("COMMAND")
                    .help("The command and its arguments, after --")
                    .required(true)
                    .num_args(1..)
                    .last(true),
            ),
        )
        .subcommand(
            subcommand(Command::EmulatorCheck)
                .arg(Arg::new("command").value_name("FILE").help("The seed file").required(true).num_args(1)),
        )
        .subcommand(subcommand(Command::EmulatorTail))
        .subcommand(subcommand(Command::EmulatorDoctor));
    let redis_proxy = subcommand(Command::RedisProxy)
        .args_conflicts_with_subcommands(true)
        .subcommands([Command::RedisProxyWait, Command::RedisProxyShutdown].map(subcommand));
    clap::Command::new("entrant")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Sign-in, APIs and Redis on Microsoft Entra ID, with no stored secret; and all of it on a laptop")
        .after_help("Values come from flags, then the environment, then --config FILE (TOML), then defaults.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([Command::Dev, Command::Web, Command::Api].map(subcommand))
        .subcommand(redis_proxy)
        .subcommand(subcommand(Command::RedisGate))
        .subcommand(emulator)
        .subcommands([Command::Token, Command::Doctor].map(subcommand))
        .subcommand(clap::Command::new("reference").hide(true).about("Print the reference page of all settings"))
}

fn subcommand(command: Command) -> clap::Command {
    let name = command.name().rsplit(' ').next().unwrap_or_default();
    let settings = variable::of(command).filter(|variable| variable.kind != Kind::Secret);
    clap::Command::new(name)
        .about(command.about())
        .args(settings.map(|variable| argument(variable, command)))
        .after_help(secrets(command))
}

fn argument(variable: &Variable, command: Command) -> Arg {
    let mut help = variable.help.to_owned();
    let env: Vec<_> = variable.env_for(command).collect();
    if !env.is_empty() {
        help.push_str(&format!(" [env: {}]", env.join(", ")));
    }
    if let Some(default) = variable.default {
        help.push_str(&format!(" [default: {default}]"));
    }
    let argument = Arg::new(variable.flag).long(variable.flag).help(help);
    match variable.kind {
        Kind::Switch => argument.action(ArgAction::SetTrue),
        Kind::Many | Kind::Place => argument.value_name(variable.value).action(ArgAction::Append),
        Kind::One | Kind::Secret => argument.value_name(variable.value).action(ArgAction::Set),
    }
}

fn secrets(command: Command) -> String {
    let names: Vec<_> = variable::of(command)
        .filter(|variable| variable.kind == Kind::Secret)
        .flat_map(|variable| variable.env.iter().copied())
        .collect();
    if names.is_empty() { String::new() } else { format!("From the environment only: {}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Parsed, Ending> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_command_tree_is_sound() {
        root().debug_assert();
    }

    #[test]
    fn flags_and_the_rest_are_kept_as_given() {
        let parsed = parse_line("entrant emulator run --profile imds -- env -0 --profile x").unwrap();
        assert_eq!(parsed.verb, Verb::Command(Command::EmulatorRun));
        assert_eq!(parsed.flags["profile"], ["imds"]);
        assert_eq!(parsed.rest, ["env", "-0", "--profile", "x"]);
        let parsed = parse_line("entrant redis-gate --issuer a --issuer b").unwrap();
        assert_eq!(parsed.flags["issuer"], ["a", "b"]);
    }

    #[test]
    fn a_secret_has_no_flag() {
        assert!(matches!(parse_line("entrant web --client-secret x"), Err(Ending::Usage(_))));
    }

    #[test]
    fn an_unknown_flag_is_bad_usage() {
        let Err(Ending::Usage(error)) = parse_line("entrant dev --prots auto") else { unreachable!() };
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--ports"), "{error}");
    }
}
