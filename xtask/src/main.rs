//! The one tool of the workshop.
fn main() {}
