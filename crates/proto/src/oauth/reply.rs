//! A token endpoint's reply, in every shape in which it comes (RFC 6749 §5.1 and what Entra adds).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entrant_types::outside::HttpReply;
use entrant_types::{AccessToken, Code, Fault, HomeAccountId, Lifetime, Secret, Timestamp, Whose};
use serde_json::{Map, Value};

use super::error::TokenError;
use super::{http_date, seconds};

/// RFC 6749 §5.1 only recommends `expires_in`. Entra's shortest default life is an hour; five minutes for a
/// reply that does not say keeps the token usable and makes it be renewed soon.
const LIFE_WHEN_UNSAID: u64 = 300;

/// A successful reply.
#[derive(Clone, Debug)]
pub struct TokenReply {
    /// The access token; absent only from a B2C reply to a request for nothing but an ID token.
    pub access_token: Option<AccessToken>,
    /// The refresh token, when `offline_access` was granted. Replaces the one that was sent.
    pub refresh_token: Option<Secret>,
    /// The ID token, unverified.
    pub id_token: Option<Secret>,
    /// Whose account it is.
    pub client_info: Option<ClientInfo>,
    /// The granted scopes, separated by spaces; absent when they are those that were asked for.
    pub scope: Option<String>,
    /// By how many milliseconds the endpoint's clock is ahead of ours, from its `Date` header.
    pub skew_millis: Option<i64>,
}

/// `client_info`: where the account's home is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// Object id in the home tenant.
    pub uid: String,
    /// The home tenant.
    pub utid: String,
}

impl ClientInfo {
    /// From the reply's base64url text.
    #[must_use]
    pub fn parse(encoded: &str) -> Option<Self> {
        let json: Map<String, Value> =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).ok()?).ok()?;
        let field = |name: &str| json.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Some(Self { uid: field("uid")?, utid: field("utid")? })
    }

    /// `uid.utid`.
    #[must_use]
    pub fn home_account_id(&self) -> HomeAccountId {
        HomeAccountId::new(&self.uid, &self.utid)
    }
}

impl TokenReply {
    /// Reads a reply that was received at `now`.
    ///
    /// # Errors
    /// An OAuth error reply, or a success without any token, as a fault with its codes.
    pub fn parse(reply: &HttpReply, now: Timestamp) -> Result<Self, Fault> {
        if reply.status != 200 {
            return Err(TokenError::parse(reply).into_fault(reply, now));
        }
        let fields: Map<String, Value> =
            serde_json::from_slice(&reply.body).map_err(|_| unusable(reply, "is not a JSON object"))?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let secret = |name: &str| text(name).map(Secret::from);
        let access_token =
            secret("access_token").map(|secret| AccessToken { secret, lifetime: lifetime(&fields, now) });
        let id_token = secret("id_token");
        if access_token.is_none() && id_token.is_none() {
            return Err(unusable(reply, "holds no token"));
        }
        if let Some(kind) = text("token_type").filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(unusable(reply, &format!("is of type {:?} instead of Bearer", super::error::quoted(kind))));
        }
        Ok(Self {
            access_token,
            refresh_token: secret("refresh_token"),
            id_token,
            client_info: text("client_info").and_then(ClientInfo::parse),
            scope: text("scope").map(str::to_owned),
            skew_millis: http_date::skew_millis(reply, now),
        })
    }

    /// The access token, where the request was for one.
    ///
    /// # Errors
    /// The reply had none.
    pub fn access(&self) -> Result<AccessToken, Fault> {
        self.access_token.clone().ok_or_else(|| {
            Fault::new(
                Whose::Provider,
                "the token endpoint's reply holds an ID token but no access token",
                "Ask for a scope of an API besides openid and profile.",
            )
            .code(Code::Entrant("reply_without_access_token"))
        })
    }
}

/// Life from receipt: `expires_in` is what is left now, whatever `iat` and either clock say.
fn lifetime(fields: &Map<String, Value>, now: Timestamp) -> Lifetime {
    let life = seconds::span(fields.get("expires_in")).unwrap_or(LIFE_WHEN_UNSAID);
    let refresh = seconds::span(fields.get("refresh_in")).filter(|refresh| *refresh > 0 && *refresh < life);
    Lifetime {
        received: now,
        refresh_at: refresh.map(|refresh| now + Duration::from_secs(refresh)),
        expires: now + Duration::from_secs(life),
    }
}

fn unusable(reply: &HttpReply, how: &str) -> Fault {
    Fault::new(
        Whose::Provider,
        format!("the token endpoint's reply ({} bytes) {how}", reply.body.len()),
        "Check that the authority is Entra's and that no proxy or sign-in page answers in its place.",
    )
    .code(Code::Entrant("reply_unusable"))
    .code(Code::Http(reply.status))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn parse(body: Value) -> Result<TokenReply, Fault> {
        TokenReply::parse(&HttpReply { status: 200, headers: Vec::new(), body: body.to_string().into_bytes() }, NOW)
    }

    #[test]
    fn expires_in_may_be_a_number_or_a_string() {
        for value in [json!(3599), json!("3599"), json!(3599.0)] {
            let reply = parse(json!({"access_token": "t", "expires_in": value, "token_type": "Bearer"})).unwrap();
            assert_eq!(reply.access().unwrap().lifetime.expires, NOW + Duration::from_secs(3599));
        }
    }

    #[test]
    fn a_reply_that_says_no_life_is_used_briefly() {
        let token = parse(json!({"access_token": "t"})).unwrap().access().unwrap();
        assert_eq!(token.lifetime.left(NOW), Duration::from_secs(LIFE_WHEN_UNSAID));
    }

    #[test]
    fn refresh_in_is_kept_unless_it_makes_no_sense() {
        let at = |refresh: Value| {
            let body = json!({"access_token": "t", "expires_in": 86399, "refresh_in": refresh});
            parse(body).unwrap().access().unwrap().lifetime.refresh_at
        };
        assert_eq!(at(json!(43199)), Some(NOW + Duration::from_secs(43199)));
        assert_eq!(at(json!("43199")), Some(NOW + Duration::from_secs(43199)));
        assert_eq!(at(json!(0)), None);
        assert_eq!(at(json!(90000)), None);
    }

    #[test]
    fn the_account_is_read_from_client_info() {
        let info = URL_SAFE_NO_PAD.encode(r#"{"uid":"u","utid":"t"}"#);
        let reply = parse(json!({"access_token": "t", "client_info": info, "refresh_token": "", "scope": "a b"}));
        let reply = reply.unwrap();
        assert_eq!(reply.client_info.unwrap().home_account_id().as_str(), "u.t");
        assert_eq!(reply.refresh_token, None);
        assert_eq!(reply.scope.as_deref(), Some("a b"));
    }

    #[test]
    fn a_success_without_a_token_is_a_fault() {
        assert!(parse(json!({"expires_in": 1})).unwrap_err().is("reply_unusable"));
        assert!(parse(json!([])).unwrap_err().is("reply_unusable"));
        assert!(parse(json!({"access_token": "t", "token_type": "mac"})).unwrap_err().is("reply_unusable"));
        assert!(parse(json!({"id_token": "t"})).unwrap().access().unwrap_err().is("reply_without_access_token"));
    }
}
