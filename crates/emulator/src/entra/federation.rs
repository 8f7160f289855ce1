//! Federated identity credentials: a client assertion made by somebody else, really verified.
//!
//! One number per cause, as `workload-identity-federation-considerations.md` and published error reports give
//! them. Where no public source settles a number, the nearest documented one is used and the comment says so.

use entrant_proto::jose::{PublicKey, UnverifiedJwt};
use entrant_types::Timestamp;
use serde_json::{Map, Value};

use crate::directory::{App, FederatedCredential, Identity, Subject, TOKEN_EXCHANGE_AUDIENCE};
use crate::keys::Keys;
use crate::refusal::Refusal;
use crate::seed::IdentityKind;
use crate::state::State;

/// Entra accepts assertions that are this far off (its documented clock skew).
const SKEW_SECS: i64 = 300;

/// Verifies `token` against the federated credentials of `app` and names the one that accepts it.
pub(super) fn verify(state: &State, keys: &Keys, app: &App, token: &UnverifiedJwt) -> Result<String, Refusal> {
    if app.federated.is_empty() {
        return Err(Refusal::new(
            70025,
            format!("The client '{}' ({}) has no configured federated identity credentials.", app.client_id, app.name),
            "Add a federated credential to the app registration: issuer of the tenant, subject = the managed identity's principal id, audience api://AzureADTokenExchange.",
        ));
    }
    let claims = token.unverified_claims();
    let (issuer, subject) = (text(claims, "iss"), text(claims, "sub"));
    let own = own_issuer(state, issuer);
    if own {
        refuse_unusable_kinds(state, claims)?;
    }
    let same_issuer: Vec<&FederatedCredential> = app.federated.iter().filter(|fic| fic.issuer == issuer).collect();
    if same_issuer.is_empty() {
        return Err(wrong_issuer(app, issuer));
    }
    verify_signature(state, keys, token, own)?;
    verify_times(claims, state.now())?;
    let matching: Vec<&FederatedCredential> =
        same_issuer.iter().copied().filter(|fic| fic.subject.accepts(subject, claims)).collect();
    if matching.is_empty() {
        return Err(wrong_subject(state, app, &same_issuer, subject));
    }
    let audiences = audiences(claims);
    matching
        .iter()
        .find(|fic| audiences.iter().any(|audience| audience_matches(&fic.audience, audience)))
        .map(|fic| fic.name.clone())
        .ok_or_else(|| wrong_audience(app, &matching, &audiences))
}

impl Subject {
    fn accepts(&self, subject: &str, claims: &Map<String, Value>) -> bool {
        match self {
            Self::Exact(own) => own == subject,
            Self::Expression(expression) => expression.holds(claims),
        }
    }
}

/// The credential says `api://AzureADTokenExchange`; a managed identity's token carries the GUID behind it.
fn audience_matches(configured: &str, presented: &str) -> bool {
    configured == presented || (configured == crate::seed::EXCHANGE && presented == TOKEN_EXCHANGE_AUDIENCE)
}

fn own_issuer(state: &State, issuer: &str) -> bool {
    state
        .directory
        .tenants
        .iter()
        .any(|tenant| issuer == state.issuers.v2(tenant.id) || issuer == state.issuers.v1(tenant.id))
}

/// Entra takes from itself only user-assigned managed identities' tokens that were made for the exchange.
fn refuse_unusable_kinds(state: &State, claims: &Map<String, Value>) -> Result<(), Refusal> {
    let subject = text(claims, "sub");
    let audience = text(claims, "aud");
    let Some(identity) = state.directory.identity_by_principal(text(claims, "oid")) else {
        return Err(Refusal::new(
            700_226,
            format!("The assertion was issued by Entra to '{subject}', which is no managed identity."),
            "Send a user-assigned managed identity's token for api://AzureADTokenExchange, not a user's or an application's token.",
        ));
    };
    if identity.kind == IdentityKind::System {
        // Microsoft documents the refusal ("only user-assigned managed identities can be used as a credential") but
        // no number; 700222 is the documented number for tokens of Entra's own that federation does not take.
        return Err(Refusal::new(
            700_222,
            format!(
                "The assertion belongs to '{}', a system-assigned managed identity; it cannot be used as a federated credential.",
                identity.name
            ),
            "Create a user-assigned managed identity, assign it to the host, name its principal id in the federated credential and its client id in MANAGED_IDENTITY_CLIENT_ID.",
        ));
    }
    if claims.contains_key("xms_ficinfo") {
        return Err(Refusal::new(
            700_231,
            "The assertion was itself obtained by federation; federation cannot be chained.",
            "Use the managed identity's token directly.",
        ));
    }
    if text(claims, "ver") != "2.0" {
        return Err(wrong_kind_of_audience(700_227, identity, audience));
    }
    if audience != TOKEN_EXCHANGE_AUDIENCE {
        return Err(wrong_kind_of_audience(7_002_121, identity, audience));
    }
    Ok(())
}

fn wrong_kind_of_audience(number: u32, identity: &Identity, audience: &str) -> Refusal {
    Refusal::new(
        number,
        format!(
            "The token of managed identity '{}' was made for audience '{audience}', not for the token exchange.",
            identity.name
        ),
        "Ask the identity endpoint for resource api://AzureADTokenExchange and send that token as client_assertion.",
    )
}

