//! A real cluster of three redis-servers on loopback ports.
#![expect(unreachable_pub, reason = "shared by test programs, each of which is its own crate")]
#![expect(clippy::disallowed_methods, reason = "a test runs other programs")]

use std::process::Command;

use super::server::{Redis, oid};

/// A node with a folder of its own, removed at the end.
pub struct Node(pub Option<Redis>, std::path::PathBuf);

impl Node {
    pub fn start() -> Option<Self> {
        // Its bus listens ten thousand ports higher.
        let port = (0..50)
            .map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port())
            .find(|port| *port < 50_000)?;
        let folder = std::env::temp_dir().join(format!("entrant-cluster-{port}"));
        std::fs::create_dir_all(&folder).unwrap();
        let words = ["--cluster-enabled", "yes", "--dir", folder.to_str().unwrap()];
        let node = Redis::start_on(port, &words.map(str::to_owned))?;
        let allowed = node.admin(&format!("ACL SETUSER {} on nopass ~* &* +@all", oid(1)));
        assert_eq!(allowed, "+OK\r\n");
        Some(Self(Some(node), folder))
    }

    pub fn port(&self) -> u16 {
        self.0.as_ref().unwrap().port
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.0 = None;
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

/// Three masters that have found one another. `None` where redis-server is not installed.
pub fn three_nodes() -> Option<[Node; 3]> {
    let nodes = [Node::start()?, Node::start()?, Node::start()?];
    let addresses = nodes.each_ref().map(|node| format!("127.0.0.1:{}", node.port()));
    let made = Command::new("redis-cli").args(["--cluster", "create"]).args(&addresses).arg("--cluster-yes").output();
    assert!(made.unwrap().status.success());
    for node in &nodes {
        while !node.0.as_ref()?.admin("CLUSTER INFO").contains("cluster_state:ok") {
            std::thread::yield_now();
        }
    }
    Some(nodes)
}
