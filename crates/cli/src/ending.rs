//! How the process ends: its exit code, and the sentence a person reads when it failed.

use std::io::Write as _;
use std::process::ExitCode;

use entrant_types::{Code, Fault, Whose};

/// The end of a command.
#[derive(Debug)]
pub(crate) enum Ending {
    /// 0: the work is done.
    Done,
    /// 1, or 2 when the configuration or the caller must change something.
    Failed(Box<Fault>),
    /// A clap message (help, version, bad usage), which knows its own exit code: 0 or 2.
    Usage(Box<clap::Error>),
    /// 130 or 143: ended by a signal, after draining.
    Signal(Signal),
    /// The exit code of the command that `emulator run` ran.
    Child(u8),
}

/// A signal that ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl From<Fault> for Ending {
    fn from(fault: Fault) -> Self {
        Self::Failed(Box::new(fault))
    }
}

impl Ending {
    /// A failure that only a change of Entrant or of the machine can mend.
    pub(crate) fn broken(what: &str) -> Self {
        Self::from(Fault::new(Whose::Entrant, sentence(what), "Try again; if it stays, report it."))
    }

    /// Prints what is to be said, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Failed(fault) => {
                say(&describe(&fault));
                ExitCode::from(code(&fault))
            }
            Self::Usage(error) => {
                // Nothing is left to tell when the terminal itself is gone.
                let _ = error.print();
                ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
            }
            Self::Signal(Signal::Interrupt) => ExitCode::from(130),
            Self::Signal(Signal::Terminate) => ExitCode::from(143),
            Self::Child(code) => ExitCode::from(code),
        }
    }
}

/// 2 when the command line or the configuration was wrong by itself; 1 when somebody outside said no: Entra, Redis, an
/// HTTP server, or the system about a port.
fn code(fault: &Fault) -> u8 {
    let outside = fault.codes.iter().any(|code| !matches!(code, Code::Entrant(_))) || fault.is("port_in_use");
    match fault.whose {
        Whose::Configuration | Whose::Caller if !outside => 2,
        _ => 1,
    }
}

/// Three lines at most: what happened, on whose side it is, what to change.
pub(crate) fn describe(fault: &Fault) -> String {
    let mut text = format!("error: {}\n", fault.what);
    let side = match fault.whose {
        Whose::Configuration => "the configuration",
        Whose::Caller => "the caller",
        Whose::Provider => "the provider",
        Whose::Network => "the network",
        Whose::Entrant => "Entrant",
    };
    let codes: Vec<String> = fault.codes.iter().map(ToString::to_string).collect();
    let codes = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) };
    text.push_str(&format!("  side: {side}{codes}\n"));
    if !fault.fix.is_empty() {
        text.push_str(&format!("  fix:  {}\n", fault.fix));
    }
    text
}

/// Writes to standard error; a closed one is nobody's problem.
pub(crate) fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Writes to standard output; a closed one (`| head`) is nobody's problem.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_what_whose_and_fix() {
        let fault = Fault::new(Whose::Configuration, "TENANT_ID is no GUID.", "Set it.").code(Code::Entrant("bad"));
        assert_eq!(
            describe(&fault),
            "error: TENANT_ID is no GUID.\n  side: the configuration (bad)\n  fix:  Set it.\n"
        );
        assert_eq!(code(&fault), 2);
        assert_eq!(code(&fault.code(Code::Aadsts(700_016))), 1);
    }
}
