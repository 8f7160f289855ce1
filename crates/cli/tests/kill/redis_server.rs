//! A redis-server that can be killed and started again on its port.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process::{eventually, installed};

/// A redis-server without persistence.
pub(crate) struct RedisServer {
    child: Child,
    pub(crate) port: u16,
}

impl RedisServer {
    /// `None` where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
        Some(Self { child: spawn(port)?, port })
    }

    /// Killed without a word.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} was not sent");
    }

    /// Started again, empty, on the same port.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.port).expect("it was there before");
    }
}

fn spawn(port: u16) -> Option<Child> {
    let program = installed("redis-server")?;
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(["--maxclients", "20000"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("redis-server starts");
    let up = eventually(Duration::from_secs(20), || TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert!(up, "redis-server does not listen");
    Some(child)
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
