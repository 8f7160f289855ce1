//! RESP relays: the sidecar, the gate, the embedded store.

pub mod assignments;
pub mod gate;
pub mod sidecar;
pub mod store;
mod topology;
