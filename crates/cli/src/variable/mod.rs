//! What a setting is: flag, environment, config-file key, default, help. Help texts and
//! `docs/reference/configuration.md` are made from here.

mod identity;
mod serving;

pub(crate) use identity::*;
pub(crate) use serving::*;

/// One setting. Its config-file key is the flag with underscores.
#[derive(Debug)]
pub(crate) struct Variable {
    /// The long flag without its dashes. Unique among the commands that take it.
    pub(crate) flag: &'static str,
    /// Environment variables, the first that is set counts.
    pub(crate) env: &'static [&'static str],
    /// What stands for the value in help.
    pub(crate) value: &'static str,
    pub(crate) help: &'static str,
    pub(crate) default: Option<&'static str>,
    pub(crate) kind: Kind,
    pub(crate) commands: &'static [Command],
}

/// What a setting holds, and where it may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    One,
    /// May be given several times; a comma-separated list in the environment.
    Many,
    /// A switch; `true`, `1`, `on` or `yes` in the environment.
    Switch,
    /// Environment only: a flag would be in every process list, a file in every backup.
    Secret,
    /// Flag and environment only, since it says where to read the rest; as a flag, several times.
    Place,
}

/// A command that takes settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Command {
    Dev,
    Web,
    Api,
    RedisProxy,
    RedisProxyWait,
    RedisProxyShutdown,
    RedisGate,
    Emulator,
    EmulatorEnv,
    EmulatorRun,
    EmulatorCheck,
    EmulatorTail,
    EmulatorDoctor,
    Token,
    Doctor,
}

impl Command {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Dev,
        Self::Web,
        Self::Api,
        Self::RedisProxy,
        Self::RedisProxyWait,
        Self::RedisProxyShutdown,
        Self::RedisGate,
        Self::Emulator,
        Self::EmulatorEnv,
        Self::EmulatorRun,
        Self::EmulatorCheck,
        Self::EmulatorTail,
        Self::EmulatorDoctor,
        Self::Token,
        Self::Doctor,
    ];

    /// As typed after `entrant`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Web => "web",
            Self::Api => "api",
            Self::RedisProxy => "redis-proxy",
            Self::RedisProxyWait => "redis-proxy wait",
            Self::RedisProxyShutdown => "redis-proxy shutdown",
            Self::RedisGate => "redis-gate",
            Self::Emulator => "emulator",
            Self::EmulatorEnv => "emulator env",
            Self::EmulatorRun => "emulator run",
            Self::EmulatorCheck => "emulator check",
            Self::EmulatorTail => "emulator tail",
            Self::EmulatorDoctor => "emulator doctor",
            Self::Token => "token",
            Self::Doctor => "doctor",
        }
    }

    /// One line of help.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Dev => "The whole system on this machine: laptop Azure, Redis gate, protected API and web app",
            Self::Web => "The web app: sign-in, sessions in Redis, calls to the protected API, no stored secret",
            Self::Api => "The protected API: validates bearer tokens and answers with their claims",
            Self::RedisProxy => "Sidecar: plain Redis on this machine, TLS and Entra AUTH upstream",
            Self::RedisProxyWait => "Wait until the sidecar beside has started",
            Self::RedisProxyShutdown => "End the sidecar beside, as a signal would",
            Self::RedisGate => "Entra tokens and access policies in front of any Redis or Valkey",
            Self::Emulator => "The laptop Azure alone: Entra ID, IMDS and App Service endpoints on loopback",
            Self::EmulatorEnv => "Print the environment that points other people's SDKs at the emulator",
            Self::EmulatorRun => "Run a command with that environment, with an emulator of its own unless attached",
            Self::EmulatorCheck => "Say what is wrong or odd about a seed file, a sentence each",
            Self::EmulatorTail => "Show what goes over the wire at a running emulator, as it happens",
            Self::EmulatorDoctor => "Say whether SDKs started from this shell would find the emulator and trust it",
            Self::Token => "Acquire a token with any credential source, say where it came from, show its claims",
            Self::Doctor => "Check every hop and say what to change",
        }
    }
}

