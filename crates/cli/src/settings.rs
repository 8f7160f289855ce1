//! Where each value comes from: flag, attached ready file, environment, config file, default, in this order.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use entrant_types::{Code, Env, Fault, Retry, Secret, Whose};

use crate::arguments::Parsed;
use crate::ready::Ready;
use crate::variable::{self, Command, Kind, Variable};

/// No configuration of ours comes near it; a wrong path (a device, a log) must not fill the memory.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The settings of one command, resolved and kept with their origin.
#[derive(Debug)]
pub(crate) struct Settings {
    command: Command,
    values: BTreeMap<&'static str, (Vec<String>, Origin)>,
    secrets: BTreeMap<&'static str, Secret>,
    /// The ready file that was attached, if any.
    pub(crate) attached: Option<Ready>,
}

/// Who said so.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Flag,
    Attached,
    Env(&'static str),
    File(PathBuf),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("given as a flag"),
            Self::Attached => f.write_str("from the attached ready file"),
            Self::Env(name) => write!(f, "from the environment variable {name}"),
            Self::File(path) => write!(f, "from {}", path.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// A failure of configuration.
pub(crate) fn bad(what: impl Into<String>, fix: impl Into<String>) -> Fault {
    Fault::new(Whose::Configuration, what, fix).retry(Retry::Never).code(Code::Entrant("bad_configuration"))
}

impl Settings {
    /// Resolves every setting of `command`. Reads the config file and the attached ready file, nothing else.
    ///
    /// # Errors
    /// When one of them cannot be read or understood.
    pub(crate) fn resolve(command: Command, parsed: &Parsed, env: &dyn Env) -> Result<Self, Fault> {
        let places = |variable: &Variable| -> Vec<PathBuf> {
            let flags = parsed.flags.get(variable.flag).cloned();
            let env = || variable.env_for(command).find_map(|name| env.get(name)).map(|path| vec![path]);
            flags.or_else(env).unwrap_or_default().into_iter().map(PathBuf::from).collect()
        };
        let file = places(&variable::CONFIG).pop().map(|path| read_config(&path).map(|values| (values, path)));
        let file = file.transpose()?;
        let ready_files = places(&variable::ATTACH);
        let attached = if ready_files.is_empty() || !variable::ATTACH.commands.contains(&command) {
            None
        } else {
            Some(Ready::read(&ready_files)?)
        };
        let lent = attached.as_ref().map(Ready::settings).unwrap_or_default();

        let (mut values, mut secrets) = (BTreeMap::new(), BTreeMap::new());
        for variable in variable::of(command) {
            let from_env = || variable.env_for(command).find_map(|name| Some((name, env.get(name)?)));
            if variable.kind == Kind::Secret {
                let lent = lent.get(variable.flag).cloned();
                if let Some(value) = lent.or_else(|| from_env().map(|(_, value)| value)) {
                    secrets.insert(variable.flag, Secret::new(value));
                }
                continue;
            }
            let resolved = if let Some(values) = parsed.flags.get(variable.flag) {
                Some((values.clone(), Origin::Flag))
            } else if let Some(value) = lent.get(variable.flag) {
                Some((vec![value.clone()], Origin::Attached))
            } else if let Some((name, value)) = from_env() {
                Some((split(variable, &value), Origin::Env(name)))
            } else if let Some((values, path)) =
                file.as_ref().and_then(|(values, path)| Some((values.get(&variable.key())?, path)))
            {
                Some((values.clone(), Origin::File(path.clone())))
            } else {
                variable.default.map(|value| (vec![value.to_owned()], Origin::Default))
            };
            if let Some(resolved) = resolved {
                values.insert(variable.flag, resolved);
            }
        }
        Ok(Self { command, values, secrets, attached })
    }

    /// What `command` would be given by `--attach` of this ready file and nothing else: no flags, no environment.
    pub(crate) fn lent(command: Command, ready: &Ready) -> Self {
        let lent = ready.settings();
        let (mut values, mut secrets) = (BTreeMap::new(), BTreeMap::new());
        for variable in variable::of(command) {
            match (lent.get(variable.flag), variable.kind, variable.default) {
                (Some(value), Kind::Secret, _) => {
                    secrets.insert(variable.flag, Secret::new(value.clone()));
                }
                (Some(value), ..) => {
                    values.insert(variable.flag, (vec![value.clone()], Origin::Attached));
                }
                (None, _, Some(default)) => {
                    values.insert(variable.flag, (vec![default.to_owned()], Origin::Default));
                }
                (None, _, None) => {}
            }
        }
        Self { command, values, secrets, attached: Some(ready.clone()) }
    }

    /// The same with one more value, if there is one.
    pub(crate) fn with(mut self, variable: &'static Variable, value: Option<String>) -> Self {
        if let Some(value) = value {
            self.values.insert(variable.flag, (vec![value], Origin::Attached));
        }
        self
    }

    /// The command these are for.
    pub(crate) fn command(&self) -> Command {
        self.command
    }

    /// The text of a setting.
    pub(crate) fn text(&self, variable: &Variable) -> Option<&str> {
        self.values.get(variable.flag).and_then(|(values, _)| values.last()).map(String::as_str)
    }

    /// Every value of a repeatable setting.
    pub(crate) fn many(&self, variable: &Variable) -> &[String] {
        self.values.get(variable.flag).map_or(&[], |(values, _)| values)
    }

    /// A setting that must be there.
    pub(crate) fn required(&self, variable: &Variable) -> Result<&str, Fault> {
        self.text(variable).ok_or_else(|| {
            bad(
                format!("{} is not set, and `entrant {}` needs it.", variable.spelled(), self.command.name()),
                format!("Set {}: {}.", variable.spelled(), lower_first(variable.help)),
            )
        })
    }

    /// A setting as a typed value, if it is set.
    pub(crate) fn parsed<T: FromStr<Err: fmt::Display>>(&self, variable: &Variable) -> Result<Option<T>, Fault> {
        self.text(variable).map(|text| self.parse(variable, text)).transpose()
    }

    /// A setting as a typed value that must be there.
    pub(crate) fn required_as<T: FromStr<Err: fmt::Display>>(&self, variable: &Variable) -> Result<T, Fault> {
        self.parse(variable, self.required(variable)?)
    }

    fn parse<T: FromStr<Err: fmt::Display>>(&self, variable: &Variable, text: &str) -> Result<T, Fault> {
        text.parse().map_err(|why: T::Err| self.wrong(variable, &why.to_string()))
    }

    /// One of several words.
    pub(crate) fn word<T: Copy>(&self, variable: &Variable, words: &[(&str, T)]) -> Result<Option<T>, Fault> {
        let Some(text) = self.text(variable) else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                Err(self.wrong(variable, &format!("it is none of {}", known.join(", "))))
            }
        }
    }

    /// Whether a switch is on.
    pub(crate) fn on(&self, variable: &Variable) -> bool {
        self.text(variable).is_some_and(|text| matches!(text, "true" | "1" | "on" | "yes"))
    }

    /// A path.
    pub(crate) fn path(&self, variable: &Variable) -> Option<PathBuf> {
        self.text(variable).map(PathBuf::from)
    }

    /// A secret of the environment.
    pub(crate) fn secret(&self, variable: &Variable) -> Option<&Secret> {
        self.secrets.get(variable.flag)
    }

    /// Whether a person or file set this, rather than its default.
    pub(crate) fn is_chosen(&self, variable: &Variable) -> bool {
        self.values.get(variable.flag).is_some_and(|(_, origin)| *origin != Origin::Default)
    }

    /// Whether it was given on the command line.
    pub(crate) fn is_flag(&self, variable: &Variable) -> bool {
        self.values.get(variable.flag).is_some_and(|(_, origin)| *origin == Origin::Flag)
    }

    /// The fault of a value that cannot be used. Says which value, who gave it, and what it is for.
    pub(crate) fn wrong(&self, variable: &Variable, why: &str) -> Fault {
        let (value, origin) = match self.values.get(variable.flag) {
            Some((values, origin)) => (values.last().map_or("", String::as_str), origin.clone()),
            None => ("", Origin::Default),
        };
        let shown: String = value.chars().filter(|c| !c.is_control()).take(120).collect();
        bad(
            format!("`{shown}` ({origin}) cannot be used for {}: {why}.", variable.spelled()),
            format!("Correct {}: {}.", variable.spelled(), lower_first(variable.help)),
        )
    }
}

