//! Tokens without the person: from the session's cache, or by one refresh for all who ask, in all replicas.
//!
//! Inside a process a turnstile admits one request to a session's refresh token. Across processes the right to
//! use it is a lease in the session's own record, taken and given back by compare-and-set: whoever lost the
//! lease can no longer write, so an old refresh token never displaces a newer one.

use std::sync::Arc;
use std::time::Duration;

use entrant_proto::oauth::{Form, TokenReply};
use entrant_types::{AccessToken, Code, Fault, Retry, Scope, Secret, Timestamp, Whose, metric};
use entrant_validate::Expected;

use crate::account::{AccountTokens, Lease, MARGIN, due_at, resource_of};
use crate::client::{Inner, scope_parameter};
use crate::sign_in::SIGN_IN;
use crate::store::{Replaced, TokenStore, Versioned};
use crate::turnstile::Turn;
use crate::{ConfidentialClient, SilentError};

/// The whole refresh must end within this time: assertion and token request.
const REFRESH_LIMIT: Duration = Duration::from_secs(15);
/// Longer than [`REFRESH_LIMIT`], so that the lease of a live holder outlasts its request.
const LEASE: Duration = Duration::from_secs(20);
/// How often somebody who waits for another replica looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Compare-and-set conflicts in a row before giving up: each means that somebody else got on.
const MAX_CONFLICTS: usize = 16;

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SilentRequest {
    /// Scopes of one API.
    pub scopes: Vec<Scope>,
    /// What the API demanded with its 401 ([`claims::insufficient_claims`](crate::claims::insufficient_claims)).
    pub claims: Option<String>,
    /// Do not serve the cached token: the API refused it.
    pub fresh: bool,
}

impl SilentRequest {
    /// The token for these scopes, from the cache if possible.
    #[must_use]
    pub fn new(scopes: impl Into<Vec<Scope>>) -> Self {
        Self { scopes: scopes.into(), ..Self::default() }
    }

    /// A new token that meets what the API demanded.
    #[must_use]
    pub fn with_claims(mut self, claims: impl Into<String>) -> Self {
        self.claims = Some(claims.into());
        self.fresh = true;
        self
    }
}

impl From<&[Scope]> for SilentRequest {
    fn from(scopes: &[Scope]) -> Self {
        Self::new(scopes)
    }
}

impl From<&Scope> for SilentRequest {
    fn from(scope: &Scope) -> Self {
        Self::new([scope.clone()])
    }
}

/// Where a token came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the session: nothing was sent.
    Cache,
    /// From the token endpoint, just now.
    Refreshed,
}

/// A token, and what its holder may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquired {
    /// The token.
    pub token: AccessToken,
    /// Where it came from.
    pub origin: Origin,
    /// A renewal was due and failed; the token still serves. A refusal in here (not a passing failure) means
    /// that the session will end with the token.
    pub renewal_failed: Option<SilentError>,
}

/// What the cache has to offer.
enum Cached {
    Fresh(AccessToken),
    Due(AccessToken),
    Nothing,
}

impl ConfidentialClient {
    /// A token for the account behind `store`: from its cache, or by its refresh token. A token that still
    /// serves is never lost to a failed renewal.
    ///
    /// May be dropped at any point: the next caller takes over. (A refresh token that the endpoint rotated for
    /// a dropped call is lost; Entra keeps the former one valid.)
    ///
    /// # Errors
    /// By what to do next: send the person to sign in, end the session, mend the configuration, try later.
    pub async fn acquire_silent(
        &self,
        store: &dyn TokenStore,
        request: impl Into<SilentRequest>,
    ) -> Result<Acquired, SilentError> {
        let result = self.inner.silent(store, &request.into()).await;
        let label = match &result {
            Ok(Acquired { origin: Origin::Cache, .. }) => "cache",
            Ok(_) => "refreshed",
            Err(_) => "error",
        };
        metrics::counter!(metric::SILENT_ACQUISITIONS, "result" => label).increment(1);
        result
    }
}

impl Inner {
    async fn silent(&self, store: &dyn TokenStore, request: &SilentRequest) -> Result<Acquired, SilentError> {
        if resource_of(&request.scopes).is_none() {
            return Err(SilentError::Refused(no_resource()));
        }
        let held = load(store).await?;
        let now = self.outside.clock.now();
        match look(&held.tokens, request, None, now) {
            Cached::Fresh(token) => Ok(Acquired::cached(token)),
            Cached::Due(token) => self.renew_ahead(store, held, request, token).await,
            Cached::Nothing => self.renew_or_wait(store, held, request).await,
        }
    }

