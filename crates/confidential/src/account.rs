//! One account's tokens for one application: the value that a session keeps.

use std::collections::BTreeMap;
use std::time::Duration;

use entrant_proto::oauth::TokenReply;
use entrant_types::{AccessToken, HomeAccountId, Lifetime, ObjectId, Scope, Secret, TenantId, Timestamp};
use entrant_validate::{Subject, Verified};
use serde::{Deserialize, Serialize};

use crate::{Provider, exposed};

/// Scopes about the sign-in itself, which belong to no API (OpenID Connect Core 1.0 §5.4, §11).
const SIGN_IN_SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// So many resources in one session: more are a mistake, and each token takes 2 KiB of the session's record.
const MAX_RESOURCES: usize = 32;

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The account, the same in every tenant. With [`tenant_id`](Self::tenant_id) and
    /// [`object_id`](Self::object_id) what users are to be keyed by: never by name or mail address, which
    /// their administrators can change.
    pub home_account_id: HomeAccountId,
    /// The tenant signed in to.
    pub tenant_id: Option<TenantId>,
    /// The user's object in that tenant.
    pub object_id: Option<ObjectId>,
    /// The sign-in name (`preferred_username`), to be shown.
    pub username: Option<String>,
    /// The person's name, to be shown.
    pub name: Option<String>,
    /// What makes sign-out skip the account picker (optional claim `login_hint`).
    #[serde(default)]
    pub login_hint: Option<String>,
    /// The session at Entra (`sid`, optional claim), which front-channel sign-out names.
    #[serde(default)]
    pub session_id: Option<String>,
}

impl Account {
    pub(crate) fn of(token: &Verified, reply: &TokenReply, provider: &Provider) -> Self {
        let owned = |name: &str| token.text(name).map(str::to_owned);
        let of_entra = provider.entra().is_some();
        let home_account_id = match &reply.client_info {
            // Subject and issuer together: unique by definition (OpenID Connect Core 1.0 §5.7).
            _ if !of_entra => {
                HomeAccountId::new(token.subject().unwrap_or_default(), token.issuer().unwrap_or_default())
            }
            Some(info) => info.home_account_id(),
            // B2C sends no client_info: the subject is then all there is.
            None => HomeAccountId::new(
                token.text("oid").or_else(|| token.subject()).unwrap_or_default(),
                token.text("tid").unwrap_or_default(),
            ),
        };
        Self {
            home_account_id,
            tenant_id: token.tenant_id().filter(|_| of_entra),
            object_id: token.object_id().filter(|_| of_entra),
            username: owned("preferred_username").or_else(|| owned("upn")),
            name: owned("name"),
            login_hint: owned("login_hint"),
            session_id: owned("sid"),
        }
    }
}

/// One account's tokens for one application, by resource. A serde value that holds secrets in clear: whoever
/// stores it seals it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountTokens {
    /// Whose they are.
    pub account: Account,
    pub(crate) subject: Subject,
    #[serde(with = "exposed::optional", default)]
    pub(crate) refresh_token: Option<Secret>,
    access: BTreeMap<String, CachedAccess>,
    /// Who is renewing at this moment, across all replicas.
    #[serde(default)]
    pub(crate) lease: Option<Lease>,
}

/// An access token with what it is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CachedAccess {
    #[serde(with = "exposed")]
    secret: Secret,
    received: Timestamp,
    refresh_at: Option<Timestamp>,
    expires: Timestamp,
    /// Asked for and granted, in lower case.
    scopes: Vec<String>,
}

/// The right to use the refresh token, for a short time. Taken and given back by compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// 128 random bits, hexadecimal: proves at the end that the lease is still one's own.
    pub(crate) holder: String,
    pub(crate) until: Timestamp,
}

impl AccountTokens {
    pub(crate) fn new(account: Account, subject: Subject) -> Self {
        Self { account, subject, refresh_token: None, access: BTreeMap::new(), lease: None }
    }

