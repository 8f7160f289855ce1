//! RESP relays: the sidecar, the gate, the embedded store.
