//! Ids derived from names, so that documents, tests and screenshots show the same ones on every machine.

use aws_lc_rs::digest::{SHA256, digest};
use entrant_types::Guid;

/// The GUID of (`kind`, `name`): SHA-256 of `entrant:{kind}:{name}`, first 16 bytes, marked as version 8
/// (vendor-defined, RFC 9562 §5.8).
pub(crate) fn derived(kind: &str, name: &str) -> Guid {
    let hash = digest(&SHA256, format!("entrant:{kind}:{name}").as_bytes());
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Guid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::derived;

    #[test]
    fn derived_ids_are_the_same_on_every_machine_and_differ_by_kind() {
        assert_eq!(derived("tenant", "contoso.example"), derived("tenant", "contoso.example"));
        assert_ne!(derived("app", "web-app"), derived("service-principal", "web-app"));
        let text = derived("app", "web-app").to_string();
        assert_eq!(text.as_bytes()[14], b'8', "{text} is version 8");
    }
}
