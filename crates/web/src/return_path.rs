//! Where a person goes after signing in: a path of this site, whatever the link said.

use url::Url;

/// Longest return path: it travels inside a cookie.
const MAX_BYTES: usize = 512;

/// Paths that start or end a sign-in: returning there would run in circles.
const NEVER: [&str; 4] = ["/login", "/getAToken", "/logout", "/front-channel-logout"];

/// `wanted` as a path with query on the site of `public_url`, or `/` when it is anything else: another site in
/// any disguise, a control character, a backslash, too long, or a step of the sign-in itself.
#[must_use]
pub fn sanitised(wanted: &str, public_url: &Url) -> String {
    same_site(wanted, public_url).unwrap_or_else(|| "/".to_owned())
}

fn same_site(wanted: &str, public_url: &Url) -> Option<String> {
    let plain = wanted.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if !plain || wanted.len() > MAX_BYTES || !wanted.starts_with('/') || wanted.starts_with("//") {
        return None;
    }
    // The browser's own parser has the last word: what it would take for another place is refused.
    let mut target = public_url.join(wanted).ok()?;
    if target.origin() != public_url.origin() || target.path().starts_with("//") {
        return None;
    }
    let path = target.path().trim_end_matches('/');
    if NEVER.iter().any(|never| path.eq_ignore_ascii_case(never)) {
        return None;
    }
    target.set_fragment(None);
    let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{}{query}", target.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public() -> Url {
        Url::parse("https://app.example").unwrap()
    }

    #[test]
    fn a_path_of_this_site_is_kept() {
        for (wanted, kept) in [
            ("/", "/"),
            ("/call-api", "/call-api"),
            ("/call-api?a=1&b=%2F%2Fx", "/call-api?a=1&b=%2F%2Fx"),
            ("/a/../b", "/b"),
            ("/a#frag", "/a"),
            ("/a@b:c", "/a@b:c"),
        ] {
            assert_eq!(sanitised(wanted, &public()), kept, "{wanted}");
        }
    }

    #[test]
    fn no_disguise_leads_to_another_site() {
        let corpus = [
            "",
            "//evil.example",
            "///evil.example",
            "////evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "\\\\evil.example",
            "/\\/evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/\r/evil.example",
            "/\0/evil.example",
            "\t//evil.example",
            " //evil.example",
            "/ /evil.example",
            "/\u{a0}/evil.example",
            "/\u{2f}/evil.example",
            "/\u{ff0f}evil.example",
            "/\u{2215}evil.example",
            "/\u{3002}evil",
            "https://evil.example",
            "HTTPS://evil.example",
            "http:evil.example",
            "https:/evil.example",
            "https:///evil.example",
            "https:\\\\evil.example",
            "https://app.example@evil.example",
            "https://app.example.evil.example",
            "https://app.example:443@evil.example/",
            "//app.example@evil.example",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "blob:x",
            "evil.example",
            "@evil.example",
            ".evil.example",
            ":80",
            "?next=//evil.example",
            "#//evil.example",
            "/.//evil.example",
            "/..//evil.example",
            "/./\\evil.example",
            "/a/..//evil.example",
            "/a/../..//evil.example",
            "/%2e//evil.example",
            "/%2e%2e//evil.example",
            "/x/%2e%2e//evil.example",
        ];
        for wanted in corpus {
            assert_eq!(sanitised(wanted, &public()), "/", "{wanted:?}");
        }
    }

    #[test]
    fn every_answer_stays_on_this_site_for_the_browsers_parser() {
        let pieces = ["/", "\\", "evil.example", "@", ":", "..", ".", "%2f", "%5c", "%09", "\t", "?", "#", "//", ""];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    for d in pieces {
                        let wanted = format!("/{a}{b}{c}{d}");
                        let kept = sanitised(&wanted, &public());
                        let landed = public().join(&kept).unwrap();
                        assert_eq!(landed.origin(), public().origin(), "{wanted:?} became {kept:?}");
                        assert!(!kept.starts_with("//"), "{wanted:?} became {kept:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn steps_of_the_sign_in_and_long_paths_are_no_place_to_return_to() {
        for wanted in ["/login", "/login?x=1", "/LOGIN/", "/getAToken?code=1", "/logout", "/a/../logout"] {
            assert_eq!(sanitised(wanted, &public()), "/", "{wanted}");
        }
        assert_eq!(sanitised(&format!("/{}", "a".repeat(MAX_BYTES)), &public()), "/");
    }
}
