//! Authorization codes and refresh tokens, turned into tokens.

use aws_lc_rs::digest::{SHA256, digest};
use entrant_proto::jose::to_base64url;
use subtle::ConstantTimeEq as _;

use super::grants::{Code, Consented};
use super::issue::issue;
use super::token::{Ask, Reply};
use crate::directory::App;
use crate::refusal::Refusal;
use crate::seed::RefreshReuse;
use crate::state::State;

pub(super) async fn authorization_code(ask: Ask<'_>) -> Result<Reply, Refusal> {
    let presented = ask.form.need("code")?;
    let redirect_uri = ask.form.need("redirect_uri")?;
    let code = redeem(ask.state, presented, redirect_uri, ask.form.get("code_verifier"), ask.client.app)?;
    issue(ask, &code.consented, code.nonce.as_deref()).await
}

/// Takes the code if everything that it is bound to fits. A second redemption ends the whole family.
fn redeem(
    state: &State,
    presented: &str,
    redirect_uri: &str,
    verifier: Option<&str>,
    app: &App,
) -> Result<Code, Refusal> {
    let now = state.now();
    let mut grants = state.grants.lock();
    let unknown = || {
        Refusal::new(
            70000,
            "The provided value for the 'code' parameter is not valid.",
            "Start the sign-in again; the emulator forgets codes when it stops.",
        )
    };
    let code = grants.codes.get_mut(presented).ok_or_else(unknown)?;
    if code.redeemed {
        let family = code.consented.family;
        grants.revoke(family, 50173);
        return Err(Refusal::new(
            54005,
            "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.",
            "Redeem a code once only; do not reload the callback page. The tokens made from it were revoked.",
        ));
    }
    if code.expires <= now {
        return Err(Refusal::new(
            70008,
            format!("The authorization code expired at {}.", code.expires),
            "Redeem the code within ten minutes; start the sign-in again.",
        ));
    }
    if code.client != app.client_id {
        return Err(Refusal::new(
            70000,
            format!("The authorization code was issued to another client than '{}'.", app.client_id),
            "Redeem the code with the client id that asked for it.",
        ));
    }
    if code.redirect_uri != redirect_uri {
        return Err(Refusal::new(
            50011,
            format!(
                "The redirect URI '{redirect_uri}' differs from '{}' of the authorization request.",
                code.redirect_uri
            ),
            "Send the same redirect_uri to the authorization and the token endpoint.",
        ));
    }
    check_verifier(code, verifier)?;
    code.redeemed = true;
    Ok(code.clone())
}

fn check_verifier(code: &Code, verifier: Option<&str>) -> Result<(), Refusal> {
    let refuse = |why: &str| {
        Refusal::new(
            501_481,
            format!(
                "The Code_Verifier does not match the code_challenge supplied in the authorization request: {why}."
            ),
            "Keep the verifier of the same sign-in; two tabs must not share one.",
        )
    };
    match (&code.challenge, verifier) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(refuse("there was no challenge")),
        (Some(_), None) => Err(refuse("there is no verifier")),
        (Some((challenge, hashed)), Some(verifier)) => {
            let computed =
                if *hashed { to_base64url(digest(&SHA256, verifier.as_bytes()).as_ref()) } else { verifier.to_owned() };
            let same: bool = computed.as_bytes().ct_eq(challenge.as_bytes()).into();
            if same { Ok(()) } else { Err(refuse("it is another one")) }
        }
    }
}

pub(super) async fn refresh_token(ask: Ask<'_>) -> Result<Reply, Refusal> {
    let consented = use_refresh_token(ask.state, ask.form.need("refresh_token")?, ask.client.app)?;
    issue(ask, &consented, None).await
}

fn use_refresh_token(state: &State, presented: &str, app: &App) -> Result<Consented, Refusal> {
    let now = state.now();
    let mut grants = state.grants.lock();
    let refuse = |number: u32, text: &str, fix: &str| Err(Refusal::new(number, text, fix));
    let Some(refresh) = grants.refresh.get(presented).cloned() else {
        return refuse(
            70000,
            "The refresh token is not known.",
            "Sign in again; the emulator forgets tokens when it stops.",
        );
    };
    if let Some(number) = grants.revoked(refresh.consented.family) {
        return refuse(number, "The grant was revoked: a fresh sign-in is needed.", "Sign in again.");
    }
    if refresh.client != app.client_id {
        return refuse(
            70000,
            "The refresh token was issued to another client.",
            "Use the client id that signed the user in.",
        );
    }
    if refresh.expires <= now {
        return refuse(700_082, "The refresh token has expired due to inactivity.", "Sign in again.");
    }
    if refresh.used && state.sign_in.refresh_reuse == RefreshReuse::RevokeFamily {
        grants.revoke(refresh.consented.family, 50173);
        return refuse(
            70000,
            "The refresh token was already used; its whole family is revoked.",
            "Replace the stored refresh token by the new one of every reply.",
        );
    }
    if let Some(kept) = grants.refresh.get_mut(presented) {
        kept.used = true;
    }
    Ok(refresh.consented)
}
