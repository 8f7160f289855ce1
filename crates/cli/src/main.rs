//! The one binary `entrant`.
fn main() {}
