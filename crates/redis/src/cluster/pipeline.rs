//! Pipelines in a cluster: an atomic one goes to the node of its keys, any other is divided among the nodes.

use futures_util::future::join_all;
use redis::aio::ConnectionLike as _;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value};

use super::place::{Place, place};
use super::topology::{Address, Redirection};
use super::{ClusterConnection, FIRST_WAIT, TURNS, restless};
use crate::error::carry;

impl ClusterConnection {
    pub(super) async fn pipeline(&self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        if pipeline.is_transaction() {
            return self.transaction(pipeline, offset, count).await;
        }
        let commands: Vec<&Cmd> = pipeline.cmd_iter().collect();
        let replies = self.divided(&commands).await?;
        Ok(replies.into_iter().skip(offset).take(count).collect())
    }

    /// An atomic pipeline. One that was redirected was not executed, so it is sent again as a whole.
    async fn transaction(&self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        let mut all = None;
        for command in pipeline.cmd_iter() {
            match (place(command)?, all) {
                (Place::Slot(slot), Some(known)) if slot != known => return Err(across()),
                (Place::Slot(slot), _) => all = Some(slot),
                _ => {}
            }
        }
        let place = all.map_or(Place::Any, Place::Slot);
        let mut connection = self.connection(place).await?;
        let mut wait = FIRST_WAIT;
        for _ in 0..TURNS {
            let reply = connection.req_packed_commands(pipeline, offset, count).await;
            let Err(error) = &reply else { return reply };
            connection = match Redirection::of_error(error) {
                Some(Redirection::Moved(slot, node)) => {
                    self.nodes.moved(slot, &node);
                    self.nodes.announced(&node)
                }
                // A transaction cannot ask: it waits until the slot has arrived.
                Some(Redirection::Ask(_) | Redirection::Later) => {
                    self.later(&mut wait).await;
                    self.connection(place).await?
                }
                None => return reply,
            };
        }
        Err(carry(restless(), std::io::ErrorKind::Other))
    }

    /// The replies of independent commands, in their order. Those of one node keep their order there.
    async fn divided(&self, commands: &[&Cmd]) -> RedisResult<Vec<Value>> {
        let topology = self.topology().await?;
        let mut parts: Vec<(Option<&Address>, Vec<usize>)> = Vec::new();
        let mut replies: Vec<Option<RedisResult<Value>>> = commands.iter().map(|_| None).collect();
        for (index, command) in commands.iter().enumerate() {
            let node = match place(command)? {
                Place::Slot(slot) if super::divide(command).is_none() => topology.owner(slot),
                Place::Any => topology.nodes().first(),
                // What concerns several nodes goes by itself, after the others.
                _ => continue,
            };
            match parts.iter_mut().find(|(known, _)| *known == node) {
                Some((_, part)) => part.push(index),
                None => parts.push((node, vec![index])),
            }
        }
        let sent = parts.into_iter().map(|(node, indexes)| async move {
            let mut part = Pipeline::with_capacity(indexes.len());
            for command in indexes.iter().filter_map(|index| commands.get(*index)) {
                part.add_command((*command).clone());
            }
            let mut connection = node.map_or_else(|| self.nodes.entry(), |node| self.nodes.announced(node));
            let values = connection.req_packed_commands(&part, 0, indexes.len()).await;
            (indexes, values)
        });
        for (indexes, values) in join_all(sent).await {
            for (index, value) in indexes.into_iter().zip(values?) {
                if let Some(place) = replies.get_mut(index) {
                    *place = Some(Ok(value)).filter(|reply| Redirection::of(reply).is_none());
                }
            }
        }
        let mut all = Vec::with_capacity(commands.len());
        for (command, reply) in commands.iter().zip(replies) {
            all.push(match reply {
                Some(reply) => reply?,
                // It was redirected: not executed, and sent by itself.
                None => self.command(command).await?,
            });
        }
        Ok(all)
    }
}

fn across() -> RedisError {
    let text = "Give the keys a common hash tag: {user1}:a, {user1}:b.".to_owned();
    RedisError::from((ErrorKind::InvalidClientConfig, "the keys of an atomic pipeline are in several slots", text))
}
