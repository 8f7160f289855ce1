//! Pending sign-ins: one sealed cookie for each, so that tabs do not disturb one another.
//!
//! The cookie is named after the hash of the `state` that the identity provider will send back, and sealed with
//! a key derived from that `state`: the callback URL and the cookie are of use only together, in the browser that
//! began, and the server keeps nothing that a flood of sign-ins could fill.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrant_types::{Entropy, Fault, Secret, Timestamp, Whose};
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::cookie;
use crate::session::seal::{Purpose, RecordId, SealKey};

/// What every cookie of a pending sign-in is called, before the hash of its state.
const PREFIX: &str = "__Host-entrant-sign-in-";
/// Pending sign-ins of one browser; the oldest makes room for the eighth. Seven cookies stay below the 8 KiB of
/// headers that some proxies allow.
pub const MAX_PENDING: usize = 7;
/// Longest `state` that is looked at.
const MAX_STATE_BYTES: usize = 256;
/// Browsers take 4096 bytes of name, value and attributes.
const MAX_VALUE_BYTES: usize = 3900;

fn name(state: &str) -> String {
    let id = RecordId::of(state.as_bytes()).to_string();
    format!("{PREFIX}{}", id.get(..16).unwrap_or_default())
}

/// When a cookie of ours says that it was issued. Anything else counts as long ago.
fn issued(value: &str) -> i64 {
    value.split_once('.').and_then(|(at, _)| at.parse().ok()).unwrap_or(0)
}

/// The `Set-Cookie` values that remember `pending` under `state` from now on for as long as a sign-in may take, and
/// drop what is too old or too much.
///
/// # Errors
/// When `pending` does not fit into a cookie.
pub fn remember<T: Serialize>(
    headers: &HeaderMap,
    state: &Secret,
    pending: &T,
    (now, limit): (Timestamp, Duration),
    entropy: &dyn Entropy,
) -> Result<Vec<HeaderValue>, Fault> {
    let plain = serde_json::to_vec(pending).map(Zeroizing::new).map_err(|_| too_large())?;
    let key = SealKey::derive(state.expose().as_bytes(), Purpose::SignIn)?;
    let at = now.secs().max(0);
    let sealed = key.seal(at.unsigned_abs(), plain, entropy)?;
    let value = Secret::new(format!("{at}.{}", URL_SAFE_NO_PAD.encode(sealed)));
    if value.len() > MAX_VALUE_BYTES {
        return Err(too_large());
    }
    let mut held: Vec<(&str, i64)> =
        cookie::all(headers, |name| name.starts_with(PREFIX)).map(|(name, value)| (name, issued(value))).collect();
    held.sort_by_key(|(_, issued)| std::cmp::Reverse(*issued));
    let oldest = (now - limit).secs();
    let dropped = held.iter().enumerate().filter(|(rank, (_, issued))| *rank + 1 >= MAX_PENDING || *issued < oldest);
    let mut lines: Vec<HeaderValue> = dropped.filter_map(|(_, (name, _))| cookie::remove(name)).collect();
    lines.extend(cookie::set(&name(state.expose()), &value, Some(limit)));
    Ok(lines)
}

/// The pending sign-in that `state` belongs to, with the `Set-Cookie` value that forgets it; nothing when this
/// browser did not begin it, or began it longer ago than the limit.
#[must_use]
pub fn take<T: DeserializeOwned>(
    headers: &HeaderMap,
    state: &str,
    (now, limit): (Timestamp, Duration),
) -> Option<(T, HeaderValue)> {
    if state.is_empty() || state.len() > MAX_STATE_BYTES {
        return None;
    }
    let name = name(state);
    let value = cookie::one(headers, &name)?;
    let (at, sealed) = value.split_once('.')?;
    let at: u64 = at.parse().ok()?;
    let begun = Timestamp::from_secs(i64::try_from(at).ok()?);
    if begun.until(now) >= limit {
        return None;
    }
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let plain = SealKey::derive(state.as_bytes(), Purpose::SignIn).ok()?.open(at, &sealed)?;
    Some((serde_json::from_slice(&plain).ok()?, cookie::remove(&name)?))
}

