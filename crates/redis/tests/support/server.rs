//! A real redis-server with ACL users, and a token source in the test's hand. Shared with `entrant-relay`'s tests.
#![expect(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::print_stderr, reason = "a test says what it skips")]
#![expect(unreachable_pub, reason = "shared by test programs, each of which is its own crate")]

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use entrant_credential::{Outcome, Source};
use entrant_testkit::Server;
use entrant_types::{AccessToken, BoxFuture, Code, Fault, Guid, Lifetime, ObjectId, Scope, Secret, Timestamp, Whose};

/// Limit for everything that a test waits for: only a broken promise takes that long.
pub const LIMIT: Duration = Duration::from_secs(20);
pub const HOUR: Duration = Duration::from_secs(3600);

pub fn oid(owner: u8) -> ObjectId {
    ObjectId::new(Guid::from_bytes([owner; 16]))
}

/// A token of `owner`, the `number`-th, that expires then. Its signature is not one: real Redis compares text.
pub fn token(owner: u8, number: u32, received: Timestamp, expires: Timestamp) -> AccessToken {
    let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let claims = format!(r#"{{"oid":"{}","n":{number},"exp":{}}}"#, oid(owner), expires.secs());
    AccessToken {
        secret: Secret::new(format!("{}.{}.{}", part(r#"{"alg":"RS256"}"#), part(&claims), part("signature"))),
        lifetime: Lifetime { received, refresh_at: None, expires },
    }
}

/// What the identity endpoint of a test answers next.
#[derive(Debug, Default)]
pub struct Endpoint {
    answer: Mutex<Option<AccessToken>>,
    calls: Mutex<u32>,
}

impl Endpoint {
    pub fn give(&self, token: AccessToken) {
        *self.answer.lock().unwrap() = Some(token);
    }

    pub fn fail(&self) {
        *self.answer.lock().unwrap() = None;
    }

    pub fn calls(&self) -> u32 {
        *self.calls.lock().unwrap()
    }
}

impl Source for Endpoint {
    fn name(&self) -> &str {
        "test"
    }

    fn fetch<'a>(&'a self, _: &'a Scope) -> BoxFuture<'a, Outcome> {
        *self.calls.lock().unwrap() += 1;
        let answer = self.answer.lock().unwrap().clone();
        Box::pin(async move {
            match answer {
                Some(token) => Outcome::Token(token),
                None => Outcome::Failed(
                    Fault::new(Whose::Provider, "the identity endpoint does not answer", "Start it.")
                        .code(Code::Entrant("endpoint_gone")),
                ),
            }
        })
    }
}

/// A redis-server of its own on a free loopback port, killed at the end.
pub struct Redis {
    child: Child,
    pub port: u16,
}

impl Redis {
    /// `None` where redis-server is not installed (and `CI` is not set: there it must be).
    pub fn start() -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_at(port)
    }

    pub fn start_at(port: u16) -> Option<Self> {
        Self::spawn(port, &[])
    }

    /// With further arguments.
    pub fn start_with(arguments: &[String]) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::spawn(port, arguments)
    }

    /// One of the servers that tests know.
    pub fn start_server(server: Server) -> Option<Self> {
        let Some(program) = server.program() else {
            eprintln!("skipped: {server} is not installed (cargo xtask install)");
            return None;
        };
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Some(Self::spawn_program(program.as_os_str(), port, &[]))
    }

    /// On this port, with further arguments.
    pub fn start_on(port: u16, arguments: &[String]) -> Option<Self> {
        Self::spawn(port, arguments)
    }

    fn spawn(port: u16, arguments: &[String]) -> Option<Self> {
        let Some(program) = Server::Redis.program() else {
            eprintln!("skipped: redis-server is not installed (cargo xtask install)");
            return None;
        };
        Some(Self::spawn_program(program.as_os_str(), port, arguments))
    }

    #[expect(clippy::disallowed_methods, reason = "a test starts the real server")]
    fn spawn_program(program: &OsStr, port: u16, arguments: &[String]) -> Self {
        let mut child = std::process::Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
        assert!(ready, "{} did not start", program.display());
        Self { child, port }
    }

    /// Runs one command as the server's administrator.
    pub fn admin(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut reply = String::new();
        reader.read_line(&mut reply).unwrap();
        if let Some(length) = reply.strip_prefix('$').and_then(|length| length.trim().parse::<usize>().ok()) {
            let mut body = vec![0; length];
            std::io::Read::read_exact(&mut reader, &mut body).unwrap();
            return String::from_utf8(body).unwrap();
        }
        reply
    }

    /// Lets `owner` in with this token, beside earlier ones, under `access`.
    pub fn allow(&self, owner: u8, token: &AccessToken, access: &str) {
        let reply = self.admin(&format!("ACL SETUSER {} on >{} {access}", oid(owner), token.secret.expose()));
        assert_eq!(reply, "+OK\r\n");
    }

    /// Stops letting anybody in as `owner` by a token known so far; live connections stay.
    pub fn forget_tokens(&self, owner: u8) {
        assert_eq!(self.admin(&format!("ACL SETUSER {} resetpass", oid(owner))), "+OK\r\n");
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn stop(mut self) -> u16 {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.port
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
