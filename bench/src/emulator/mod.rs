//! The emulator beside npm `oauth2-mock-server`: start, memory, fresh tokens, managed-identity replies.

mod embedded;
mod load;
mod server;
mod speed;
mod start;

pub use speed::{run, section};
