//! The bytes of what is injected into a connection.

use entrant_types::{AccessToken, ObjectId};
use zeroize::Zeroizing;

/// `AUTH object-id token` as a RESP array, zeroed after use.
#[must_use]
pub fn auth(object_id: ObjectId, token: &AccessToken) -> Zeroizing<Vec<u8>> {
    let token = token.secret.expose().as_bytes();
    // Room for everything at once: a growing buffer would leave copies of the token behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(token.len() + 96));
    bytes.extend_from_slice(b"*3\r\n$4\r\nAUTH\r\n");
    bulk(&mut bytes, object_id.to_string().as_bytes());
    bulk(&mut bytes, token);
    bytes
}

/// `ECHO nonce`, the sentinel behind an `AUTH` whose reply the server may drop.
#[must_use]
pub fn sentinel(nonce: &[u8; 16]) -> Vec<u8> {
    let mut bytes = b"*2\r\n$4\r\nECHO\r\n".to_vec();
    bulk(&mut bytes, &nonce_text(nonce));
    bytes
}

/// `PING`, the keep-alive. Any reply shows that the connection lives; an access string may forbid the command.
pub const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// The nonce as it is sent: 32 hexadecimal digits.
pub(super) fn nonce_text(nonce: &[u8; 16]) -> Vec<u8> {
    nonce.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

fn bulk(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend_from_slice(format!("${}\r\n", text.len()).as_bytes());
    bytes.extend_from_slice(text);
    bytes.extend_from_slice(b"\r\n");
}
