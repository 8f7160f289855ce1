//! The second half of a sign-in: the callback is checked, the code redeemed, the ID token validated.

use entrant_proto::oauth::Form;
use entrant_types::{Code, Fault, Retry, Whose, metric};
use entrant_validate::{Expected, Metadata, Subject, Verified};

use crate::account::AccountTokens;
use crate::callback::refused;
use crate::client::scope_parameter;
use crate::sign_in::SIGN_IN;
use crate::{Account, Callback, ConfidentialClient, SignInFlow};

/// A finished sign-in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who signed in.
    pub account: Account,
    /// The validated ID token's claims.
    pub id_claims: Verified,
    /// The tokens, to be kept with the session.
    pub tokens: AccountTokens,
}

impl ConfidentialClient {
    /// Finishes a sign-in. The flow must be the one kept for this browser under the callback's state, and is
    /// used up by this call, whatever comes of it.
    ///
    /// # Errors
    /// A callback that does not answer the flow; the sign-in page's error; a refused code; an ID token that
    /// is not good.
    pub async fn redeem(&self, flow: SignInFlow, callback: Callback) -> Result<SignedIn, Fault> {
        let result = self.redeem_inner(flow, callback).await;
        let label = match &result {
            Ok(_) => "ok".to_owned(),
            Err(fault) => fault.codes.first().map_or_else(|| "error".to_owned(), ToString::to_string),
        };
        metrics::counter!(metric::SIGN_INS, "result" => label).increment(1);
        result
    }

    async fn redeem_inner(&self, flow: SignInFlow, callback: Callback) -> Result<SignedIn, Fault> {
        let inner = &self.inner;
        // The state first, also before an error is believed.
        if callback.state.as_ref() != Some(&flow.state) {
            return Err(refused("The sign-in page's answer belongs to another sign-in.", "state_mismatch"));
        }
        if inner.outside.clock.now() >= flow.expires() {
            return Err(refused("The sign-in took too long.", "sign_in_expired"));
        }
        let metadata = inner.discovery.metadata().await?;
        check_issuer(&callback, &metadata)?;
        if let Some(fault) = callback.error() {
            return Err(fault);
        }
        let code = callback.code.clone().ok_or_else(|| {
            refused("The sign-in page's answer has neither a code nor an error.", "callback_without_code")
        })?;
        let form = Form::new()
            .with("grant_type", "authorization_code")
            .with_secret("code", code)
            .with("redirect_uri", flow.redirect_uri.clone())
            .with_secret("code_verifier", flow.verifier.clone())
            .with("scope", scope_parameter(&flow.scopes, &SIGN_IN))
            .with("client_info", "1");
        let reply = inner.post(form, None, flow.claims.as_deref()).await?;
        let id_token = reply.id_token.as_ref().ok_or_else(no_id_token)?;
        let expected = Expected::SignIn { nonce: &flow.nonce, max_age: flow.max_age };
        let id_claims = inner
            .id_tokens(&metadata)
            .validate(id_token.expose(), expected)
            .await
            .map_err(|rejected| rejected.to_fault())?;
        check_callback_tenant(&callback, &id_claims)?;
        let account = Account::of(&id_claims, &reply, &inner.config.provider);
        let subject = Subject::of(&id_claims).ok_or_else(no_id_token)?;
        let mut tokens = AccountTokens::new(account.clone(), subject);
        tokens.absorb(&flow.scopes, &reply, inner.outside.clock.now());
        Ok(SignedIn { account, id_claims, tokens })
    }
}

/// RFC 9207: an answer that names its issuer must name ours; one that should name it must.
fn check_issuer(callback: &Callback, metadata: &Metadata) -> Result<(), Fault> {
    let mismatch = || refused("The sign-in page's answer comes from another identity provider.", "issuer_mismatch");
    match &callback.issuer {
        None if metadata.authorization_response_iss_parameter_supported => Err(mismatch()),
        None => Ok(()),
        Some(issuer) if entrant_validate::IssuerRule::new(&metadata.issuer).accepts_metadata(issuer) => Ok(()),
        Some(_) => Err(mismatch()),
    }
}

/// Of a multi-tenant authority the answer's issuer is known only now: it must be the ID token's.
fn check_callback_tenant(callback: &Callback, id_claims: &Verified) -> Result<(), Fault> {
    match &callback.issuer {
        Some(issuer) if !issuer.contains('{') && id_claims.issuer() != Some(issuer) => {
            Err(refused("The sign-in page's answer comes from another tenant than the ID token.", "issuer_mismatch"))
        }
        _ => Ok(()),
    }
}

fn no_id_token() -> Fault {
    Fault::new(
        Whose::Provider,
        "The identity provider signed the person in without saying who it is.",
        "Check that the authority is an OpenID Connect provider.",
    )
    .retry(Retry::Never)
    .code(Code::Entrant("id_token_missing"))
}
