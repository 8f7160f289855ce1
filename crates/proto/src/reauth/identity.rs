//! Whose token it is, and what a refusal by Redis means.

use entrant_types::{AccessToken, Code, Fault, ObjectId, Retry, Whose};

use crate::jose::UnverifiedJwt;

/// The object id for the user name of `AUTH`: the token's `oid` claim, strictly. Redis verifies the token; we
/// only read it. There is no fallback: a token sent under another user name would at best be refused.
///
/// # Errors
/// The token is no JWT, or has no `oid` that is a GUID.
pub fn object_id(token: &AccessToken) -> Result<ObjectId, Fault> {
    let claims = UnverifiedJwt::parse(token.secret.expose()).map_err(|error| {
        unusable(format!("the access token for Redis is not a JWT ({error}), so its object id cannot be read"))
    })?;
    let oid = claims.unverified_claims().get("oid").and_then(serde_json::Value::as_str);
    let oid = oid.ok_or_else(|| unusable("the access token for Redis has no oid claim".to_owned()))?;
    oid.parse().map_err(|_| unusable("the oid claim of the access token for Redis is not a GUID".to_owned()))
}

fn unusable(what: String) -> Fault {
    let fix = "Ask for a token of a managed identity or service principal for the scope \
               https://redis.azure.com/.default; its oid claim is the Redis user name.";
    Fault::new(Whose::Configuration, what, fix).retry(Retry::Never).code(Code::Entrant("redis_no_object_id"))
}

/// Redis at `server` refused `AUTH` as `object_id` with the error word `code` (empty: without any reply).
#[must_use]
pub fn refusal(server: &str, object_id: ObjectId, code: &str) -> Fault {
    let fault = match code {
        "WRONGPASS" | "" => Fault::new(
            Whose::Configuration,
            format!("Redis at {server} refused the token of object id {object_id}"),
            format!(
                "Assign a Redis access policy to object id {object_id} (the principal id, not the client id), and \
                 check that the token is for https://redis.azure.com and of the right tenant."
            ),
        ),
        "NOAUTH" | "NOPERM" => Fault::new(
            Whose::Configuration,
            format!("Redis at {server} does not let object id {object_id} in ({code})"),
            format!("Check the access policy assignment of object id {object_id}."),
        ),
        _ => Fault::new(
            Whose::Provider,
            format!("Redis at {server} answered AUTH as object id {object_id} with the error {code}"),
            "Check that the server accepts Entra authentication and is not loading or out of connections.",
        ),
    };
    let code = if code.is_empty() { "WRONGPASS" } else { code };
    fault.code(Code::Redis(code.to_owned()))
}

#[cfg(test)]
mod tests {
    use entrant_types::{Lifetime, Secret, Timestamp};

    use super::*;
    use base64::Engine as _;

    fn token(claims: &str) -> AccessToken {
        let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        let moment = Timestamp::from_secs(0);
        AccessToken {
            secret: Secret::new(format!("{}.{}.{}", part(r#"{"alg":"RS256"}"#), part(claims), part("signature"))),
            lifetime: Lifetime { received: moment, refresh_at: None, expires: moment },
        }
    }

    #[test]
    fn the_user_name_is_the_oid_claim_and_never_a_guess() {
        let oid = "0a1b2c3d-0000-1111-2222-333344445555";
        assert_eq!(object_id(&token(&format!(r#"{{"oid":"{oid}"}}"#))).unwrap().to_string(), oid);
        for claims in [
            "{}",
            r#"{"oid":null}"#,
            r#"{"oid":"default"}"#,
            r#"{"sub":"0a1b2c3d-0000-1111-2222-333344445555"}"#,
            // What a search for text would find.
            r#"{"note":"\"oid\":\"0a1b2c3d-0000-1111-2222-333344445555\""}"#,
            r#"{"inner":{"oid":"0a1b2c3d-0000-1111-2222-333344445555"}}"#,
        ] {
            assert!(object_id(&token(claims)).unwrap_err().is("redis_no_object_id"), "{claims}");
        }
    }

    #[test]
    fn a_refusal_names_the_object_id_and_the_access_policy() {
        let oid: ObjectId = "0a1b2c3d-0000-1111-2222-333344445555".parse().unwrap();
        let text = refusal("cache:10000", oid, "WRONGPASS").to_string();
        assert!(text.starts_with("WRONGPASS: ") && text.contains("access policy"), "{text}");
        assert!(text.contains(&oid.to_string()));
    }
}
