//! Every setting, once, as data: flag, environment, config-file key, default, help. Help texts and
//! `docs/reference/configuration.md` are made from here.

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
    RedisGate,
    Emulator,
    EmulatorEnv,
    EmulatorRun,
    Token,
    Doctor,
}

impl Command {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Dev,
        Self::Web,
        Self::Api,
        Self::RedisProxy,
        Self::RedisGate,
        Self::Emulator,
        Self::EmulatorEnv,
        Self::EmulatorRun,
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
            Self::RedisGate => "redis-gate",
            Self::Emulator => "emulator",
            Self::EmulatorEnv => "emulator env",
            Self::EmulatorRun => "emulator run",
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
            Self::RedisGate => "Entra tokens and access policies in front of any Redis or Valkey",
            Self::Emulator => "The laptop Azure alone: Entra ID, IMDS and App Service endpoints on loopback",
            Self::EmulatorEnv => "Print the environment that points other people's SDKs at the emulator",
            Self::EmulatorRun => "Run a command with that environment, with an emulator of its own unless attached",
            Self::Token => "Acquire a token with any credential source, say where it came from, show its claims",
            Self::Doctor => "Check every hop and say what to change",
        }
    }
}

use Command::{Api, Dev, Doctor, Emulator, EmulatorEnv, EmulatorRun, RedisGate, RedisProxy, Token, Web};

const LONG_RUNNING: &[Command] = &[Dev, Web, Api, RedisProxy, RedisGate, Emulator];
const ATTACHABLE: &[Command] = &[Web, Api, RedisProxy, RedisGate, EmulatorEnv, EmulatorRun, Token, Doctor];
const NETWORKED: &[Command] = &[Web, Api, RedisProxy, RedisGate, Token, Doctor];
const CREDENTIALS: &[Command] = &[Web, RedisProxy, Token, Doctor];

impl Variable {
    const fn new(flag: &'static str, value: &'static str, help: &'static str, commands: &'static [Command]) -> Self {
        Self { flag, env: &[], value, help, default: None, kind: Kind::One, commands }
    }

    const fn env(mut self, env: &'static [&'static str]) -> Self {
        self.env = env;
        self
    }

    const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    const fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The key in the config file.
    pub(crate) fn key(&self) -> String {
        self.flag.replace('-', "_")
    }

    /// The environment variables that count for `command`: `PORT` means the web app where there is one.
    pub(crate) fn env_for(&self, command: Command) -> impl Iterator<Item = &'static str> {
        let two_ports = self.flag == API_PORT.flag && command != Api;
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

pub(crate) const CONFIG: Variable =
    Variable::new("config", "FILE", "TOML file with any of these settings, keys with underscores", Command::ALL)
        .env(&["ENTRANT_CONFIG"])
        .kind(Kind::Place);
pub(crate) const ATTACH: Variable = Variable::new(
    "attach",
    "READY-FILE",
    "Take every value from the ready file of a running command; may be given several times; other flags still count",
    ATTACHABLE,
)
.env(&["ENTRANT_ATTACH"])
.kind(Kind::Place);

pub(crate) const TENANT_ID: Variable =
    Variable::new("tenant-id", "GUID", "The directory (tenant) id", NETWORKED).env(&["TENANT_ID", "AZURE_TENANT_ID"]);
pub(crate) const AUTHORITY_HOST: Variable =
    Variable::new("authority-host", "URL", "Where Entra ID is; a loopback URL means the emulator", NETWORKED)
        .env(&["AZURE_AUTHORITY_HOST"])
        .default("https://login.microsoftonline.com");
pub(crate) const CLIENT_ID: Variable = Variable::new(
    "client-id",
    "GUID",
    "The app registration's client id; for the source managed-identity of `token` and `redis-proxy` the identity's",
    CREDENTIALS,
)
.env(&["CLIENT_ID", "AZURE_CLIENT_ID"]);
pub(crate) const MANAGED_IDENTITY_CLIENT_ID: Variable = Variable::new(
    "managed-identity-client-id",
    "GUID",
    "The user-assigned identity's client id; without it the system-assigned identity is used",
    CREDENTIALS,
)
.env(&["MANAGED_IDENTITY_CLIENT_ID"]);
pub(crate) const OBJECT_ID: Variable =
    Variable::new("object-id", "GUID", "The user-assigned identity's object (principal) id", CREDENTIALS)
        .env(&["ENTRANT_OBJECT_ID"]);
