//! A cluster of real redis-servers: redirections, moves and new nodes, on tokens that change all the time.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

#[expect(dead_code, reason = "the harness of all connection tests")]
mod support;

use std::time::Duration;

use entrant_redis::{ClusterConnection, NodeAddress, RedisConfig};
use redis::AsyncCommands as _;
use support::Scene;
use support::server::{LIMIT, Redis, oid};

const ALL: &str = "~* &* +@all";

/// Three nodes with a third of the slots each, and a fourth without any.
struct Cluster {
    nodes: Vec<Redis>,
    _folders: Folders,
}

/// Removed at the end.
#[derive(Default)]
struct Folders(Vec<std::path::PathBuf>);

impl Drop for Folders {
    fn drop(&mut self) {
        self.0.iter().for_each(|folder| drop(std::fs::remove_dir_all(folder)));
    }
}

impl Cluster {
    fn start() -> Option<Self> {
        let mut nodes = Vec::new();
        let mut folders = Folders::default();
        for _ in 0..4 {
            let port = free_port();
            // Nodes keep what they know of the cluster in a file.
            let folder = std::env::temp_dir().join(format!("entrant-cluster-{port}"));
            std::fs::create_dir_all(&folder).unwrap();
            let mut arguments: Vec<String> = ["--cluster-enabled", "yes", "--dir"].map(String::from).into();
            arguments.push(folder.to_string_lossy().into_owned());
            folders.0.push(folder);
            arguments.extend(["--cluster-announce-ip".to_owned(), "127.0.0.1".to_owned()]);
            nodes.push(Redis::start_on(port, &arguments)?);
        }
        let cluster = Self { nodes, _folders: folders };
        for (node, slots) in cluster.nodes.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            assert_eq!(node.admin(&format!("CLUSTER ADDSLOTSRANGE {slots}")), "+OK\r\n");
        }
        for node in &cluster.nodes[1..] {
            assert_eq!(node.admin(&format!("CLUSTER MEET 127.0.0.1 {}", cluster.nodes[0].port)), "+OK\r\n");
        }
        for node in &cluster.nodes {
            let knows = |text: &str| text.contains("cluster_state:ok") && text.contains("cluster_known_nodes:4");
            while !knows(&node.admin("CLUSTER INFO")) {
                std::thread::yield_now();
            }
        }
        Some(cluster)
    }

    fn id(&self, node: usize) -> String {
        self.nodes[node].admin("CLUSTER MYID").trim().to_owned()
    }

    /// A slot's way to another node begins: its keys are asked for at both.
    fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let ok = |node: &Redis, line: &str| assert_eq!(node.admin(line), "+OK\r\n", "{line}");
        ok(&self.nodes[to], &format!("CLUSTER SETSLOT {slot} IMPORTING {}", self.id(from)));
        ok(&self.nodes[from], &format!("CLUSTER SETSLOT {slot} MIGRATING {}", self.id(to)));
    }

    fn end_move(&self, slot: u16, from: usize, to: usize) {
        for node in [to, from] {
            let line = format!("CLUSTER SETSLOT {slot} NODE {}", self.id(to));
            assert_eq!(self.nodes[node].admin(&line), "+OK\r\n");
        }
    }
}

