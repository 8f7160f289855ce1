//! The commands, by what they work on.

pub(super) mod connection;
pub(super) mod hashes;
pub(super) mod keys;
pub(super) mod lists;
pub(super) mod pubsub;
pub(super) mod server;
pub(super) mod sets;
pub(super) mod strings;
pub(super) mod transactions;
pub(super) mod users;
pub(super) mod zsets;
