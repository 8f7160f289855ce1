//! Settings of what is served, where, and how it is shown.

use super::Command::{
    Api, Dev, Doctor, Emulator, EmulatorDoctor, EmulatorEnv, EmulatorRun, EmulatorTail, RedisGate, RedisProxy,
    RedisProxyShutdown, RedisProxyWait, Token, Web,
};
use super::{Command, Kind, Variable};

const LONG_RUNNING: &[Command] = &[Dev, Web, Api, RedisProxy, RedisGate, Emulator];
const ADMINISTERED: &[Command] = &[Dev, Web, Api, RedisProxy, RedisProxyWait, RedisProxyShutdown, RedisGate, Emulator];
const ADMIN_ADDRESSED: &[Command] = &[Web, Api, RedisProxy, RedisProxyWait, RedisProxyShutdown, RedisGate];

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
pub(crate) const FEDERATED_CREDENTIAL: Variable = Variable::new(
    "federated-credential",
    "NAME",
    "The name of the federated credential that trusts the identity, for the page",
    &[Web],
)
.env(&["ENTRANT_FEDERATED_CREDENTIAL"]);
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
        .default("off");
pub(crate) const CLUSTER: Variable = Variable::new(
    "cluster",
    "off|public-name|announced",
    "For the OSS cluster policy: a local port for every node, dialled by the upstream's name (Azure) or as announced",
    &[RedisProxy],
)
.env(&["ENTRANT_CLUSTER"])
.default("off");
pub(crate) const MAX_CONNECTIONS: Variable =
    Variable::new("max-connections", "N", "Most clients at once; 0 for no limit but the system's", &[RedisProxy])
        .env(&["ENTRANT_MAX_CONNECTIONS"])
        .default("0");
pub(crate) const MIN_DRAIN: Variable = Variable::new(
    "min-drain",
    "SECONDS",
    "At the end still serve new clients for so long: time for a load balancer to notice",
    &[RedisProxy],
)
.env(&["ENTRANT_MIN_DRAIN"])
.default("0");
pub(crate) const MAX_DRAIN: Variable =
    Variable::new("max-drain", "SECONDS", "At the end let clients finish for so long at most", &[RedisProxy])
        .env(&["ENTRANT_MAX_DRAIN"])
        .default("10");
pub(crate) const RUN_CONNECTION_TEST: Variable = Variable::new(
    "run-connection-test",
    "",
    "Get a token, connect and authenticate once before listening, and fail if that fails",
    &[RedisProxy],
)
.env(&["ENTRANT_RUN_CONNECTION_TEST"])
.kind(Kind::Switch);
pub(crate) const LAZY_REFRESH: Variable = Variable::new(
    "lazy-refresh",
    "",
    "Get and renew tokens only while there are clients, for where the processor rests without requests",
    &[RedisProxy],
)
.env(&["ENTRANT_LAZY_REFRESH"])
.kind(Kind::Switch);
pub(crate) const CLIENT_PASSWORD: Variable = Variable::new(
    "client-password",
    "SECRET",
    "The password that programs must give the sidecar, with any user name; without it none is asked for",
    &[RedisProxy],
)
.env(&["ENTRANT_CLIENT_PASSWORD"])
.kind(Kind::Secret);
pub(crate) const SOCKET_MODE: Variable =
    Variable::new("socket-mode", "OCTAL", "Who may connect to a Unix socket, as for chmod", &[RedisProxy])
        .env(&["ENTRANT_SOCKET_MODE"])
        .default("0600");
pub(crate) const QUITQUITQUIT: Variable = Variable::new(
    "quitquitquit",
    "",
    "Let a POST to /quitquitquit on the admin listener end the sidecar, as `redis-proxy shutdown` does",
    &[RedisProxy],
)
.env(&["ENTRANT_QUITQUITQUIT"])
.kind(Kind::Switch);
pub(crate) const EXIT_ZERO_ON_SIGTERM: Variable =
    Variable::new("exit-zero-on-sigterm", "", "End with 0 in place of 143 after SIGTERM", &[RedisProxy])
        .env(&["ENTRANT_EXIT_ZERO_ON_SIGTERM"])
        .kind(Kind::Switch);
pub(crate) const MAX: Variable =
    Variable::new("max", "SECONDS", "How long to wait for the sidecar", &[RedisProxyWait]).default("30");

pub(crate) const BACKEND: Variable = Variable::new(
    "backend",
    "BACKEND",
    "The Redis behind the gate: redis://HOST:PORT, rediss://HOST:PORT for TLS, unix:PATH or embedded",
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
pub(crate) const CLUSTER_HOST: Variable = Variable::new(
    "cluster-host",
    "NAME",
    "The backend is a node of a Redis Cluster: the gate's name for clients, who find a port of it for every node",
    &[RedisGate],
)
.env(&["ENTRANT_CLUSTER_HOST"]);
pub(crate) const CLUSTER_PORTS: Variable =
    Variable::new("cluster-ports", "PORT", "The first of the nodes' ports; 0 for any that are free", &[RedisGate])
        .env(&["ENTRANT_CLUSTER_PORTS"])
        .default("8500");
pub(crate) const ERR_PREFIX: Variable =
    Variable::new("err-prefix", "", "Refuse with ERR WRONGPASS, as some managed services do", &[RedisGate])
        .kind(Kind::Switch);
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
pub(crate) const JSON: Variable =
    Variable::new("json", "", "Print JSON", &[Token, Doctor, EmulatorDoctor]).kind(Kind::Switch);
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
    &[EmulatorEnv, EmulatorRun, EmulatorDoctor],
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
    &[Dev, Emulator, EmulatorRun, EmulatorTail],
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
    Variable::new("admin-port", "PORT", "Admin listener: /startup, /readiness, /liveness, /metrics", ADMINISTERED)
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
    Variable::new("admin-bind", "ADDRESS", "The admin listener's address", ADMIN_ADDRESSED)
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
