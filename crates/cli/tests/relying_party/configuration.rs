//! The Configuration plan: metadata, keys, and their rotation.

use entrant_emulator::Endpoint;

use crate::lab::Lab;
use crate::module::Module;

#[tokio::test]
async fn discovery_openid_config() {
    let (lab, module) = (Lab::new().await, Module::named("discovery-openid-config"));
    module.judge(lab.client.warm().await);
    assert_eq!(lab.calls(Endpoint::Metadata), 1);
    module.judge(lab.sign_in().await);
    assert_eq!(lab.calls(Endpoint::Metadata), 1, "fetched once for any number of sign-ins");
}

#[tokio::test]
async fn discovery_jwks_uri_keys() {
    let (lab, module) = (Lab::new().await, Module::named("discovery-jwks-uri-keys"));
    module.judge(lab.client.warm().await);
    assert_eq!(lab.calls(Endpoint::Keys), 1);
    module.judge(lab.sign_in().await);
    assert_eq!(lab.calls(Endpoint::Keys), 1, "fetched once for any number of sign-ins");
}

#[tokio::test]
async fn discovery_issuer_mismatch() {
    let (lab, module) = (Lab::new().await, Module::named("discovery-issuer-mismatch"));
    lab.set(module).await;
    module.judge(lab.authorize().await);
    assert_eq!(lab.calls(Endpoint::Authorize) + lab.calls(Endpoint::Keys), 0, "nothing in the document is used");
}

#[tokio::test]
async fn signing_key_rotation() {
    let (lab, module) = (Lab::new().await, Module::named("signing-key-rotation"));
    module.judge(lab.sign_in().await);
    lab.rotate().await;
    module.judge(lab.sign_in().await);
    module.judge(lab.sign_in().await);
    assert_eq!(lab.calls(Endpoint::Keys), 2, "the unknown key id was looked for once");
}

#[tokio::test]
async fn signing_key_rotation_just_before_signing() {
    let (lab, module) = (Lab::new().await, Module::named("signing-key-rotation-just-before-signing"));
    lab.client.warm().await.unwrap();
    let (flow, callback) = lab.authorize().await.unwrap();
    lab.rotate().await;
    module.judge(lab.client.redeem(flow, callback).await);
    assert_eq!(lab.calls(Endpoint::Keys), 2);
}
