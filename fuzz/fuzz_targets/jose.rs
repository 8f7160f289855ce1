//! Any text as a token, any bytes as a key set: an answer or an error, never a panic.
#![no_main]

use entrant_proto::jose::{JwkSet, PublicKey, UnverifiedJwt};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8])| {
    let (token, keys) = input;
    let jwt = UnverifiedJwt::parse(token);
    if let Ok(set) = JwkSet::parse(keys) {
        for key in set.keys.iter().take(3) {
            if let (Ok(key), Ok(jwt)) = (PublicKey::from_jwk(key), &jwt) {
                assert!(jwt.verify(&key).is_err(), "a made-up signature was accepted");
            }
        }
    }
});
