//! Captured logs, and the scan that proves that no secret reached them.

use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use entrant_types::Secret;
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// Everything logged on this thread while it lives, at every level. Use it with a single-threaded runtime.
#[derive(Debug)]
pub struct Logs {
    buffer: Buffer,
    _guard: DefaultGuard,
}

/// Never used, only alive. While a process has one subscriber alone, tracing decides whether an event is wanted at all
/// by asking the thread that comes to it first, and remembers the answer: a test without `Logs` would silence it for
/// the test with. With two it asks both.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

impl Logs {
    /// Starts capturing.
    #[must_use]
    pub fn capture() -> Self {
        LazyLock::force(&SECOND);
        let buffer = Buffer::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(buffer.clone())
            .finish();
        Self { buffer, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// What was logged so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Fails the test when any of the secrets, or anything that looks like a token, was logged.
    pub fn assert_no_secret(&self, secrets: &[&Secret]) {
        assert_no_secret("the logs", &self.text(), secrets);
    }
}

#[derive(Clone, Debug, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Fails the test when `text` (called `place` in the message) holds one of the secrets, as it is or percent-encoded,
/// or the tail of one, or anything in the shape of a JWT.
pub fn assert_no_secret(place: &str, text: &str, secrets: &[&Secret]) {
    for (index, secret) in secrets.iter().enumerate() {
        // Short values would be found by chance; no secret of this system is shorter.
        assert!(secret.len() >= 8, "secret {index} is too short to look for");
        let plain = secret.expose();
        assert!(!text.contains(plain), "secret {index} is in {place}");
        assert!(!text.contains(&percent_encoded(plain)), "secret {index} is percent-encoded in {place}");
        // Of a token the tail is the signature, which alone makes it usable.
        if let Some(tail) = plain.len().checked_sub(24).and_then(|start| plain.get(start..)) {
            assert!(!text.contains(tail), "the end of secret {index} is in {place}");
        }
    }
    let token = find_jwt(text);
    let before = token.map(|at| text[..at].lines().next_back().unwrap_or_default());
    assert!(token.is_none(), "a token is in {place}, after: {before:?}");
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte as char);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Where `eyJ….eyJ….…` (header and payload are JSON objects, the signature is not empty) starts.
fn find_jwt(text: &str) -> Option<usize> {
    let base64url = |part: &&str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    text.match_indices("eyJ").map(|(at, _)| at).find(|&at| {
        let mut parts = text[at..].splitn(3, '.');
        let header = parts.next().filter(base64url);
        let payload = parts.next().filter(base64url).filter(|part| part.starts_with("eyJ"));
        let signature = parts.next().unwrap_or_default();
        let signed = signature.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)).count();
        header.is_some() && payload.is_some() && signed >= 20
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_logged_is_captured() {
        let logs = Logs::capture();
        tracing::trace!(user = "alice", "signed in");
        assert!(logs.text().contains("signed in") && logs.text().contains("alice"));
        logs.assert_no_secret(&[&Secret::from("hunter2hunter2")]);
    }

    #[test]
    #[should_panic(expected = "percent-encoded in the page")]
    fn a_percent_encoded_secret_is_found() {
        assert_no_secret("the page", "?code=a%2Fb%2Bc%3Dabcdef", &[&Secret::from("a/b+c=abcdef")]);
    }

    #[test]
    #[should_panic(expected = "the end of secret 0 is in the log")]
    fn the_tail_of_a_secret_is_found() {
        let secret = Secret::from("0123456789abcdefghijklmnopqrstuvwxyz");
        assert_no_secret("the log", "…cdefghijklmnopqrstuvwxyz", &[&secret]);
    }

    #[test]
    #[should_panic(expected = "a token is in the log")]
    fn an_unknown_token_is_found_by_its_shape() {
        assert_no_secret("the log", "got eyJhbGciOi.eyJhdWQiOi.c2lnbmF0dXJlIG9mIHRva2Vu.", &[]);
    }
}
