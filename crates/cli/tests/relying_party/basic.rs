//! The Basic relying-party plan: what may be wrong with an ID token.

use entrant_emulator::Endpoint;

use crate::lab::Lab;
use crate::module::Module;

/// One sign-in under the module's rule ends as the page promises.
async fn signs_in(name: &str) -> Lab {
    let (lab, module) = (Lab::new().await, Module::named(name));
    lab.set(module).await;
    module.judge(lab.sign_in().await);
    lab
}

#[tokio::test]
async fn plain() {
    signs_in("plain").await;
}

#[tokio::test]
async fn invalid_iss() {
    signs_in("invalid-iss").await;
}

#[tokio::test]
async fn missing_sub() {
    signs_in("missing-sub").await;
}

#[tokio::test]
async fn invalid_aud() {
    signs_in("invalid-aud").await;
}

#[tokio::test]
async fn missing_iat() {
    signs_in("missing-iat").await;
}

#[tokio::test]
async fn kid_absent_single_jwks() {
    signs_in("kid-absent-single-jwks").await;
}

#[tokio::test]
async fn kid_absent_multiple_jwks() {
    let (lab, module) = (Lab::new().await, Module::named("kid-absent-multiple-jwks"));
    lab.rotate().await;
    lab.set(module).await;
    module.judge(lab.sign_in().await);
}

#[tokio::test]
async fn idtoken_sig_rs256() {
    let (lab, module) = (Lab::new().await, Module::named("idtoken-sig-rs256"));
    let signed_in = lab.sign_in().await;
    let name = signed_in.as_ref().ok().and_then(|signed_in| signed_in.account.name.clone());
    assert_eq!(name.as_deref(), Some("Alice Archer"));
    assert!(lab.calls(Endpoint::Keys) > 0, "the signature was checked with the published key");
    module.judge(signed_in);
}

#[tokio::test]
async fn idtoken_sig_none() {
    signs_in("idtoken-sig-none").await;
}

#[tokio::test]
async fn invalid_sig_rs256() {
    signs_in("invalid-sig-rs256").await;
}

#[tokio::test]
async fn userinfo_invalid_sub() {
    let lab = signs_in("userinfo-invalid-sub").await;
    assert_eq!(lab.calls(Endpoint::UserInfo), 0);
}

#[tokio::test]
async fn nonce_invalid() {
    signs_in("nonce-invalid").await;
}

#[tokio::test]
async fn scope_userinfo_claims() {
    let (lab, module) = (Lab::new().await, Module::named("scope-userinfo-claims"));
    let signed_in = lab.sign_in().await;
    let account = signed_in.as_ref().unwrap().account.clone();
    assert_eq!(account.username.as_deref(), Some("alice@contoso.example"));
    assert_eq!(account.name.as_deref(), Some("Alice Archer"));
    assert_eq!(lab.calls(Endpoint::UserInfo), 0);
    module.judge(signed_in);
}
