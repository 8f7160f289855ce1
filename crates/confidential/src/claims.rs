//! The `claims` parameter (OpenID Connect Core 1.0 §5.5): what we can handle, and what an API demands.

use serde_json::{Map, Value, json};

pub use entrant_proto::oauth::challenge::insufficient_claims;

/// 8 KiB: the longest demand that is passed on.
const MAX_CLAIMS_BYTES: usize = 8192;

/// The `claims` to send: the API's demand, if any, and that this client understands claims challenges
/// (capability `CP1`), which makes tokens long-lived and revocable (continuous access evaluation).
#[must_use]
pub(crate) fn request(demand: Option<&str>, capable: bool) -> Option<String> {
    let demand = demand
        .filter(|text| text.len() <= MAX_CLAIMS_BYTES)
        .and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    if !capable {
        return demand.map(|demand| Value::Object(demand).to_string());
    }
    let mut claims = demand.unwrap_or_default();
    let access = claims.entry("access_token").or_insert_with(|| json!({}));
    if !access.is_object() {
        *access = json!({});
    }
    access["xms_cc"] = json!({"values": ["CP1"]});
    Some(Value::Object(claims).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_capability_is_declared_beside_what_the_api_demands() {
        assert_eq!(request(None, true).unwrap(), r#"{"access_token":{"xms_cc":{"values":["CP1"]}}}"#);
        let both = request(Some(r#"{"access_token":{"nbf":{"essential":true,"value":"1"}}}"#), true).unwrap();
        assert!(both.contains("nbf") && both.contains("CP1"), "{both}");
        assert_eq!(request(Some(r#"{"id_token":{}}"#), false).unwrap(), r#"{"id_token":{}}"#);
        assert_eq!(request(None, false), None);
    }

    #[test]
    fn a_demand_that_is_no_json_object_is_not_passed_on() {
        for text in ["", "7", "[]", "{", "\"x\""] {
            assert_eq!(request(Some(text), false), None, "{text}");
        }
        assert!(request(Some(r#"{"access_token":7}"#), true).unwrap().contains("CP1"));
    }
}