    /// The token still serves: renew it unless somebody is at it or just failed.
    async fn renew_ahead(
        &self,
        store: &dyn TokenStore,
        held: Versioned,
        request: &SilentRequest,
        token: AccessToken,
    ) -> Result<Acquired, SilentError> {
        let turnstile = self.turnstiles.of(store.partition());
        let now = self.outside.clock.now();
        let Some(turn) = turnstile.try_enter(now).filter(|turn| !leased(&held.tokens, turn, now)) else {
            return Ok(Acquired::cached(token));
        };
        match self.renew(store, held, request, None, &turn).await {
            Ok(acquired) => {
                turn.succeeded();
                Ok(acquired)
            }
            Err(SilentError::SignedOut(fault)) => Err(SilentError::SignedOut(fault)),
            Err(error) => {
                tracing::warn!(fault = %error, "a renewal ahead of time failed; the token still serves");
                turn.failed(&error, self.outside.clock.now());
                Ok(Acquired { renewal_failed: Some(error), ..Acquired::cached(token) })
            }
        }
    }

    /// Nothing serves: go to the token endpoint, or wait for whoever went.
    async fn renew_or_wait(
        &self,
        store: &dyn TokenStore,
        held: Versioned,
        request: &SilentRequest,
    ) -> Result<Acquired, SilentError> {
        let turnstile = self.turnstiles.of(store.partition());
        let refused = held.tokens.find(&request.scopes).map(|token| token.secret);
        let turn = turnstile.enter(self.outside.clock.now()).await?;
        let renewed = async {
            let held = load(store).await?;
            let now = self.outside.clock.now();
            if let Cached::Fresh(token) | Cached::Due(token) = look(&held.tokens, request, refused.as_ref(), now) {
                return Ok(Acquired::cached(token));
            }
            self.renew(store, held, request, refused.as_ref(), &turn).await
        };
        match renewed.await {
            Ok(acquired) => {
                turn.succeeded();
                Ok(acquired)
            }
            Err(error) => {
                turn.failed(&error, self.outside.clock.now());
                Err(error)
            }
        }
    }

    /// Takes the lease, refreshes, writes back. `refused` is the token that the caller no longer wants.
    async fn renew(
        &self,
        store: &dyn TokenStore,
        mut held: Versioned,
        request: &SilentRequest,
        refused: Option<&Secret>,
        turn: &Turn<'_>,
    ) -> Result<Acquired, SilentError> {
        let holder = self.random_text();
        let deadline = self.outside.clock.now() + LEASE * 2;
        let mut conflicts = 0;
        let leased = loop {
            let now = self.outside.clock.now();
            if leased(&held.tokens, turn, now) {
                if now >= deadline {
                    return Err(SilentError::Unavailable(contended()));
                }
                self.outside.clock.sleep_until(now + LOOK_AGAIN).await;
            } else {
                if held.tokens.refresh_token.is_none() {
                    return Err(SilentError::interaction(
                        &request.scopes,
                        request.claims.clone(),
                        false,
                        no_refresh_token(),
                    ));
                }
                let mut tokens = AccountTokens::clone(&held.tokens);
                tokens.lease = Some(Lease { holder: holder.clone(), until: now + LEASE });
                turn.takes_lease(&holder);
                match store.replace(held.version, &tokens).await.map_err(SilentError::Unavailable)? {
                    Replaced::Done(version) => break Versioned { version, tokens: Arc::new(tokens) },
                    Replaced::Gone => return Err(SilentError::signed_out()),
                    Replaced::Conflict => conflicts += 1,
                }
                if conflicts > MAX_CONFLICTS {
                    return Err(SilentError::Unavailable(contended()));
                }
            }
            held = load(store).await?;
            let now = self.outside.clock.now();
            if let Cached::Fresh(token) | Cached::Due(token) = look(&held.tokens, request, refused, now) {
                return Ok(Acquired::cached(token));
            }
        };
        let outcome = self.refresh(&leased.tokens, request).await;
        self.settle(store, leased, &holder, request, outcome).await
    }

    /// One refresh-token request, its ID token validated (OpenID Connect Core 1.0 §12.2).
    async fn refresh(&self, tokens: &AccountTokens, request: &SilentRequest) -> Result<TokenReply, SilentError> {
        let refresh_token = tokens.refresh_token.clone().unwrap_or_else(|| Secret::from(""));
        let form = Form::new()
            .with("grant_type", "refresh_token")
            .with_secret("refresh_token", refresh_token)
            .with("scope", scope_parameter(&request.scopes, &SIGN_IN))
            .with("client_info", "1");
        let demand = request.claims.as_deref();
        let post = self.post(form, tokens.account.tenant_id, demand);
        let reply = match tokio::time::timeout(REFRESH_LIMIT, post).await {
            Ok(reply) => reply.map_err(|fault| SilentError::from_grant(fault, &request.scopes, demand))?,
            Err(_) => return Err(SilentError::Unavailable(too_slow())),
        };
        reply.access().map_err(SilentError::Refused)?;
        if let Some(id_token) = &reply.id_token {
            let metadata = self.discovery.metadata().await.map_err(SilentError::Unavailable)?;
            let expected = Expected::Renewal(&tokens.subject);
            let validated = self.id_tokens(&metadata).validate(id_token.expose(), expected).await;
            validated.map_err(|rejected| match rejected {
                entrant_validate::Rejected::KeysUnavailable(fault) => SilentError::Unavailable(*fault),
                rejected => SilentError::Refused(rejected.to_fault()),
            })?;
        }
        Ok(reply)
    }

