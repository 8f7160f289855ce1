//! Pages: the frame that all share, and what each shows.

pub mod chain;
pub mod moment;
pub mod problem;
pub mod shell;
pub mod timeline;
