//! The reader beside its reference, a `serde_json::Map` of the whole payload.

use entrant_types::emulation::EMULATOR_CLAIM;
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value, json};

use super::*;

const CHECKED: [&str; 17] = [
    "iss",
    "aud",
    "exp",
    "nbf",
    "iat",
    "sub",
    "tid",
    "oid",
    "azp",
    "appid",
    "scp",
    "roles",
    "nonce",
    "at_hash",
    "c_hash",
    "auth_time",
    EMULATOR_CLAIM,
];

/// The names of an object's members in their order, doubles included.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, _)) = map.next_entry::<String, Value>()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

fn names_a_checked_claim_twice(payload: &[u8]) -> bool {
    let names = serde_json::from_slice::<Names>(payload).map(|names| names.0).unwrap_or_default();
    CHECKED.iter().any(|checked| names.iter().filter(|name| name == checked).count() > 1)
}

/// What a check could learn about a claim from the map.
fn reference(map: &Map<String, Value>, name: &str) -> Claim<'static> {
    match map.get(name) {
        None => Claim::Absent,
        Some(Value::Null) => Claim::Null,
        Some(Value::Bool(_) | Value::Object(_)) => Claim::Other,
        Some(number @ Value::Number(_)) => Claim::Number(number.as_f64().unwrap()),
        Some(Value::String(text)) => Claim::Text(text.clone().into()),
        Some(Value::Array(items)) => {
            Claim::Texts(items.iter().filter_map(Value::as_str).map(|text| text.to_owned().into()).collect())
        }
    }
}

/// Panics where the reader and the map differ.
fn compare(payload: &[u8]) {
    let shown = String::from_utf8_lossy(payload);
    let map = serde_json::from_slice::<Map<String, Value>>(payload);
    let (map, mut claims) = match (map, Claims::read(payload)) {
        (Err(_), Err(_)) => return,
        (Err(error), Ok(_)) => panic!("looser than a map, which says {error}: {shown}"),
        (Ok(_), Err(_)) => return assert!(names_a_checked_claim_twice(payload), "refused without cause: {shown}"),
        (Ok(map), Ok(claims)) => (map, claims),
    };
    assert!(!names_a_checked_claim_twice(payload), "a claim named twice: {shown}");
    for name in CHECKED {
        assert_eq!(claims.place(Name::of(name)), Some(&mut reference(&map, name)), "{name}: {shown}");
    }
}

/// A value as JSON text: every kind of value, number and escape, and some that are no JSON.
fn value() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        "-?[0-9]{1,25}(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
        Just("1e400".to_owned()),
    ];
    let leaf = prop_oneof![
        3 => text(),
        3 => number,
        2 => prop_oneof![Just("null"), Just("true"), Just("false")].prop_map(str::to_owned),
        1 => prop_oneof![Just("nul"), Just(""), Just("'a'"), Just("+1"), Just("01"), Just("NaN")].prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::vec((text(), inner), 0..4).prop_map(|members| object(&members)),
        ]
    })
}

/// A text in quotes, with plain characters, escapes good and bad, lone surrogates, control characters.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[ -!#-\\[\\]-~é€😀]{0,6}",
        1 => "\\\\[\"\\\\/bfnrtux]",
        1 => "\\\\u[0-9a-fA-FdD]{4}",
        1 => Just("\\ud83d\\ude00".to_owned()),
        1 => "[\\x00-\\x1f]",
    ];
    prop::collection::vec(piece, 0..3).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// A member's name: mostly a checked claim's, now and then written with an escape.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(&CHECKED[..]).prop_map(|name| format!("\"{name}\"")),
        1 => prop::sample::select(&CHECKED[..]).prop_map(|name| {
            let (first, rest) = name.split_at(1);
            format!("\"\\u{:04x}{rest}\"", first.as_bytes()[0])
        }),
        3 => text(),
    ]
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{{{}}}", members.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_payload_is_read_exactly_as_a_map_reads_it_but_for_doubled_claims(
        members in prop::collection::vec((name(), value()), 0..8),
        before in "[ \n\t]{0,2}",
        after in "[ \n]{0,1}[},x]{0,1}",
    ) {
        compare(format!("{before}{}{after}", object(&members)).as_bytes());
    }

    #[test]
    fn a_damaged_payload_is_refused_wherever_a_map_refuses_it(
        members in prop::collection::vec((name(), value()), 0..6),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut payload = object(&members).into_bytes();
        for (at, byte) in damage {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        compare(&payload);
        payload.truncate(cut.index(payload.len()));
        compare(&payload);
    }

    #[test]
    fn any_bytes_are_read_as_a_map_reads_them(payload in prop::collection::vec(any::<u8>(), 0..40)) {
        compare(&payload);
    }
}

#[test]
fn what_is_no_object_of_sound_json_is_refused() {
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let deep_checked = format!(r#"{{"aud":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let cases = [
        "",
        "null",
        "7",
        "[]",
        r#"["iss"]"#,
        r#""iss""#,
        "{",
        "{}}",
        "{} x",
        r#"{"x":1e400}"#,
        r#"{"exp":1e400}"#,
        r#"{"x":"\ud800"}"#,
        r#"{"x":"\u12"}"#,
        r#"{"x":01}"#,
        "{\"x\":\"\n\"}",
        r#"{"x":[1,]}"#,
        r#"{"x":1,}"#,
        r#"{1:2}"#,
        &deep,
        &deep_checked,
    ];
    for case in cases {
        assert!(Claims::read(case.as_bytes()).is_err(), "{case}");
        compare(case.as_bytes());
    }
    assert!(Claims::read(b"{\"x\":\"\xff\"}").is_err());
    compare(b"{\"x\":\"\xff\"}");
}

#[test]
fn a_checked_claim_that_is_named_twice_is_refused_and_any_other_is_not() {
    for name in CHECKED {
        assert!(Claims::read(format!(r#"{{"{name}":1,"x":2,"{name}":1}}"#).as_bytes()).is_err(), "{name}");
    }
    assert!(Claims::read(br#"{"sub":"a","\u0073ub":"b"}"#).is_err(), "an escape makes no other name");
    assert!(Claims::read(br#"{"sub":null,"sub":"b"}"#).is_err(), "nor does null make it absent");
    assert!(Claims::read(br#"{"x":1,"x":2}"#).is_ok());
}

#[test]
fn claims_are_read_as_what_they_are() {
    let payload = json!({
        "iss": "a\u{e9}\n", "aud": ["x", 7, ["y"], "z"], "exp": 1_790_000_000, "nbf": 1.5, "iat": -1, "tid": null,
        "roles": "Admin", "xms_emulator": true, "sub": {"iss": "inner"},
    });
    let payload = payload.to_string();
    let claims = Claims::read(payload.as_bytes()).unwrap();
    assert_eq!(claims.iss.text(), Some("aé\n"));
    assert_eq!(claims.aud.texts(), ["x", "z"]);
    assert_eq!(claims.exp, Claim::Number(1.79e9));
    assert_eq!((claims.nbf, claims.iat), (Claim::Number(1.5), Claim::Number(-1.0)));
    assert_eq!((&claims.tid, claims.tid.is_given()), (&Claim::Null, false));
    assert_eq!(claims.roles.texts(), ["Admin"]);
    assert!(claims.xms_emulator.is_given());
    assert_eq!(claims.sub, Claim::Other);
    assert_eq!(claims.oid, Claim::Absent);
}