pub(crate) const RESOURCE_ID: Variable =
    Variable::new("resource-id", "ID", "The user-assigned identity's Azure resource id", CREDENTIALS)
        .env(&["ENTRANT_RESOURCE_ID"]);
pub(crate) const SOURCE: Variable = Variable::new(
    "source",
    "SOURCE",
    "Where tokens come from: managed-identity, workload-identity, federated, client-secret, client-certificate, \
     azure-cli or chain",
    CREDENTIALS,
)
.env(&["ENTRANT_SOURCE"]);
pub(crate) const CLIENT_SECRET: Variable = Variable::new(
    "client-secret",
    "SECRET",
    "A client secret, for the source client-secret; the passwordless path needs none",
    CREDENTIALS,
)
.env(&["CLIENT_SECRET", "AZURE_CLIENT_SECRET"])
.kind(Kind::Secret);
pub(crate) const CLIENT_CERTIFICATE: Variable = Variable::new(
    "client-certificate",
    "FILE",
    "PEM or PFX file with certificate and private key, for the source client-certificate",
    CREDENTIALS,
)
.env(&["AZURE_CLIENT_CERTIFICATE_PATH"]);
pub(crate) const CERTIFICATE_PASSWORD: Variable = Variable::new(
    "client-certificate-password",
    "SECRET",
    "The password of that file, when it is a PFX file",
    CREDENTIALS,
)
.env(&["AZURE_CLIENT_CERTIFICATE_PASSWORD"])
.kind(Kind::Secret);
pub(crate) const FEDERATED_TOKEN_FILE: Variable =
    Variable::new("federated-token-file", "FILE", "The projected token, for the source workload-identity", CREDENTIALS)
        .env(&["AZURE_FEDERATED_TOKEN_FILE"]);
pub(crate) const IDENTITY_ENDPOINT: Variable =
    Variable::new("identity-endpoint", "URL", "The App Service identity endpoint; the platform sets it", CREDENTIALS)
        .env(&["IDENTITY_ENDPOINT"]);
pub(crate) const IDENTITY_HEADER: Variable = Variable::new(
    "identity-header",
    "SECRET",
    "What the App Service identity endpoint wants in X-IDENTITY-HEADER; the platform sets it",
    CREDENTIALS,
)
.env(&["IDENTITY_HEADER"])
.kind(Kind::Secret);
pub(crate) const IMDS_HOST: Variable =
    Variable::new("imds-host", "URL", "Base URL of the instance metadata service", CREDENTIALS)
        .env(&["AZURE_POD_IDENTITY_AUTHORITY_HOST"])
        .default("http://169.254.169.254");
pub(crate) const CA: Variable =
    Variable::new("ca", "FILE", "PEM file with the only CA certificates to trust, in place of the system's", NETWORKED)
        .env(&["ENTRANT_CA", "SSL_CERT_FILE"]);

pub(crate) const API_CLIENT_ID: Variable =
    Variable::new("api-client-id", "GUID", "The protected API's client id", &[Web, Api, Doctor])
        .env(&["API_CLIENT_ID"]);
pub(crate) const API_ENDPOINT: Variable =
    Variable::new("api-endpoint", "URL", "Base URL of the protected API", &[Web, Doctor])
        .env(&["API_ENDPOINT"])
        .default("http://localhost:5001");
pub(crate) const PUBLIC_URL: Variable = Variable::new(
    "public-url",
    "URL",
    "The web app's address in browsers; the redirect URI is this and /getAToken (default: http://localhost:PORT)",
    &[Web, Doctor],
)
.env(&["ENTRANT_PUBLIC_URL"]);
pub(crate) const REDIS: Variable = Variable::new(
    "redis",
    "HOST:PORT",
    "The Redis (or gate) for sessions, TLS and Entra AUTH; without it sessions live in this process",
    &[Web, Doctor],
)
.env(&["ENTRANT_REDIS", "REDIS_HOST"]);

pub(crate) const UPSTREAM: Variable =
    Variable::new("upstream", "HOST:PORT", "The Redis that takes Entra tokens", &[RedisProxy])
        .env(&["ENTRANT_UPSTREAM"]);
