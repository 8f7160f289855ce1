//! The traits of the outside world: HTTP, environment, files and processes, each handed in as a value.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::entropy::Entropy;
use crate::secret::Secret;
use crate::time::Clock;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Everything that a part may use of the world. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Outside {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// HTTP requests.
    pub http: Arc<dyn HttpTransport>,
    /// Environment variables.
    pub env: Arc<dyn Env>,
    /// Files.
    pub files: Arc<dyn Files>,
    /// Processes.
    pub commands: Arc<dyn Commands>,
}

/// An HTTP method, of those that the protocols here use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
}

/// One outgoing request. Redirects are never followed.
#[derive(Clone)]
pub struct HttpRequest {
    /// GET or POST.
    pub method: Method,
    /// Absolute `http` or `https` URL.
    pub url: String,
    /// Header names in lower case, with values.
    pub headers: Vec<(String, String)>,
    /// The body; empty for GET. Secret, since token requests carry codes and assertions.
    pub body: Secret,
    /// Limit for the whole exchange, connection included.
    pub timeout: Duration,
    /// Limit for the reply's body in bytes.
    pub max_reply_bytes: usize,
}

impl HttpRequest {
    /// 1 MiB: token replies and key sets are under 100 KiB.
    pub const DEFAULT_MAX_REPLY_BYTES: usize = 1 << 20;
    /// 10 s: long enough for a slow token endpoint, short enough for a person who waits for a page.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// A GET with the default limits.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::Get,
            url: url.into(),
            headers: Vec::new(),
            body: Secret::new(String::new()),
            timeout: Self::DEFAULT_TIMEOUT,
            max_reply_bytes: Self::DEFAULT_MAX_REPLY_BYTES,
        }
    }

    /// A form POST (`application/x-www-form-urlencoded`) with the default limits.
    #[must_use]
    pub fn post_form(url: impl Into<String>, body: Secret) -> Self {
        let mut request = Self::get(url).header("content-type", "application/x-www-form-urlencoded");
        request.method = Method::Post;
        request.body = body;
        request
    }

    /// The same request with one more header. `name` in lower case.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same request with another limit for the whole exchange.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// Shows method and URL up to the query; headers by name only.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.url.split(['?', '#']).next().unwrap_or_default();
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &shown)
            .field("headers", &self.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>())
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// A reply, whole.
#[derive(Clone)]
pub struct HttpReply {
    /// Status code.
    pub status: u16,
    /// Header names in lower case, with values; values that are not UTF-8 are left out.
    pub headers: Vec<(String, String)>,
    /// The body, at most the request's limit.
    pub body: Vec<u8>,
}

impl HttpReply {
    /// The first value of a header. `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// Shows status and sizes only: bodies hold tokens.
impl fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpReply {{ status: {}, body: {} bytes }}", self.status, self.body.len())
    }
}

/// Why no reply came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The URL cannot be used: not absolute, not http(s), or refused by policy (a non-loopback address in
    /// emulator mode). The text says which.
    Refused(String),
    /// No connection: name not found, refused, unreachable.
    Connect(String),
    /// The server's certificate is not trusted. Trying again cannot help.
    TlsUntrusted(String),
    /// Another TLS or HTTP protocol failure.
    Protocol(String),
    /// The time limit passed.
    Timeout(Duration),
    /// The reply is larger than the limit.
    TooLarge(usize),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) => write!(f, "refused: {text}"),
            Self::Connect(text) => write!(f, "no connection: {text}"),
            Self::TlsUntrusted(text) => write!(f, "the server's certificate is not trusted: {text}"),
            Self::Protocol(text) => write!(f, "protocol error: {text}"),
            Self::Timeout(limit) => write!(f, "no reply within {} ms", limit.as_millis()),
            Self::TooLarge(limit) => write!(f, "reply larger than {limit} bytes"),
        }
    }
}

impl std::error::Error for HttpError {}

/// Sends HTTP requests. Implementations keep connections and one parsed root store for their whole life,
/// never follow redirects and never use a proxy for a managed-identity endpoint.
pub trait HttpTransport: fmt::Debug + Send + Sync {
    /// Sends one request and collects the reply within its limits.
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpReply, HttpError>>;
}

/// Reads environment variables.
pub trait Env: fmt::Debug + Send + Sync {
    /// The value, if set, not empty and valid UTF-8.
    fn get(&self, name: &str) -> Option<String>;
}

/// Reads files.
pub trait Files: fmt::Debug + Send + Sync {
    /// Reads a whole file of at most `max_bytes`; the error is a sentence that names the file.
    fn read<'a>(&'a self, path: &'a Path, max_bytes: usize) -> BoxFuture<'a, Result<Vec<u8>, String>>;

    /// What identifies a regular file's place: its canonical path. Used to keep a read inside a directory.
    fn canonical<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, Result<PathBuf, String>>;
}

/// What a finished command printed.
#[derive(Clone, Debug)]
pub struct CommandOutput {
    /// The exit code; `None` when killed.
    pub code: Option<i32>,
    /// Standard output; secret, since `az account get-access-token` prints the token.
    pub stdout: Secret,
    /// Standard error.
    pub stderr: String,
}

/// Why a command gave no output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// No such program on the PATH.
    NotFound,
    /// It did not end within the limit and was killed.
    Timeout(Duration),
    /// It could not be run or read.
    Failed(String),
}

/// Runs other programs, without a shell.
pub trait Commands: fmt::Debug + Send + Sync {
    /// Runs `program` with `args`, waits at most `limit`, kills it then.
    fn run<'a>(
        &'a self,
        program: &'a str,
        args: &'a [&'a str],
        limit: Duration,
    ) -> BoxFuture<'a, Result<CommandOutput, CommandError>>;
}
