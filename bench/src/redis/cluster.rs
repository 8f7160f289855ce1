//! A cluster of real nodes, each behind a gate whose port it announces, and the move of slots to another node.

use std::time::{Duration, Instant};

use super::stage::{Node, Stage};
use crate::tokens::Failure;

/// Slots of a Redis cluster.
const SLOTS: u32 = 16_384;
/// Slots that move to the last node.
const MOVED: u32 = 1000;
const LIMIT: Duration = Duration::from_secs(30);

impl Stage {
    /// Makes the nodes a cluster: every one but the last has its share of the slots.
    pub(super) async fn join_cluster(&self) -> Result<(), Failure> {
        let shares = self.nodes.len() as u32 - 1;
        for (index, node) in self.nodes.iter().enumerate() {
            node.ok(&format!("CONFIG SET cluster-announce-port {}", node.gate_port())).await?;
            let index = index as u32;
            if index < shares {
                let (first, end) = (SLOTS * index / shares, SLOTS * (index + 1) / shares);
                node.ok(&format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1)).await?;
            }
        }
        for node in self.nodes.iter().skip(1) {
            let first = self.nodes[0].redis;
            node.ok(&format!("CLUSTER MEET 127.0.0.1 {first} {}", first + 10_000)).await?;
        }
        let started = Instant::now();
        for node in &self.nodes {
            while !node.knows(&self.nodes).await? {
                if started.elapsed() > LIMIT {
                    return Err("the cluster did not form".into());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    /// The last node takes the first slots over, keys and all, one after the other, as `redis-cli --cluster` does.
    pub async fn reshard(&self) -> Result<(), Failure> {
        let (Some(from), Some(to)) = (self.nodes.first(), self.nodes.last()) else { return Ok(()) };
        let (old, new) = (from.id().await?, to.id().await?);
        for slot in 0..MOVED {
            to.ok(&format!("CLUSTER SETSLOT {slot} IMPORTING {old}")).await?;
            from.ok(&format!("CLUSTER SETSLOT {slot} MIGRATING {new}")).await?;
            loop {
                let reply = from.ask(&format!("CLUSTER GETKEYSINSLOT {slot} 100")).await?;
                let keys: Vec<&str> = reply.lines().skip(2).step_by(2).collect();
                if keys.is_empty() {
                    break;
                }
                from.ok(&format!("MIGRATE 127.0.0.1 {} \"\" 0 5000 KEYS {}", to.redis, keys.join(" "))).await?;
            }
            for node in [to, from] {
                node.ok(&format!("CLUSTER SETSLOT {slot} NODE {new}")).await?;
            }
        }
        Ok(())
    }
}

impl Node {
    async fn ok(&self, command: &str) -> Result<(), Failure> {
        let reply = self.ask(command).await?;
        if reply.starts_with("+OK") || reply.starts_with("+NOKEY") {
            Ok(())
        } else {
            Err(format!("{command}: {}", reply.trim_end()).into())
        }
    }

    async fn id(&self) -> Result<String, Failure> {
        Ok(self.ask("CLUSTER MYID").await?.lines().nth(1).unwrap_or_default().to_owned())
    }

    async fn knows(&self, all: &[Self]) -> Result<bool, Failure> {
        let (info, slots) = (self.ask("CLUSTER INFO").await?, self.ask("CLUSTER SLOTS").await?);
        let serving = &all[..all.len() - 1];
        Ok(info.contains("cluster_state:ok")
            && info.contains(&format!("cluster_known_nodes:{}\r", all.len()))
            && serving.iter().all(|node| slots.contains(&format!(":{}\r\n", node.gate_port()))))
    }
}
