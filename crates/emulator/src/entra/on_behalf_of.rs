//! On behalf of: an API that was called with a person's token asks for one to call the next API with.

use entrant_proto::jose::{PublicKey, UnverifiedJwt};
use serde_json::Value;

use super::federation::text;
use super::grants::Consented;
use super::issue::issue;
use super::token::{Ask, Reply};
use crate::refusal::Refusal;

pub(super) async fn on_behalf_of(ask: Ask<'_>) -> Result<Reply, Refusal> {
    let wanted = ask.form.need("requested_token_use")?;
    if wanted != "on_behalf_of" {
        return Err(Refusal::new(
            70003,
            format!("requested_token_use is '{wanted}'."),
            "Send requested_token_use=on_behalf_of with the jwt-bearer grant.",
        ));
    }
    let token = UnverifiedJwt::parse(ask.form.need("assertion")?).map_err(|error| {
        Refusal::new(
            50027,
            format!("The assertion is not a well-formed JWT: {error}."),
            "Send the access token that the API was called with.",
        )
    })?;
    ask.form.need("scope")?;
    verify_signature(ask, &token).await?;
    let claims = token.unverified_claims();
    let now = ask.state.now().secs();
    if claims.get("exp").and_then(Value::as_i64).is_none_or(|exp| exp <= now) {
        return Err(Refusal::new(
            500_133,
            "The incoming assertion is not within its valid time range.",
            "Let the caller renew its token before it calls the API.",
        ));
    }
    let audience = text(claims, "aud");
    let own = ask.state.directory.resource(audience).and_then(|target| target.app);
    if own
        .and_then(|index| ask.state.directory.apps.get(index))
        .is_none_or(|app| app.client_id != ask.client.app.client_id)
    {
        return Err(Refusal::new(
            500_131,
            format!(
                "The assertion's audience '{audience}' is not the application '{}' that presents it.",
                ask.client.app.client_id
            ),
            format!("Call the API with a token for '{}', and let it present that one.", ask.client.app.name),
        ));
    }
    if !claims.contains_key("scp") {
        return Err(Refusal::new(
            7_000_113,
            "The incoming assertion is an app-only token; there is nobody to act for.",
            "Use client credentials instead when no person is involved.",
        ));
    }
    let person = ask.state.directory.person(text(claims, "oid")).ok_or_else(|| Refusal::bare(70000))?;
    let consented = Consented {
        person: person.oid,
        scope: ask.form.get("scope").unwrap_or_default().to_owned(),
        session: text(claims, "sid").to_owned(),
        signed_in: ask.state.now(),
        mfa: person.mfa,
        family: ask.state.grants.lock().new_family(),
    };
    issue(ask, &consented, None).await
}

async fn verify_signature(ask: Ask<'_>, token: &UnverifiedJwt) -> Result<(), Refusal> {
    let refuse = || {
        Refusal::new(
            50013,
            "The signature of the incoming assertion does not verify with a published key.",
            "Send the access token unchanged.",
        )
    };
    let keys = ask.state.keys.get().await.ok_or_else(refuse)?;
    let kid = token.header().kid.as_deref();
    let jwk = keys.published.iter().find(|jwk| kid.is_some() && jwk.kid.as_deref() == kid).ok_or_else(refuse)?;
    let key = PublicKey::from_jwk(jwk).map_err(|_| refuse())?;
    token.verify(&key).map_err(|_| refuse())
}