pub(crate) const LISTEN: Variable = Variable::new(
    "listen",
    "ADDRESS",
    "Where programs connect: 127.0.0.1:PORT or unix:PATH (default: 127.0.0.1 and --proxy-port)",
    &[RedisProxy],
)
.env(&["ENTRANT_LISTEN"]);
pub(crate) const SHARING: Variable =
    Variable::new("sharing", "on|off", "Let clients share upstream connections where Redis allows it", &[RedisProxy])
        .env(&["ENTRANT_SHARING"])
        .default("on");

pub(crate) const BACKEND: Variable = Variable::new(
    "backend",
    "BACKEND",
    "The Redis behind the gate: redis://HOST:PORT, unix:PATH or embedded",
    &[RedisGate],
)
.env(&["ENTRANT_BACKEND"])
.default("embedded");
pub(crate) const ASSIGNMENTS: Variable = Variable::new(
    "assignments",
    "FILE",
    "TOML file with access policy assignments by object id; read again when it changes",
    &[RedisGate],
)
.env(&["ENTRANT_ASSIGNMENTS"]);
pub(crate) const ISSUER: Variable =
    Variable::new("issuer", "URL", "An issuer whose tokens are accepted (default: those of the tenant)", &[RedisGate])
        .env(&["ENTRANT_ISSUER"])
        .kind(Kind::Many);
pub(crate) const TLS_CERT: Variable =
    Variable::new("tls-cert", "FILE", "PEM certificate chain of the gate, leaf first", &[RedisGate])
        .env(&["ENTRANT_TLS_CERT"]);
pub(crate) const TLS_KEY: Variable =
    Variable::new("tls-key", "FILE", "PEM private key of that certificate", &[RedisGate]).env(&["ENTRANT_TLS_KEY"]);

pub(crate) const SCOPE: Variable =
    Variable::new("scope", "SCOPE", "What the token is for, such as https://redis.azure.com/.default", &[Token])
        .env(&["ENTRANT_SCOPE"])
        .default("https://redis.azure.com/.default");
pub(crate) const JSON: Variable = Variable::new("json", "", "Print JSON", &[Token, Doctor]).kind(Kind::Switch);
pub(crate) const RAW: Variable = Variable::new("raw", "", "Print the token itself", &[Token]).kind(Kind::Switch);
pub(crate) const WATCH: Variable =
    Variable::new("watch", "", "Stay and show every renewal", &[Token]).kind(Kind::Switch);

pub(crate) const SEED: Variable = Variable::new(
    "seed",
    "FILE",
    "TOML file with tenants, apps, people and identities in place of the built-in ones",
    &[Dev, Emulator, EmulatorRun],
)
.env(&["ENTRANT_SEED"]);
pub(crate) const PROFILE: Variable = Variable::new(
    "profile",
    "PROFILE",
    "Which environment: app-service, imds, workload or service-principal",
    &[EmulatorEnv, EmulatorRun],
)
.default("app-service");
pub(crate) const LANG: Variable = Variable::new(
    "lang",
    "LANGUAGE",
    "For which language's SDK: any, python, node, java, dotnet, go or rust",
    &[EmulatorEnv, EmulatorRun],
)
.default("any");
pub(crate) const SHELL: Variable =
    Variable::new("shell", "SHELL", "How to print it: sh, fish, powershell or dotenv", &[EmulatorEnv]).default("sh");
pub(crate) const DATA_DIR: Variable = Variable::new(
    "data-dir",
    "DIR",
    "Where keys and state are kept (default: a private folder in the temporary directory)",
    &[Dev, Emulator, EmulatorRun],
)
.env(&["ENTRANT_DATA_DIR"]);
pub(crate) const REDIS_URL: Variable = Variable::new(
    "redis-url",
    "URL",
    "A Redis of one's own behind the gate: redis://HOST:PORT or unix:PATH (default: one on the PATH, else embedded)",
    &[Dev],
)
.env(&["ENTRANT_REDIS_URL"]);
pub(crate) const TIME_LAPSE: Variable = Variable::new(
    "time-lapse",
    "RATE",
    "Run the clock this many times faster; the time_lapse value of a ready file shares another process's clock",
    &[Dev, Web, Api, RedisProxy, RedisGate, Emulator, EmulatorRun, Token, Doctor],
)
.env(&["ENTRANT_TIME_LAPSE"]);

