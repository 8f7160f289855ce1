//! Any text as a token, any bytes as a key set: an answer or an error, never a panic.
#![no_main]

use entrant_proto::jose::{JwkSet, Jws, PublicKey, UnverifiedJwt};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8])| {
    let (token, keys) = input;
    let jwt = UnverifiedJwt::parse(token);
    let decoded = Jws::split(token).and_then(Jws::decode);
    assert!(decoded.is_ok() || jwt.is_err(), "a token was read that does not decode");
    if let Ok(set) = JwkSet::parse(keys) {
        for key in set.keys.iter().take(3) {
            let Ok(key) = PublicKey::from_jwk(key) else { continue };
            let accepted = [jwt.as_ref().map(|jwt| jwt.verify(&key)), decoded.as_ref().map(|token| token.verify(&key))];
            assert!(!accepted.contains(&Ok(Ok(()))), "a made-up signature was accepted");
        }
    }
});
