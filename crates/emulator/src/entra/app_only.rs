//! Client credentials: an app's own token.

use entrant_types::TenantId;

use super::issue::bearer;
use super::scopes;
use super::token::{Ask, Reply};
use crate::directory::TenantChoice;
use crate::faults::TokenKind;
use crate::refusal::Refusal;

pub(super) async fn client_credentials(ask: Ask<'_>) -> Result<Reply, Refusal> {
    let Ask { state, form, client, tenant, struck } = ask;
    let target = scopes::app_only(&state.directory, form.need("scope")?)?;
    let tenant: TenantId = match tenant {
        TenantChoice::One(tenant) => tenant.id,
        TenantChoice::Any => client.app.tenant,
    };
    let api = target.app.and_then(|index| state.directory.apps.get(index));
    let roles: Vec<String> = api.map_or_else(Vec::new, |api| {
        client.app.permissions.iter().filter(|(name, _)| *name == api.name).map(|(_, role)| role.clone()).collect()
    });
    if let Some(api) = api
        && api.assignment_required
        && roles.is_empty()
        && api.client_id != client.app.client_id
    {
        return Err(Refusal::new(
            501_051,
            format!(
                "Application '{}' ({}) is not assigned to a role for the application '{}' ({}).",
                client.app.client_id, client.app.name, api.client_id, api.name
            ),
            format!("Grant '{}' an application permission of '{}'.", client.app.name, api.name),
        ));
    }
    let life = struck.life().unwrap_or_else(|| state.access_life());
    let claims = state.claims(life).app_only(client.app, tenant, &target, client.auth, &roles);
    let token = state.sign(TokenKind::Access, claims, struck).await?;
    Ok(bearer(token.expose(), life))
}
