//! The first half of a sign-in: the address to send the browser to, and what to remember until it comes back.

use std::time::Duration;

use entrant_proto::oauth::Pkce;
use entrant_types::{Fault, Scope, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::client::{Inner, parse_url, scope_parameter};
use crate::{ConfidentialClient, claims, exposed};

/// What the person is asked to do (OpenID Connect Core 1.0 §3.1.2.1, and Entra's own values).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Sign in again even with a session.
    Login,
    /// Choose an account.
    SelectAccount,
    /// Grant consent again.
    Consent,
    /// Nothing: fail with `login_required` or `interaction_required` instead of showing a page.
    None,
    /// Make an account (External ID).
    Create,
}

impl Prompt {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::SelectAccount => "select_account",
            Self::Consent => "consent",
            Self::None => "none",
            Self::Create => "create",
        }
    }
}

/// What a sign-in asks for. Only these parameters can be chosen: nothing that a visitor sends can override
/// the client's own.
#[derive(Clone, Debug, Default)]
pub struct SignInRequest {
    /// Where the browser comes back to: registered, absolute, from configuration and never from the request.
    pub redirect_uri: String,
    /// Scopes of one API; `openid`, `profile` and `offline_access` are added.
    pub scopes: Vec<Scope>,
    /// Scopes of other APIs to consent to at once; their tokens are acquired silently later.
    pub extra_scopes: Vec<Scope>,
    /// What the person is asked to do.
    pub prompt: Option<Prompt>,
    /// The sign-in name to fill in.
    pub login_hint: Option<String>,
    /// The domain whose sign-in page to go to directly.
    pub domain_hint: Option<String>,
    /// What an API or the token endpoint demanded ([`Interaction::claims`](crate::Interaction::claims)).
    pub claims: Option<String>,
    /// The person must have signed in no longer ago than this.
    pub max_age: Option<Duration>,
    /// How long the person may take; `None` for [`SignInFlow::LIFE`].
    pub limit: Option<Duration>,
    /// The answer comes as a form that the sign-in page posts (`response_mode=form_post`) instead of in the query:
    /// [`Callback::parse`](crate::Callback::parse) reads its body. State, nonce and PKCE are the same. A post from
    /// another site carries no `SameSite=Lax` cookie: the one that finds the flow must be `SameSite=None; Secure`.
    pub form_post: bool,
}

/// A sign-in under way: state, nonce, PKCE verifier and what was asked, as one serde value. It holds secrets
/// in clear: keep it sealed, bound to the browser, once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignInFlow {
    #[serde(with = "exposed")]
    pub(crate) state: Secret,
    #[serde(with = "exposed")]
    pub(crate) nonce: Secret,
    #[serde(with = "exposed")]
    pub(crate) verifier: Secret,
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Vec<Scope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) claims: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_age: Option<Duration>,
    pub(crate) begun: Timestamp,
    pub(crate) ends: Timestamp,
}

impl SignInFlow {
    /// Ten minutes, as long as an authorization code lives.
    pub const LIFE: Duration = Duration::from_secs(600);

    /// What the callback will repeat: the key under which to keep the flow.
    #[must_use]
    pub fn state(&self) -> &Secret {
        &self.state
    }

    /// When the flow ends.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.ends
    }
}

impl ConfidentialClient {
    /// Begins a sign-in: the authorization code flow with PKCE (S256), state and nonce.
    ///
    /// # Errors
    /// When the authority's metadata cannot be had.
    pub async fn begin_sign_in(&self, request: SignInRequest) -> Result<(Url, SignInFlow), Fault> {
        let inner = &self.inner;
        let metadata = inner.discovery.metadata().await?;
        let mut random = [0; 32];
        inner.outside.entropy.fill(&mut random);
        let pkce = Pkce::from_random(&random);
        let begun = inner.outside.clock.now();
        let flow = SignInFlow {
            state: Secret::new(inner.random_text()),
            nonce: Secret::new(inner.random_text()),
            verifier: pkce.verifier,
            redirect_uri: request.redirect_uri,
            scopes: request.scopes,
            claims: request.claims,
            max_age: request.max_age,
            begun,
            ends: begun + request.limit.unwrap_or(SignInFlow::LIFE),
        };
        let asked = flow.scopes.iter().chain(&request.extra_scopes);
        let scope = scope_parameter(asked, &SIGN_IN);
        let max_age = flow.max_age.map(|age| age.as_secs().to_string());
        let claims = claims::request(flow.claims.as_deref(), inner.config.claims_challenges);
        let mut url = parse_url(&metadata.authorization_endpoint)?;
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("client_id", &inner.config.client_id.to_string())
                .append_pair("response_type", "code")
                .append_pair("response_mode", if request.form_post { "form_post" } else { "query" })
                .append_pair("redirect_uri", &flow.redirect_uri)
                .append_pair("scope", &scope)
                .append_pair("state", flow.state.expose())
                .append_pair("nonce", flow.nonce.expose())
                .append_pair("code_challenge", &pkce.challenge)
                .append_pair("code_challenge_method", "S256")
                .append_pair("client_info", "1");
            let optional = [
                ("prompt", inner.prompt(request.prompt)),
                ("login_hint", request.login_hint.as_deref()),
                ("domain_hint", request.domain_hint.as_deref()),
                ("claims", claims.as_deref()),
                ("max_age", max_age.as_deref()),
            ];
            for (name, value) in optional {
                if let Some(value) = value {
                    query.append_pair(name, value);
                }
            }
        }
        Ok((url, flow))
    }
}

impl Inner {
    /// What the page is to do. OpenID Connect Core 1.0 §11 has `offline_access` ignored without `consent`; Entra asks
    /// for consent when it is missing, and otherwise not.
    fn prompt(&self, wanted: Option<Prompt>) -> Option<&'static str> {
        let needed = self.config.provider.entra().is_none().then_some(Prompt::Consent);
        wanted.or(needed).map(Prompt::as_str)
    }
}

/// Added to every sign-in: an ID token with names, and a refresh token.
pub(crate) const SIGN_IN: [&str; 3] = ["openid", "profile", "offline_access"];
