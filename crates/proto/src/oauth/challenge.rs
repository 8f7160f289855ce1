//! `WWW-Authenticate` challenges (RFC 9110 §11.6.1), as far as Entra and Azure Arc use them.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// A parameter of the first challenge with this scheme, such as `realm` of `Basic` or `error` of `Bearer`.
/// Names are compared without case; a quoted value loses its quotes and escapes.
#[must_use]
pub fn parameter(header: &str, scheme: &str, name: &str) -> Option<String> {
    let start = header.to_ascii_lowercase().find(&format!("{} ", scheme.to_ascii_lowercase()))?;
    let mut rest = header.get(start + scheme.len()..)?;
    loop {
        rest = rest.trim_start_matches([' ', ',', '\t']);
        let (own, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        if own.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
}

/// The claims that an API demands with a 401 (`error="insufficient_claims"`): the JSON text to send as
/// `claims` of the next token request. Accepts both alphabets of base64, padded or not.
#[must_use]
pub fn insufficient_claims(header: &str) -> Option<String> {
    if parameter(header, "Bearer", "error")? != "insufficient_claims" {
        return None;
    }
    let encoded = parameter(header, "Bearer", "claims")?;
    let bytes = GeneralPurpose::new(&STANDARD, LENIENT)
        .decode(&encoded)
        .or_else(|_| GeneralPurpose::new(&URL_SAFE, LENIENT).decode(&encoded))
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).ok()?;
    Some(text)
}

fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            _ => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claims_of_a_step_up_are_read() {
        let header = "Bearer realm=\"\", authorization_uri=\"https://x/authorize\", error=\"insufficient_claims\", \
                      claims=\"eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZX19fQ==\"";
        assert_eq!(insufficient_claims(header).as_deref(), Some(r#"{"access_token":{"nbf":{"essential":true}}}"#));
        assert_eq!(insufficient_claims("Bearer error=\"invalid_token\""), None);
        assert_eq!(insufficient_claims("Bearer error=\"insufficient_claims\", claims=\"!!!\""), None);
    }

    #[test]
    fn the_key_file_of_azure_arc_is_read() {
        let header = "Basic realm=/var/opt/azcmagent/tokens/a.key";
        assert_eq!(parameter(header, "basic", "realm").as_deref(), Some("/var/opt/azcmagent/tokens/a.key"));
        assert_eq!(parameter("Basic realm=\"a\\\"b\"", "Basic", "realm").as_deref(), Some("a\"b"));
    }

    #[test]
    fn broken_challenges_give_nothing() {
        for header in ["", "Basic", "Basic realm", "Basic realm=\"open", "Bearer ,,,", "Basic realm=\"x\\"] {
            assert_eq!(parameter(header, "Basic", "realm"), None, "{header}");
        }
    }
}
