//! A real redis-server on a private socket, and a client that sees replies as they are.
#![expect(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    reason = "shared by test files, each of which uses its part"
)]
#![expect(clippy::disallowed_methods, reason = "a test starts the real server and asks whether it is CI")]

pub mod gate;

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use entrant_proto::resp::{Value, encode_command};
use entrant_testkit::{SeededEntropy, Server};
use entrant_types::{Clock, Outside};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

/// How long a test waits for something that must happen.
pub const SOON: Duration = Duration::from_secs(20);

/// A redis-server that ends with the test.
pub struct RedisServer {
    child: Child,
    directory: PathBuf,
}

impl RedisServer {
    /// Starts the redis-server of the PATH. Without one the test is skipped, which CI does not allow.
    pub async fn start() -> Option<Self> {
        Self::start_server(Server::Redis).await
    }

    /// Starts one of the servers that tests know. Without it the test is skipped, which CI does not allow.
    pub async fn start_server(server: Server) -> Option<Self> {
        let Some(program) = server.program() else {
            eprintln!("skipped: {server} is not installed (cargo xtask install)");
            return None;
        };
        Self::start_program(program.to_str()?, &[]).await
    }

    /// Starts every server that tests know.
    pub async fn start_all() -> Vec<Self> {
        let mut started = Vec::new();
        for server in Server::ALL {
            started.extend(Self::start_server(server).await);
        }
        started
    }

    pub async fn start_program(program: &str, extra: &[&str]) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("entrant-relay-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&directory).unwrap();
        let spawned = Command::new(program)
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no", "--unixsocket"])
            .arg(directory.join("s"))
            .arg("--dir")
            .arg(&directory)
            .args(extra)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) => {
                std::fs::remove_dir_all(&directory).unwrap();
                assert!(std::env::var("CI").is_err(), "{program} cannot be started: {error}");
                eprintln!("skipped: {program} is not installed (Debian: apt-get install redis-server)");
                return None;
            }
        };
        let server = Self { child, directory };
        for _ in 0..1000 {
            if UnixStream::connect(server.socket()).await.is_ok() {
                return Some(server);
            }
            tokio::time::timeout(Duration::from_millis(10), std::future::pending::<()>()).await.unwrap_err();
        }
        panic!("{program} did not open its socket");
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.join("s")
    }

    pub async fn wire(&self) -> Wire {
        Wire::new(UnixStream::connect(self.socket()).await.unwrap())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(Path::new(&self.directory)).ok();
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A client of bytes.
pub struct Wire {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
}

impl Wire {
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: BytesMut::new() }
    }

    pub async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        let mut out = BytesMut::new();
        encode_command(&mut out, args);
        self.send_raw(&out).await;
    }

    /// Sends what the server may refuse before it has read it all.
    pub async fn send_into_refusal<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        let mut out = BytesMut::new();
        encode_command(&mut out, args);
        self.send_raw_into_refusal(&out).await;
    }

    pub async fn send_raw_into_refusal(&mut self, bytes: &[u8]) {
        // The server may have hung up; its reply says why.
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// The next reply or push; `None`: the server closed the connection.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((value, taken)) = Value::parse(&self.buffer).unwrap() {
                drop(self.buffer.split_to(taken));
                return Some(value);
            }
            let read = tokio::time::timeout(SOON, self.stream.read_buf(&mut self.buffer));
            match read.await.expect("a reply in time") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub async fn read(&mut self) -> Value {
        self.next().await.expect("a reply, not the end of the connection")
    }

    /// Sends one command and reads one reply.
    pub async fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        self.send(args).await;
        self.read().await
    }

    /// The same, with the command as words.
    pub async fn say(&mut self, line: &str) -> Value {
        self.call(&words(line)).await
    }

    /// Says that nothing more comes, and reads what is left.
    pub async fn rest(&mut self) -> Vec<Value> {
        // The server may have hung up already.
        let _ = self.stream.shutdown().await;
        let mut values = Vec::new();
        while let Some(value) = self.next().await {
            values.push(value);
        }
        values
    }

    /// Waits until the server closes the connection.
    pub async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }
}

pub fn words(line: &str) -> Vec<Vec<u8>> {
    entrant_proto::resp::split_inline(line.as_bytes()).unwrap()
}

/// The text of a reply, errors with `-` in front.
pub fn text(value: &Value) -> String {
    match value {
        Value::Error(text) => format!("-{}", String::from_utf8_lossy(text)),
        Value::Integer(number) => number.to_string(),
        Value::Null => "(nil)".to_owned(),
        other => String::from_utf8_lossy(other.text().unwrap_or(b"(aggregate)")).into_owned(),
    }
}

/// A reply as one readable line.
pub fn show(value: &Value) -> String {
    let list = |values: &[Value]| values.iter().map(show).collect::<Vec<_>>().join(", ");
    match value {
        Value::Array(values) => format!("[{}]", list(values)),
        Value::Set(values) => format!("~[{}]", list(values)),
        Value::Push(values) => format!(">[{}]", list(values)),
        Value::Map(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{}: {}", show(key), show(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::Simple(text) => format!("+{}", String::from_utf8_lossy(text)),
        Value::Bulk(text) => format!("{:?}", String::from_utf8_lossy(text)),
        Value::Verbatim(_, text) => format!("={:?}", String::from_utf8_lossy(text)),
        Value::Double(text) => format!(",{}", String::from_utf8_lossy(text)),
        Value::Boolean(own) => own.to_string(),
        other => text(other),
    }
}

/// An outside whose clock is given and whose rest is a stage's.
pub fn outside_with(clock: Arc<dyn Clock>) -> Outside {
    let mut outside = entrant_testkit::Stage::new().outside();
    outside.clock = clock;
    outside.entropy = Arc::new(SeededEntropy::new(7));
    outside
}

/// The machine's own time: what a real redis-server lives by.
pub fn real_time() -> Outside {
    outside_with(Arc::new(entrant_host::SystemClock))
}
