//! A real redis-server of the test's own, on a Unix socket in a fresh directory.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use redis::aio::MultiplexedConnection;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Runs until dropped.
pub(crate) struct RedisServer {
    child: Child,
    directory: PathBuf,
}

impl RedisServer {
    /// Starts `redis-server`, which `cargo xtask test` installs.
    #[expect(clippy::disallowed_methods, reason = "the server is a process of the test, not of the product")]
    pub(crate) fn start() -> Self {
        let name = format!("entrant-web-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let child = std::process::Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(directory.join("redis.sock"))
            .current_dir(&directory)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (`cargo xtask test` does it)");
        Self { child, directory }
    }

    /// A connection, as soon as the server listens.
    pub(crate) async fn connect(&self) -> MultiplexedConnection {
        let url = format!("redis+unix://{}", self.directory.join("redis.sock").display());
        let client = redis::Client::open(url).unwrap();
        // A refused connection takes no time, so that this is a wait for the server, ended by its start or by this.
        for _ in 0..200_000 {
            if let Ok(connection) = client.get_multiplexed_async_connection().await {
                return connection;
            }
            tokio::task::yield_now().await;
        }
        panic!("redis-server did not start");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Errors mean that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