pub(crate) const WEB_PORT: Variable =
    Variable::new("web-port", "PORT", "Web app (http)", &[Dev, Web]).env(&["ENTRANT_WEB_PORT", "PORT"]).default("5000");
pub(crate) const API_PORT: Variable = Variable::new("api-port", "PORT", "Protected API (http)", &[Dev, Api])
    .env(&["ENTRANT_API_PORT", "PORT"])
    .default("5001");
pub(crate) const ENTRA_PORT: Variable =
    Variable::new("entra-port", "PORT", "Emulated Entra ID (https)", &[Dev, Emulator, EmulatorRun])
        .env(&["ENTRANT_ENTRA_PORT"])
        .default("8443");
pub(crate) const IMDS_PORT: Variable = Variable::new(
    "imds-port",
    "PORT",
    "Emulated managed identity, sign-in page and console (http)",
    &[Dev, Emulator, EmulatorRun],
)
.env(&["ENTRANT_IMDS_PORT"])
.default("8480");
pub(crate) const GATE_PORT: Variable = Variable::new("gate-port", "PORT", "Redis gate (TLS)", &[Dev, RedisGate])
    .env(&["ENTRANT_GATE_PORT"])
    .default("10000");
pub(crate) const PROXY_PORT: Variable = Variable::new("proxy-port", "PORT", "Redis sidecar (plain)", &[RedisProxy])
    .env(&["ENTRANT_PROXY_PORT"])
    .default("6380");
pub(crate) const ADMIN_PORT: Variable =
    Variable::new("admin-port", "PORT", "Admin listener: /startup, /readiness, /liveness, /metrics", LONG_RUNNING)
        .env(&["ENTRANT_ADMIN_PORT"])
        .default("9091");
pub(crate) const PORTS: Variable = Variable::new(
    "ports",
    "auto|fixed",
    "auto: the system picks free ports, but for those given by name",
    &[Dev, Web, Api, RedisProxy, RedisGate, Emulator, EmulatorRun],
)
.env(&["ENTRANT_PORTS"])
.default("fixed");
pub(crate) const BIND: Variable =
    Variable::new("bind", "ADDRESS", "The address to listen on; 0.0.0.0 in a container", &[Web, Api, RedisGate])
        .env(&["ENTRANT_BIND"])
        .default("127.0.0.1");
pub(crate) const ADMIN_BIND: Variable =
    Variable::new("admin-bind", "ADDRESS", "The admin listener's address", &[Web, Api, RedisProxy, RedisGate])
        .env(&["ENTRANT_ADMIN_BIND"])
        .default("127.0.0.1");
pub(crate) const READY_FILE: Variable = Variable::new(
    "ready-file",
    "PATH",
    "Written when ready: one JSON object with every URL, port, path and id",
    LONG_RUNNING,
)
.env(&["ENTRANT_READY_FILE"]);
pub(crate) const LOG: Variable = Variable::new(
    "log",
    "FILTER",
    "Log filter, such as debug or entrant_relay=debug (default: info, or warn for commands that end by themselves)",
    Command::ALL,
)
.env(&["ENTRANT_LOG", "RUST_LOG"]);
pub(crate) const LOG_FORMAT: Variable =
    Variable::new("log-format", "human|json", "How log lines look (on standard error)", Command::ALL)
        .env(&["ENTRANT_LOG_FORMAT"])
        .default("human");

/// Every setting, in the order of help and reference.
pub(crate) const ALL: &[&Variable] = &[
    &CONFIG,
    &ATTACH,
    &TENANT_ID,
    &AUTHORITY_HOST,
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
    &REDIS,
    &UPSTREAM,
    &LISTEN,
    &SHARING,
    &BACKEND,
    &ASSIGNMENTS,
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
        assert!(WEB_PORT.env_for(Dev).any(|name| name == "PORT"));
        assert!(!API_PORT.env_for(Dev).any(|name| name == "PORT"));
        assert!(API_PORT.env_for(Api).any(|name| name == "PORT"));
    }
}
