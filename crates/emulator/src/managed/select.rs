//! Which identity a request means, and its token.

use std::collections::BTreeMap;

use super::{Issued, Refused};
use crate::directory::Identity;
use crate::faults::{Struck, TokenKind};
use crate::journal::TokenView;
use crate::state::State;

pub(super) type Query = BTreeMap<String, String>;

/// The identity that `client_id`, `object_id`, `msi_res_id` or `mi_res_id` names, or the default one.
pub(super) fn identity<'a>(state: &'a State, query: &Query) -> Result<&'a Identity, Refused> {
    let directory = &state.directory;
    let selectors: Vec<(&str, &String)> =
        ["client_id", "clientid", "object_id", "principal_id", "msi_res_id", "mi_res_id"]
            .into_iter()
            .filter_map(|name| query.get(name).filter(|value| !value.is_empty()).map(|value| (name, value)))
            .collect();
    if selectors.len() > 1 {
        return Err(Refused::new(
            400,
            "invalid_request",
            "Only one of client_id, object_id and resource id may be given.",
            "Name the identity once.",
        ));
    }
    let mut host = directory.host.iter().filter_map(|index| directory.identities.get(*index));
    let Some((name, value)) = selectors.first() else {
        return directory.host_default.and_then(|index| directory.identities.get(index)).ok_or_else(|| {
            let text = if directory.host.is_empty() { "No managed identity is assigned to this host." } else { "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request." };
            Refused::new(400, "invalid_request", text, "Set MANAGED_IDENTITY_CLIENT_ID to the client id of one, or give the host a default identity in the seed.")
        });
    };
    let names = |identity: &&Identity| match *name {
        "client_id" | "clientid" => identity.client_id.to_string().eq_ignore_ascii_case(value),
        "object_id" | "principal_id" => identity.principal.to_string().eq_ignore_ascii_case(value),
        _ => identity.resource_id.eq_ignore_ascii_case(value),
    };
    host.find(names).ok_or_else(|| unknown(state, name, value))
}

fn unknown(state: &State, name: &str, value: &str) -> Refused {
    let directory = &state.directory;
    let fix = if directory.identities.iter().any(|identity| {
        identity.client_id.to_string().eq_ignore_ascii_case(value)
            || identity.principal.to_string().eq_ignore_ascii_case(value)
    }) {
        if name == "client_id" && directory.identity_by_principal(value).is_some() {
            "That is a principal (object) id; client_id wants the client id.".to_owned()
        } else if name == "object_id" && directory.identity_by_client_id(value).is_some() {
            "That is a client id; object_id wants the principal (object) id.".to_owned()
        } else {
            "The identity exists but is not assigned to this host: add it under [host] in the seed.".to_owned()
        }
    } else if directory.app_by_client_id(value).is_some() {
        "That is the client id of an app registration; the identity endpoint wants a managed identity's.".to_owned()
    } else {
        let known: Vec<String> = directory
            .host
            .iter()
            .filter_map(|index| directory.identities.get(*index))
            .map(|identity| format!("{} = {}", identity.name, identity.client_id))
            .collect();
        format!("Client ids of this host's identities: {}.", known.join(", "))
    };
    Refused::new(400, "invalid_request", format!("Identity not found: {name} '{value}'."), fix)
}

/// The token of `identity` for `resource`: the same one until half its life has passed, as the platform does it.
pub(super) async fn token(
    state: &State,
    identity: &Identity,
    resource: &str,
    struck: &Struck,
) -> Result<std::sync::Arc<Issued>, Refused> {
    if resource.is_empty() {
        return Err(Refused::new(
            400,
            "invalid_resource",
            "AADSTS50001: The application named '' was not found: the query has no resource.",
            "Add resource, such as https://redis.azure.com or api://AzureADTokenExchange.",
        ));
    }
    let now = state.now();
    let special = struck.touches_tokens();
    if let Some(kept) = state.identity_tokens.get(identity, resource, now, struck.repeats_token()).filter(|_| !special)
    {
        return Ok(kept);
    }
    let Some(target) = state.directory.resource(resource) else {
        return Err(Refused::new(
            400,
            "invalid_resource",
            format!("AADSTS500011: The resource principal named '{resource}' was not found in the tenant."),
            "Check the resource: the text of a scope without /.default, such as https://redis.azure.com.",
        ));
    };
    let lifetimes = &state.lifetimes;
    let bare = resource.trim_end_matches('/');
    let seconds = lifetimes.resource.get(resource).or_else(|| lifetimes.resource.get(bare)).copied();
    let life = std::time::Duration::from_secs(u64::from(seconds.or(lifetimes.managed_identity).unwrap_or(3600)));
    let life = struck.life().unwrap_or(life);
    let claims = state.claims(life).managed_identity(identity, state.directory.host_resource(), &target);
    let token = state
        .sign(TokenKind::Access, claims, struck)
        .await
        .map_err(|refusal| Refused::new(503, "server_error", refusal.text, refusal.fix))?;
    let issued = Issued {
        view: TokenView::of("access token", token.expose()),
        token,
        expires: now + life,
        from: now - std::time::Duration::from_secs(300),
        resource: resource.to_owned(),
        client_id: identity.client_id.to_string(),
    };
    if special {
        return Ok(std::sync::Arc::new(issued));
    }
    Ok(state.identity_tokens.put(identity, resource, issued, now))
}