fn too_large() -> Fault {
    Fault::new(
        Whose::Caller,
        "This sign-in cannot be remembered: what it asks for is larger than a cookie.",
        "Start again from the first page.",
    )
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(600);

    #[derive(Debug)]
    struct Fixed;

    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(5);
        }
    }

    /// What a browser does with `Set-Cookie`.
    #[derive(Default)]
    struct Jar(Vec<(String, String)>);

    impl Jar {
        fn keep(&mut self, lines: &[HeaderValue]) {
            for line in lines {
                let line = line.to_str().unwrap();
                let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
                self.0.retain(|(own, _)| own != name);
                if !line.contains("Max-Age=0") {
                    self.0.push((name.to_owned(), value.to_owned()));
                }
            }
        }

        fn headers(&self) -> HeaderMap {
            let line: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
            [(header::COOKIE, HeaderValue::from_str(&line.join("; ")).unwrap())].into_iter().collect()
        }

        fn begin(&mut self, state: &str, what: &str, at: i64) {
            let now = Timestamp::from_secs(at);
            let lines = remember(&self.headers(), &Secret::from(state), &what, (now, LIMIT), &Fixed).unwrap();
            self.keep(&lines);
        }

        fn take(&self, state: &str, at: i64) -> Option<String> {
            take(&self.headers(), state, (Timestamp::from_secs(at), LIMIT)).map(|(what, _)| what)
        }
    }

    #[test]
    fn tabs_that_sign_in_at_once_do_not_disturb_each_other() {
        let mut jar = Jar::default();
        jar.begin("state-one", "first", 1000);
        jar.begin("state-two", "second", 1001);
        assert_eq!(jar.take("state-one", 1002).as_deref(), Some("first"));
        assert_eq!(jar.take("state-two", 1002).as_deref(), Some("second"));
    }

    #[test]
    fn the_oldest_pending_sign_in_makes_room_for_the_eighth() {
        let mut jar = Jar::default();
        for tab in 0..20 {
            jar.begin(&format!("state-{tab}"), "x", 1000 + tab);
            assert!(jar.0.len() <= MAX_PENDING);
        }
        assert_eq!(jar.take("state-12", 1020), None);
        assert!(jar.take("state-13", 1020).is_some());
        assert!(jar.take("state-19", 1020).is_some());
    }

    #[test]
    fn a_sign_in_older_than_ten_minutes_is_stale_and_cleared() {
        let mut jar = Jar::default();
        jar.begin("state", "x", 1000);
        assert!(jar.take("state", 1599).is_some());
        assert!(jar.take("state", 1600).is_none());
        jar.begin("another", "y", 1700);
        assert_eq!(jar.0.len(), 1);
    }

    #[test]
    fn a_state_of_another_browser_or_a_changed_cookie_finds_nothing() {
        let mut jar = Jar::default();
        jar.begin("state", "x", 1000);
        assert!(Jar::default().take("state", 1001).is_none(), "no cookie");
        assert!(jar.take("other", 1001).is_none());
        let value = jar.0[0].1.clone();
        jar.0[0].1 = value.replacen("1000.", "1500.", 1);
        assert!(jar.take("state", 1501).is_none(), "the time of issue is sealed too");
        jar.0[0] = (name("other"), value);
        assert!(jar.take("other", 1001).is_none(), "moved to another state");
        for hostile in ["", ".", "1000", "1000.", "x.y", "-1.AAAA", "99999999999999999999.AAAA", "1000.%%%"] {
            jar.0[0] = (name("state"), hostile.to_owned());
            assert!(jar.take("state", 1001).is_none(), "{hostile}");
        }
        assert!(jar.take(&"s".repeat(300), 1001).is_none());
    }

    #[test]
    fn what_does_not_fit_into_a_cookie_is_an_error() {
        let result = remember(
            &HeaderMap::new(),
            &Secret::from("s"),
            &"x".repeat(4000),
            (Timestamp::from_secs(1), LIMIT),
            &Fixed,
        );
        assert!(result.is_err());
    }
}
