//! Cookies: reading the request's, writing ours.

use std::time::Duration;

use entrant_types::Secret;
use http::{HeaderMap, HeaderValue, header};

/// Name of the session cookie. `__Host-` makes the browser insist on `Secure`, `Path=/` and no `Domain`, so no
/// sibling host can set it; Chromium keeps such cookies on plain `http://localhost` too.
pub const SESSION: &str = "__Host-entrant-session";

/// Cookies that are looked at in one request. Browsers keep 180 per host at most.
const MAX_COOKIES: usize = 200;

/// All values of the request's cookies whose name passes `wanted`, in order.
pub fn all<'a>(
    headers: &'a HeaderMap,
    wanted: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .take(MAX_COOKIES)
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(name, _)| wanted(name))
}

/// The value of the cookie `name`. When it was sent twice, nothing: the browser sends a `__Host-` cookie once, so
/// a second one is somebody's attempt.
#[must_use]
pub fn one<'a>(headers: &'a HeaderMap, name: &'a str) -> Option<&'a str> {
    let mut found = all(headers, move |own| own == name);
    let value = found.next()?.1;
    if found.next().is_some() { None } else { Some(value) }
}

/// A `Set-Cookie` value: `Secure`, `HttpOnly`, `Path=/`, `SameSite=Lax` (the callback arrives by a cross-site
/// navigation, which `Strict` would leave without cookies). Without `life` it ends with the browser.
///
/// Names and values come from this crate and are plain ASCII; anything else gives nothing.
#[must_use]
pub fn set(name: &str, value: &Secret, life: Option<Duration>) -> Option<HeaderValue> {
    let life = life.map(|life| format!("; Max-Age={}", life.as_secs())).unwrap_or_default();
    let text = format!("{name}={}; Path=/; Secure; HttpOnly; SameSite=Lax{life}", value.expose());
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A `Set-Cookie` value that removes `name`, with the attributes that it was set with.
#[must_use]
pub fn remove(name: &str) -> Option<HeaderValue> {
    set(name, &Secret::from(""), Some(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (header::COOKIE, HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn a_cookie_is_found_among_others_and_across_lines() {
        let headers = headers(&["a=1; __Host-x=2;c=3", "d=4=4"]);
        assert_eq!(one(&headers, "__Host-x"), Some("2"));
        assert_eq!(one(&headers, "d"), Some("4=4"));
        assert_eq!(one(&headers, "x"), None);
    }

    #[test]
    fn a_cookie_sent_twice_counts_as_not_sent() {
        assert_eq!(one(&headers(&["x=1; x=2"]), "x"), None);
        assert_eq!(one(&headers(&["x=1", "x=1"]), "x"), None);
    }

    #[test]
    fn a_removed_cookie_has_the_attributes_it_was_set_with() {
        let value = remove(SESSION).unwrap();
        assert_eq!(
            value.to_str().unwrap(),
            "__Host-entrant-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }
}