    /// Takes over what a token reply brought for `asked`.
    pub(crate) fn absorb(&mut self, asked: &[Scope], reply: &TokenReply, now: Timestamp) {
        if let Some(refresh_token) = &reply.refresh_token {
            self.refresh_token = Some(refresh_token.clone());
        }
        let (Some(token), Some(resource)) = (&reply.access_token, resource_of(asked)) else { return };
        let granted = reply.scope.as_deref().unwrap_or_default().split_ascii_whitespace();
        let asked = asked.iter().map(Scope::as_str);
        let mut scopes: Vec<String> = granted.chain(asked).map(str::to_ascii_lowercase).collect();
        scopes.sort_unstable();
        scopes.dedup();
        let Lifetime { received, refresh_at, expires } = token.lifetime;
        let cached = CachedAccess { secret: token.secret.clone(), received, refresh_at, expires, scopes };
        self.access.retain(|_, held| now < held.expires);
        if self.access.len() >= MAX_RESOURCES
            && let Some(soonest) = self.access.iter().min_by_key(|(_, held)| held.expires).map(|(key, _)| key.clone())
        {
            self.access.remove(&soonest);
        }
        self.access.insert(resource, cached);
    }

    /// The cached access token for `scopes`, expired or not.
    pub(crate) fn find(&self, scopes: &[Scope]) -> Option<AccessToken> {
        let held = self.access.get(&resource_of(scopes)?)?;
        let covers = |scope: &Scope| {
            let scope = scope.as_str().to_ascii_lowercase();
            SIGN_IN_SCOPES.contains(&scope.as_str()) || held.scopes.binary_search(&scope).is_ok()
        };
        if !scopes.iter().all(covers) {
            return None;
        }
        let lifetime = Lifetime { received: held.received, refresh_at: held.refresh_at, expires: held.expires };
        Some(AccessToken { secret: held.secret.clone(), lifetime })
    }

    /// Every cached access token by resource: when it was received and when it ends.
    pub fn lifetimes(&self) -> impl Iterator<Item = (&str, Lifetime)> {
        self.access.iter().map(|(resource, held)| {
            let CachedAccess { received, refresh_at, expires, .. } = held;
            (resource.as_str(), Lifetime { received: *received, refresh_at: *refresh_at, expires: *expires })
        })
    }

    /// Whether tokens can be renewed without the person.
    #[must_use]
    pub fn can_refresh(&self) -> bool {
        self.refresh_token.is_some()
    }

    /// When the last of the access tokens ends; `None` without any.
    #[must_use]
    pub fn last_expiry(&self) -> Option<Timestamp> {
        self.access.values().map(|held| held.expires).max()
    }
}

/// When a token is to be renewed ahead of its end: when its issuer says so, or at three quarters of its life.
#[must_use]
pub fn due_at(lifetime: &Lifetime) -> Timestamp {
    let life = lifetime.received.until(lifetime.expires);
    lifetime.refresh_at.unwrap_or(lifetime.received + life * 3 / 4)
}

/// A token that ends within this time is not handed out: it must survive the way to the API.
pub(crate) const MARGIN: Duration = Duration::from_secs(5);

/// The resource of a set of scopes: the text before the last slash of the first scope that is an API's.
/// `User.Read` alone means Microsoft Graph. `None` when there is nothing but sign-in scopes.
pub(crate) fn resource_of(scopes: &[Scope]) -> Option<String> {
    let scope = scopes.iter().map(Scope::as_str).find(|scope| !is_sign_in_scope(scope))?;
    match scope.rsplit_once('/') {
        Some((resource, _)) => Some(resource.to_ascii_lowercase()),
        None => Some("https://graph.microsoft.com".to_owned()),
    }
}

pub(crate) fn is_sign_in_scope(scope: &str) -> bool {
    SIGN_IN_SCOPES.iter().any(|own| own.eq_ignore_ascii_case(scope))
}