fn split(variable: &Variable, value: &str) -> Vec<String> {
    match variable.kind {
        Kind::Many => value.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect(),
        _ => vec![value.to_owned()],
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        // An acronym keeps its capitals.
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().collect::<String>() + letters.as_str()
        }
        _ => text.to_owned(),
    }
}

/// Reads a small text file of the configuration.
pub(crate) fn read_small(path: &Path, what: &str) -> Result<String, Fault> {
    String::from_utf8(read_bytes(path, what)?).map_err(|_| unreadable(path, what, "it is no text"))
}

/// Reads a small file of the configuration.
pub(crate) fn read_bytes(path: &Path, what: &str) -> Result<Vec<u8>, Fault> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, what, &error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(unreadable(path, what, &format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, what: &str, why: &str) -> Fault {
    bad(format!("The {what} {} cannot be read: {why}.", path.display()), "Name a file that exists and is readable.")
}

fn read_config(path: &Path) -> Result<BTreeMap<String, Vec<String>>, Fault> {
    let text = read_small(path, "config file")?;
    let refuse = |why: String, fix: &str| Err(bad(format!("The config file {} {why}.", path.display()), fix));
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            return refuse(format!("is not TOML (line {line}): {}", error.message()), "Correct that line.");
        }
    };
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let known = variable::ALL.iter().find(|variable| variable.key() == key);
        match known.map(|variable| variable.kind) {
            None => {
                return refuse(
                    format!("has an unknown key `{key}`"),
                    "Remove it, or see docs/reference/configuration.md.",
                );
            }
            Some(Kind::Secret | Kind::Place) => {
                return refuse(format!("must not hold `{key}`"), "Set it in the environment.");
            }
            Some(_) => {}
        }
        let Some(texts) = texts(&value) else {
            return refuse(format!("has a `{key}` that is no text, number, switch or list of texts"), "Correct it.");
        };
        values.insert(key, texts);
    }
    Ok(values)
}

fn texts(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text.clone()]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Boolean(on) => Some(vec![on.to_string()]),
        toml::Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