fn verify_signature(state: &State, keys: &Keys, token: &UnverifiedJwt, own: bool) -> Result<(), Refusal> {
    let refuse = |why: &str| {
        Refusal::new(
            700_027,
            format!("The client assertion's signature cannot be verified: {why}."),
            "Send the token unchanged, as the identity endpoint returned it; it must be signed with RS256 by a published key of its issuer.",
        )
    };
    let kid = token.header().kid.as_deref().unwrap_or_default();
    let published;
    let set = if own {
        keys.published.as_slice()
    } else {
        published = state.external_keys(text(token.unverified_claims(), "iss"), keys);
        published.as_slice()
    };
    let jwk = set
        .iter()
        .find(|jwk| jwk.kid.as_deref() == Some(kid))
        .ok_or_else(|| refuse(&format!("no key '{kid}' is published by the issuer")))?;
    let key = PublicKey::from_jwk(jwk).map_err(|error| refuse(&error.to_string()))?;
    token.verify(&key).map_err(|error| refuse(&error.to_string()))
}

pub(super) fn verify_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), Refusal> {
    let moment = |name: &str| claims.get(name).and_then(Value::as_i64);
    let (from, until) = (moment("nbf").or_else(|| moment("iat")), moment("exp"));
    let fits = from.is_none_or(|from| from.saturating_sub(SKEW_SECS) <= now.secs())
        && until.is_some_and(|until| now.secs() < until.saturating_add(SKEW_SECS));
    if fits {
        return Ok(());
    }
    let show = |at: Option<i64>| at.map_or_else(|| "not given".to_owned(), |at| Timestamp::from_secs(at).to_string());
    Err(Refusal::new(
        700_024,
        format!(
            "The client assertion is not within its valid time range. Current time: {now}, assertion valid from {}, expiry time of assertion {}.",
            show(from),
            show(until)
        ),
        "Fetch a fresh token from the identity endpoint for every request (its library caches it), and check this machine's clock.",
    ))
}

fn wrong_issuer(app: &App, issuer: &str) -> Refusal {
    if let Some(fic) = app.federated.iter().find(|fic| fic.issuer.eq_ignore_ascii_case(issuer)) {
        return Refusal::new(
            7_002_137,
            format!(
                "The assertion's issuer '{issuer}' differs from that of federated credential '{}' in case only.",
                fic.name
            ),
            format!("Set the credential's issuer to exactly '{issuer}'."),
        );
    }
    let known: Vec<String> = app.federated.iter().map(|fic| format!("'{}' ({})", fic.issuer, fic.name)).collect();
    Refusal::new(
        700_211,
        format!("No matching federated identity record found for presented assertion issuer '{issuer}'."),
        format!(
            "Set the issuer of the federated credential on '{}' to '{issuer}'; it has {}. A managed identity's is the tenant's v2.0 issuer.",
            app.name,
            known.join(", ")
        ),
    )
}

fn wrong_subject(state: &State, app: &App, candidates: &[&FederatedCredential], subject: &str) -> Refusal {
    let mut exact = candidates.iter().filter_map(|fic| match &fic.subject {
        Subject::Exact(own) => Some((fic, own)),
        Subject::Expression(_) => None,
    });
    if let Some((fic, own)) = exact.clone().find(|(_, own)| own.eq_ignore_ascii_case(subject)) {
        return Refusal::new(
            7_002_138,
            format!(
                "The assertion's subject '{subject}' differs from '{own}' of federated credential '{}' in case only.",
                fic.name
            ),
            format!("Set the credential's subject to exactly '{subject}'."),
        );
    }
    if exact.clone().next().is_none() {
        return Refusal::new(
            7_002_131,
            format!("No flexible federated credential's expression matches the assertion with subject '{subject}'."),
            "Compare the expression with the assertion's claims, which the console shows.",
        );
    }
    let text = format!("No matching federated identity record found for presented assertion subject '{subject}'.");
    let mistaken =
        exact.find_map(|(fic, own)| state.directory.identity_by_client_id(own).map(|identity| (fic, identity)));
    let fix = if let Some((fic, identity)) = mistaken {
        format!(
            "Federated credential '{}' has the client id of managed identity '{}' as its subject; Entra compares with the principal (object) id. Set the subject to '{}'.",
            fic.name, identity.name, identity.principal
        )
    } else {
        let who = state
            .directory
            .identity_by_principal(subject)
            .map_or_else(String::new, |identity| format!(", the principal id of '{}',", identity.name));
        format!(
            "Set the subject of a federated credential on '{}' to '{subject}'{who} or send the token of the identity that it trusts.",
            app.name
        )
    };
    Refusal::new(700_213, text, fix)
}

fn wrong_audience(app: &App, candidates: &[&FederatedCredential], audiences: &[&str]) -> Refusal {
    let presented = audiences.join("', '");
    let known: Vec<String> = candidates.iter().map(|fic| format!("'{}' ({})", fic.audience, fic.name)).collect();
    Refusal::new(
        700_212,
        format!("No matching federated identity record found for presented assertion audience '{presented}'."),
        format!(
            "The federated credential on '{}' has audience {}; set it to api://AzureADTokenExchange and ask the identity endpoint for that resource.",
            app.name,
            known.join(", ")
        ),
    )
}

pub(super) fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> &'a str {
    claims.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn audiences(claims: &Map<String, Value>) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
