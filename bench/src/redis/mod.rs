//! Redis on Entra tokens: the same moments for redis-py, node-redis, the `redis` crate's own provider, and ours.

pub mod client;
mod cluster;
pub mod peers;
mod rows;
pub mod speed;
mod stage;
mod table;
