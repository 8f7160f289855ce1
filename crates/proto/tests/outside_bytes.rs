//! Bytes from outside: whatever they are, the parsers answer, and what they answer is bounded.

use std::time::Duration;

use entrant_proto::managed_identity::parse_reply;
use entrant_proto::oauth::error::quoted;
use entrant_proto::oauth::{
    Authority, Certificate, ClientInfo, TokenError, TokenReply, challenge, http_date, rfc_3339,
};
use entrant_types::Timestamp;
use entrant_types::outside::HttpReply;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const TEN_YEARS: Duration = Duration::from_secs(315_360_000);

/// Text that looks like what endpoints send, more often than not.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_filter("JSON has no such number", |number| number.is_finite()).prop_map(|n| format!("{n:e}")),
        any::<i64>().prop_map(|number| format!("\"{number}\"")),
        "\"[a-zA-Z0-9/: +.-]{0,40}\"",
        "\\[[0-9,]{0,5}[0-9]\\]",
        Just("{\"code\":\"x\",\"message\":\"y\"}".to_owned()),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        "access_token",
        "expires_in",
        "expires_on",
        "refresh_in",
        "token_type",
        "client_info",
        "id_token",
        "error",
        "error_description",
        "error_codes",
        "suberror",
        "claims",
        "statusCode",
        "message",
        "scope",
        "refresh_token",
    ]);
    let object = prop::collection::vec((name, value()), 0..10).prop_map(|fields| {
        let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(",")).into_bytes()
    });
    prop_oneof![4 => object, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn reply() -> impl Strategy<Value = HttpReply> {
    let header = prop_oneof!["[ -~]{0,40}", "[0-9]{1,12}", Just("Sun, 06 Nov 1994 08:49:37 GMT".to_owned())];
    let status = prop_oneof![3 => Just(200_u16), 2 => prop::sample::select(vec![400_u16, 401, 404, 429, 503]), 1 => any::<u16>()];
    (status, header.clone(), header, body()).prop_map(|(status, date, after, body)| HttpReply {
        status,
        headers: vec![("date".to_owned(), date), ("retry-after".to_owned(), after)],
        body,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_reply_is_a_token_with_a_bounded_life_or_a_fault(reply in reply()) {
        let tokens = [
            TokenReply::parse(&reply, NOW).ok().and_then(|reply| reply.access_token),
            parse_reply(&reply, NOW).ok(),
        ];
        for token in tokens.into_iter().flatten() {
            prop_assert_eq!(reply.status, 200);
            prop_assert!(token.lifetime.expires >= NOW);
            prop_assert!(token.lifetime.left(NOW) <= TEN_YEARS * 320, "{:?}", token.lifetime);
            prop_assert!(token.lifetime.refresh_at.is_none_or(|at| at < token.lifetime.expires));
        }
        let fault = TokenError::parse(&reply).into_fault(&reply, NOW);
        prop_assert!(fault.to_string().len() < 8_000);
    }

    #[test]
    fn foreign_text_never_breaks_a_line_or_grows(text in any::<String>()) {
        let line = quoted(&text);
        prop_assert!(!line.contains(char::is_control) && line.chars().count() <= 402);
    }

    #[test]
    fn headers_dates_and_files_of_any_content_are_answered(text in "\\PC{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = challenge::parameter(&text, "Bearer", "claims");
        let _ = challenge::parameter(&format!("Bearer {text}"), "Bearer", "claims");
        let _ = challenge::insufficient_claims(&format!("Bearer error=\"insufficient_claims\", claims=\"{text}\""));
        let _ = (http_date::parse(&text), rfc_3339(&text), ClientInfo::parse(&text), Authority::parse(&text, "common"));
        let _ = (Authority::parse("https://localhost", &text), Authority::from_url(&text));
        prop_assert!(Certificate::read(&bytes, None).is_err());
        let mut der = vec![0x30];
        der.extend(bytes);
        prop_assert!(Certificate::read(&der, None).is_err());
    }
}