impl Variable {
    pub(super) const fn new(
        flag: &'static str,
        value: &'static str,
        help: &'static str,
        commands: &'static [Command],
    ) -> Self {
        Self { flag, env: &[], value, help, default: None, kind: Kind::One, commands }
    }

    pub(super) const fn env(mut self, env: &'static [&'static str]) -> Self {
        self.env = env;
        self
    }

    pub(super) const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    pub(super) const fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The key in the config file.
    pub(crate) fn key(&self) -> String {
        self.flag.replace('-', "_")
    }

    /// The environment variables that count for `command`: `PORT` means the web app where there is one.
    pub(crate) fn env_for(&self, command: Command) -> impl Iterator<Item = &'static str> {
        let two_ports = self.flag == API_PORT.flag && command != Command::Api;
        self.env.iter().copied().filter(move |name| !(two_ports && *name == "PORT"))
    }

    /// How a person would set it, for messages.
    pub(crate) fn spelled(&self) -> String {
        match (self.kind, self.env.first()) {
            (Kind::Secret, Some(env)) => (*env).to_owned(),
            (_, Some(env)) => format!("--{} or {env}", self.flag),
            (_, None) => format!("--{}", self.flag),
        }
    }
}

/// Every setting, in the order of help and reference.
pub(crate) const ALL: &[&Variable] = &[
    &CONFIG,
    &ATTACH,
    &TENANT_ID,
    &AUTHORITY_HOST,
    &OIDC_ISSUER,
    &CLIENT_ID,
    &MANAGED_IDENTITY_CLIENT_ID,
    &OBJECT_ID,
    &RESOURCE_ID,
    &SOURCE,
    &CLIENT_SECRET,
    &CLIENT_CERTIFICATE,
    &CERTIFICATE_PASSWORD,
    &FEDERATED_TOKEN_FILE,
    &IDENTITY_ENDPOINT,
    &IDENTITY_HEADER,
    &IMDS_HOST,
    &CA,
    &API_CLIENT_ID,
    &API_ENDPOINT,
    &PUBLIC_URL,
    &FEDERATED_CREDENTIAL,
    &REDIS,
    &UPSTREAM,
    &LISTEN,
    &SHARING,
    &CLUSTER,
    &MAX_CONNECTIONS,
    &MIN_DRAIN,
    &MAX_DRAIN,
    &RUN_CONNECTION_TEST,
    &LAZY_REFRESH,
    &CLIENT_PASSWORD,
    &SOCKET_MODE,
    &QUITQUITQUIT,
    &EXIT_ZERO_ON_SIGTERM,
    &MAX,
    &BACKEND,
    &ASSIGNMENTS,
    &CLUSTER_HOST,
    &CLUSTER_PORTS,
    &ERR_PREFIX,
    &ISSUER,
    &TLS_CERT,
    &TLS_KEY,
    &SCOPE,
    &JSON,
    &RAW,
    &WATCH,
    &SEED,
    &PROFILE,
    &LANG,
    &SHELL,
    &DATA_DIR,
    &REDIS_URL,
    &TIME_LAPSE,
    &WEB_PORT,
    &API_PORT,
    &ENTRA_PORT,
    &IMDS_PORT,
    &GATE_PORT,
    &PROXY_PORT,
    &ADMIN_PORT,
    &PORTS,
    &BIND,
    &ADMIN_BIND,
    &READY_FILE,
    &LOG,
    &LOG_FORMAT,
];

/// The settings of one command.
pub(crate) fn of(command: Command) -> impl Iterator<Item = &'static Variable> {
    ALL.iter().copied().filter(move |variable| variable.commands.contains(&command))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_setting_is_listed_once() {
        let flags: HashSet<_> = ALL.iter().map(|variable| variable.flag).collect();
        assert_eq!(flags.len(), ALL.len());
    }

    #[test]
    fn the_port_of_the_seeds_means_the_web_app_where_there_is_one() {
        assert!(WEB_PORT.env_for(Command::Dev).any(|name| name == "PORT"));
        assert!(!API_PORT.env_for(Command::Dev).any(|name| name == "PORT"));
        assert!(API_PORT.env_for(Command::Api).any(|name| name == "PORT"));
    }
}
