//! Tokens for the application itself, and for a caller on whose behalf an API goes on to another.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest;
use entrant_proto::oauth::{Form, JWT_BEARER_GRANT};
use entrant_types::{AccessToken, Clock, Fault, Scope, Secret, TenantId, Timestamp};

use crate::account::{MARGIN, due_at};
use crate::client::scope_parameter;
use crate::turnstile::Turnstile;
use crate::{ConfidentialClient, SilentError};

/// So many tokens are kept: 4 KiB each. Beyond it, those that are over are forgotten, then any.
const MAX_SLOTS: usize = 10_000;

/// Tokens by what they were asked for.
#[derive(Debug, Default)]
pub(crate) struct AppTokens(Mutex<HashMap<String, Arc<Slot>>>);

#[derive(Debug, Default)]
struct Slot {
    turnstile: Turnstile,
    token: ArcSwapOption<AccessToken>,
}

impl ConfidentialClient {
    /// A token for the application itself (RFC 6749 §4.4). The scope ends in `/.default`. Cached; one request
    /// for all who ask.
    ///
    /// # Errors
    /// The token endpoint's refusal, or no reply. A refusal is never cached.
    pub async fn client_credentials(&self, scope: &Scope, tenant: Option<TenantId>) -> Result<AccessToken, Fault> {
        let inner = &self.inner;
        let tenant_key = tenant.map(|tenant| tenant.to_string()).unwrap_or_default();
        let slot = inner.app.slot(format!("cc {tenant_key} {scope}"), inner.outside.clock.now());
        let request = async {
            let form = Form::new().with("grant_type", "client_credentials").with("scope", scope.as_str());
            let reply = inner.post(form, tenant, None).await.and_then(|reply| reply.access());
            reply.map_err(|fault| SilentError::from_grant(fault, std::slice::from_ref(scope), None))
        };
        Ok(slot.token(inner.outside.clock.as_ref(), request).await?)
    }

    /// A token for another API on behalf of whoever sent `assertion`, an access token for this application
    /// that was validated before. `claims` is what the other API demanded. Cached for each assertion.
    ///
    /// # Errors
    /// [`SilentError::Interaction`] carries what the caller's own client must ask its user for: answer 401 with
    /// it.
    pub async fn on_behalf_of(
        &self,
        assertion: &Secret,
        tenant: Option<TenantId>,
        scopes: &[Scope],
        claims: Option<&str>,
    ) -> Result<AccessToken, SilentError> {
        let inner = &self.inner;
        let scope = scope_parameter(scopes, &[]);
        let hash = digest::digest(&digest::SHA256, assertion.expose().as_bytes());
        let hash = entrant_proto::jose::to_base64url(hash.as_ref());
        let key = format!("obo {hash} {scope} {}", claims.unwrap_or_default());
        let slot = inner.app.slot(key, inner.outside.clock.now());
        let request = async {
            let form = Form::new()
                .with("grant_type", JWT_BEARER_GRANT)
                .with("requested_token_use", "on_behalf_of")
                .with_secret("assertion", assertion.clone())
                .with("scope", scope.clone());
            let reply = inner.post(form, tenant, claims).await.and_then(|reply| reply.access());
            reply.map_err(|fault| SilentError::from_grant(fault, scopes, claims))
        };
        slot.token(inner.outside.clock.as_ref(), request).await
    }
}

impl AppTokens {
    fn slot(&self, key: String, now: Timestamp) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&key) {
            return Arc::clone(slot);
        }
        if slots.len() >= MAX_SLOTS {
            slots.retain(|_, slot| slot.valid(now).is_some());
        }
        if slots.len() >= MAX_SLOTS
            && let Some(any) = slots.keys().next().cloned()
        {
            slots.remove(&any);
        }
        let slot = Arc::new(Slot::default());
        slots.insert(key, Arc::clone(&slot));
        slot
    }
}

impl Slot {
    fn valid(&self, now: Timestamp) -> Option<AccessToken> {
        let held = self.token.load();
        held.as_deref().filter(|token| token.lifetime.is_valid(now + MARGIN)).cloned()
    }

    /// The cached token while it serves, renewed ahead of its end; else one request for all who wait.
    async fn token(
        &self,
        clock: &dyn Clock,
        request: impl Future<Output = Result<AccessToken, SilentError>>,
    ) -> Result<AccessToken, SilentError> {
        let now = clock.now();
        let held = self.valid(now);
        let turn = match &held {
            Some(token) if now < due_at(&token.lifetime) => return Ok(token.clone()),
            Some(token) => match self.turnstile.try_enter(now) {
                Some(turn) => turn,
                None => return Ok(token.clone()),
            },
            None => self.turnstile.enter(now).await?,
        };
        if held.is_none()
            && let Some(token) = self.valid(clock.now())
        {
            return Ok(token);
        }
        match request.await {
            Ok(token) => {
                self.token.store(Some(Arc::new(token.clone())));
                turn.succeeded();
                Ok(token)
            }
            Err(error) => {
                turn.failed(&error, clock.now());
                held.ok_or(error)
            }
        }
    }
}