/// A port whose neighbour 10,000 higher, which the cluster's bus takes, is free as well.
fn free_port() -> u16 {
    loop {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if port < 55_000 && std::net::TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

fn connect(scene: &mut Scene, cluster: &Cluster, nodes: NodeAddress) -> ClusterConnection {
    let mut config = RedisConfig::new("localhost", cluster.nodes[0].port, None);
    config.nodes = nodes;
    let (connection, driver) = ClusterConnection::new(config, scene.keeper.clone(), &scene.stage.outside());
    scene.tasks.spawn(driver.run());
    connection
}

fn slot_of(cluster: &Cluster, key: &str) -> u16 {
    cluster.nodes[0].admin(&format!("CLUSTER KEYSLOT {key}")).trim_start_matches(':').trim().parse().unwrap()
}

fn give(scene: &Scene, cluster: &Cluster, number: u32) {
    let token = scene.token(1, number);
    cluster.nodes.iter().for_each(|node| node.allow(1, &token, ALL));
    scene.endpoint.give(token);
}

#[tokio::test]
async fn case_17_and_18_library_keys_are_found_wherever_they_move_and_every_node_gets_every_token() {
    let Some(cluster) = Cluster::start() else { return };
    let mut scene = Scene::new();
    give(&scene, &cluster, 1);
    let mut redis = connect(&mut scene, &cluster, NodeAddress::PublicName);
    redis.ready().await.unwrap();
    for number in 0..200_i64 {
        let () = redis.set(format!("key:{number}"), number).await.unwrap();
    }
    let slot = slot_of(&cluster, "key:7");
    let from = (0..3).find(|node| cluster.nodes[*node].admin("GET key:7").starts_with('7')).unwrap();

    // Half moved: a key that is gone is asked for at the new node, which has no connection yet.
    cluster.begin_move(slot, from, 3);
    let to = cluster.nodes[3].port;
    assert_eq!(cluster.nodes[from].admin(&format!("MIGRATE 127.0.0.1 {to} key:7 0 5000")), "+OK\r\n");
    assert_eq!(redis.get::<_, i64>("key:7").await.unwrap(), 7);
    assert_eq!(redis.incr::<_, _, i64>("key:7", 1).await.unwrap(), 8);
    cluster.end_move(slot, from, 3);
    assert_eq!(redis.get::<_, i64>("key:7").await.unwrap(), 8);
    let mut transaction = redis::pipe();
    transaction.atomic().incr("key:7", 1).ignore().get("key:7");
    assert_eq!(transaction.query_async::<(i64,)>(&mut redis).await, Ok((9,)));

    // A new token reaches every node, the new one included, and the old one is of no use any more.
    cluster.nodes.iter().for_each(|node| node.forget_tokens(1));
    give(&scene, &cluster, 2);
    scene.keeper.refresh_now();
    scene.stage.clock.run_for(Duration::from_secs(5)).await;
    let renewed = async {
        while redis.status().iter().filter(|status| status.reauths == 1).count() < 4 {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(LIMIT, renewed).await.is_ok(), "{:?}", redis.status());
    for number in 0..200_i64 {
        let expected = if number == 7 { 9 } else { number };
        assert_eq!(redis.get::<_, i64>(format!("key:{number}")).await.unwrap(), expected);
    }
    assert!(redis.status().iter().all(|status| status.drops == 0 && status.object_id == Some(oid(1))));
    assert!(
        redis.status().iter().all(|status| status.server.starts_with("localhost:")),
        "the public name, not what they say"
    );
}

#[tokio::test]
async fn commands_over_several_slots_and_pipelines_come_back_in_order() {
    let Some(cluster) = Cluster::start() else { return };
    let mut scene = Scene::new();
    give(&scene, &cluster, 1);
    let mut redis = connect(&mut scene, &cluster, NodeAddress::Announced);
    let pairs: Vec<(String, i64)> = (0..50).map(|number| (format!("k{number}"), number)).collect();
    let () = redis.mset(&pairs).await.unwrap();
    let keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    let expected: Vec<i64> = (0..50).collect();
    assert_eq!(redis.mget::<_, Vec<i64>>(&keys).await.unwrap(), expected);
    let mut pipeline = redis::pipe();
    keys.iter().for_each(|key| {
        pipeline.get(*key);
    });
    pipeline.cmd("DBSIZE");
    let replies: Vec<i64> = pipeline.query_async(&mut redis).await.unwrap();
    assert_eq!((&replies[..50], replies[50]), (&expected[..], 50));
    assert_eq!(redis.exists::<_, i64>(&keys).await.unwrap(), 50);
    let mut load = redis::cmd("SCRIPT");
    load.arg("LOAD").arg("return redis.call('GET', KEYS[1])");
    let hash: String = load.query_async(&mut redis).await.unwrap();
    for number in 0..9_i64 {
        let mut script = redis::cmd("EVALSHA");
        script.arg(&hash).arg(1).arg(format!("k{number}"));
        assert_eq!(script.query_async::<i64>(&mut redis).await.unwrap(), number);
    }
    let across = redis::pipe().atomic().get("k1").get("k2").query_async::<(i64, i64)>(&mut redis).await;
    assert!(across.unwrap_err().to_string().contains("several slots"));
    assert_eq!(redis.del::<_, i64>(&keys).await.unwrap(), 50);
}

#[tokio::test]
async fn a_server_that_is_no_cluster_is_named_as_such() {
    let Some(server) = Redis::start() else { return };
    let mut scene = Scene::new();
    let token = scene.token(1, 1);
    server.allow(1, &token, ALL);
    scene.endpoint.give(token);
    let config = RedisConfig::new("127.0.0.1", server.port, None);
    let (redis, driver) = ClusterConnection::new(config, scene.keeper.clone(), &scene.stage.outside());
    scene.tasks.spawn(driver.run());
    let fault = redis.ready().await.unwrap_err();
    assert!(fault.to_string().contains("cluster"), "{fault}");
}
