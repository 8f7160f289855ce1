//! Redis connections on Entra tokens, for programs on the redis crate.