    /// Gives the lease back, with the new tokens if there are any, unless somebody else holds it by now.
    async fn settle(
        &self,
        store: &dyn TokenStore,
        mut held: Versioned,
        holder: &str,
        request: &SilentRequest,
        outcome: Result<TokenReply, SilentError>,
    ) -> Result<Acquired, SilentError> {
        for _ in 0..=MAX_CONFLICTS {
            if held.tokens.lease.as_ref().is_none_or(|lease| lease.holder != holder) {
                // Fenced: another replica renewed in the meantime. What we got is good, but not ours to keep.
                break;
            }
            let mut tokens = Arc::unwrap_or_clone(held.tokens);
            tokens.lease = None;
            if let Ok(reply) = &outcome {
                tokens.absorb(&request.scopes, reply, self.outside.clock.now());
            }
            match store.replace(held.version, &tokens).await {
                Ok(Replaced::Done(_)) => break,
                Ok(Replaced::Gone) => return Err(SilentError::signed_out()),
                Ok(Replaced::Conflict) => held = load(store).await?,
                Err(fault) => {
                    // The token is good even if it cannot be kept; the lease runs out by itself.
                    tracing::warn!(%fault, "renewed tokens could not be stored");
                    break;
                }
            }
        }
        let token = outcome?.access().map_err(SilentError::Refused)?;
        Ok(Acquired { token, origin: Origin::Refreshed, renewal_failed: None })
    }
}

impl Acquired {
    fn cached(token: AccessToken) -> Self {
        Self { token, origin: Origin::Cache, renewal_failed: None }
    }
}

impl Lease {
    /// A lease that ends later than any could was written by a clock that is wrong: it does not count.
    fn holds(&self, now: Timestamp) -> bool {
        now < self.until && self.until <= now + LEASE * 2
    }
}

/// Whether another replica is renewing.
fn leased(tokens: &AccountTokens, turn: &Turn<'_>, now: Timestamp) -> bool {
    tokens.lease.as_ref().is_some_and(|lease| lease.holds(now) && !turn.was_abandoned(&lease.holder))
}

/// What the cache offers. With `fresh` only a token that is not the one `refused` will do: one that somebody
/// else got meanwhile.
fn look(tokens: &AccountTokens, request: &SilentRequest, refused: Option<&Secret>, now: Timestamp) -> Cached {
    let Some(token) = tokens.find(&request.scopes) else { return Cached::Nothing };
    if request.fresh && refused.is_none_or(|refused| *refused == token.secret) {
        return Cached::Nothing;
    }
    if !token.lifetime.is_valid(now + MARGIN) {
        return Cached::Nothing;
    }
    if now < due_at(&token.lifetime) || !tokens.can_refresh() { Cached::Fresh(token) } else { Cached::Due(token) }
}

async fn load(store: &dyn TokenStore) -> Result<Versioned, SilentError> {
    let held = store.load().await.map_err(SilentError::Unavailable)?;
    held.ok_or_else(SilentError::signed_out)
}

fn no_resource() -> Fault {
    Fault::new(
        Whose::Configuration,
        "No scope of an API is asked for.",
        "Name a scope such as api://API_CLIENT_ID/access_as_user.",
    )
    .retry(Retry::Never)
    .code(Code::Entrant("scope_without_resource"))
}

fn no_refresh_token() -> Fault {
    Fault::new(Whose::Caller, "The session has no refresh token for a new token.", "Sign in again.")
        .retry(Retry::Never)
        .code(Code::Entrant("no_refresh_token"))
}

fn contended() -> Fault {
    Fault::new(Whose::Provider, "The session is written to too often to renew its tokens.", "Try again in a moment.")
        .code(Code::Entrant("session_contended"))
}

fn too_slow() -> Fault {
    let what = format!("The token endpoint gave no token within {} s.", REFRESH_LIMIT.as_secs());
    Fault::new(Whose::Provider, what, "Try again in a moment.").code(Code::Entrant("refresh_timeout"))
}
