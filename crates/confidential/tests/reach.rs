//! Every client authentication with every grant, and every kind of authority.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at a broken promise")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use entrant_confidential::{
    Account, Callback, ConfidentialClient, ConfidentialConfig, Issuer, MemoryTokenStore, Origin, Provider,
};
use entrant_credential::sources::Certificate;
use entrant_credential::{ClientAssertion, ClientAuth};
use entrant_proto::jose::{PublicKey, SigningKey, UnverifiedJwt};
use entrant_proto::oauth::Authority;
use entrant_types::emulation::World;
use entrant_types::{BoxFuture, Fault, Scope, Secret};
use serde_json::json;
use support::*;

/// An assertion of the caller's own, a new one for every request.
#[derive(Debug, Default)]
struct Counting(std::sync::atomic::AtomicUsize);

impl ClientAssertion for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn assertion(&self) -> BoxFuture<'_, Result<Secret, Fault>> {
        let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(Secret::new(format!("assertion-{number}")))))
    }
}

/// Uses every grant once; the proofs that were sent with them.
async fn proofs(auth: ClientAuth, field: &str) -> Vec<String> {
    let entra = Entra::new();
    let config = ConfidentialConfig { client_auth: auth, ..config() };
    let client = ConfidentialClient::new(config, entra.outside(1)).unwrap();
    let store = MemoryTokenStore::new();
    store.put("alice", sign_in(&entra, &client).await.unwrap().tokens).unwrap();
    entra.stage.clock.advance(Duration::from_secs(3600));
    client.acquire_silent(&store.partition("alice"), &Scope::new(API)).await.unwrap();
    client.client_credentials(&Scope::new("api://protected/.default"), None).await.unwrap();
    client.on_behalf_of(&Secret::from("caller"), None, &[Scope::new("User.Read")], None).await.unwrap();
    let posts = entra.state().posts.clone();
    let grants: Vec<_> = posts.iter().map(|post| post["grant_type"].as_str()).collect();
    assert_eq!(
        grants,
        ["authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"]
    );
    assert!(posts.iter().all(|post| post["client_id"] == CLIENT));
    posts.iter().map(|post| post[field].clone()).collect()
}

#[tokio::test]
async fn every_grant_proves_the_client_in_the_same_way() {
    assert_eq!(proofs(secret_auth(), "client_secret").await, ["the-client-secret"; 4]);
    let assertion = ClientAuth::Assertion(Arc::new(Counting::default()));
    let sent = proofs(assertion, "client_assertion").await;
    assert_eq!(sent, ["assertion-0", "assertion-1", "assertion-2", "assertion-3"]);

    let (key, der) = SigningKey::generate("").unwrap();
    let pair = rcgen::KeyPair::try_from(der.as_slice()).unwrap();
    let public = rcgen::CertificateParams::new(vec!["app.example".to_owned()]).unwrap().self_signed(&pair).unwrap();
    let pem = format!("{}{}", pair.serialize_pem(), public.pem());
    let certificate = ClientAuth::Certificate(Arc::new(Certificate::read(pem.as_bytes(), None).unwrap()));
    let sent = proofs(certificate, "client_assertion").await;
    for assertion in &sent {
        let jwt = UnverifiedJwt::parse(assertion).unwrap();
        jwt.verify_client_assertion(&PublicKey::from_jwk(&key.jwk()).unwrap()).unwrap();
        assert_eq!(jwt.unverified_claims()["aud"], json!(format!("{BASE}/{TENANT}/oauth2/v2.0/token")));
    }
    assert_eq!(sent.iter().collect::<std::collections::HashSet<_>>().len(), 4, "no assertion is sent twice");
}

/// A sign-in and a renewal at an authority as in production: nothing is dialled, but every host is real.
async fn works_at(provider: impl Into<Provider>, issuer: &str, base: &str, id_claims: serde_json::Value) -> Account {
    let entra = Entra::new();
    entra.stage.http.any_host();
    entra.state().metadata = Some(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "end_session_endpoint": format!("{base}/oauth2/v2.0/logout"),
    }));
    entra.state().id_claims = Some(with(json!({"iss": issuer, "xms_emulator": null}), Some(id_claims)));
    let provider = provider.into();
    let consent = provider.entra().is_none();
    let config = ConfidentialConfig::new(provider, CLIENT.parse().unwrap(), secret_auth(), World::Azure);
    let client = ConfidentialClient::new(config, entra.outside(1)).unwrap();
    let (url, flow) = client.begin_sign_in(request()).await.unwrap();
    assert!(url.as_str().starts_with(base), "{url}");
    assert_eq!(url.query_pairs().any(|pair| pair == ("prompt".into(), "consent".into())), consent, "{url}");
    let callback = Callback::parse(&entra.authorize(&url)).unwrap();
    let signed_in = client.redeem(flow, callback).await.unwrap();
    let (account, store) = (signed_in.account, MemoryTokenStore::new());
    store.put("alice", signed_in.tokens).unwrap();
    entra.stage.clock.advance(Duration::from_secs(3600));
    let acquired = client.acquire_silent(&store.partition("alice"), &Scope::new(API)).await.unwrap();
    assert_eq!(acquired.origin, Origin::Refreshed);
    let host = url.host_str().unwrap();
    assert!(entra.stage.http.requests().iter().all(|request| request.url.contains(host)), "one host is asked");
    account
}

fn authority(url: &str) -> Authority {
    Authority::from_url(url).unwrap()
}

#[tokio::test]
async fn every_cloud_signs_people_in_at_its_own_host() {
    for host in ["login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn"] {
        let base = format!("https://{host}/{TENANT}");
        works_at(authority(&base), &format!("{base}/v2.0"), &base, json!({})).await;
    }
}

#[tokio::test]
async fn an_authority_named_by_domain_signs_people_in() {
    let base = "https://login.microsoftonline.com/contoso.example";
    works_at(authority(base), &format!("https://login.microsoftonline.com/{TENANT}/v2.0"), base, json!({})).await;
}

#[tokio::test]
async fn b2c_and_external_id_sign_people_in() {
    let base = "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_in";
    let issuer = format!("https://contoso.b2clogin.com/{TENANT}/v2.0/");
    works_at(authority(base), &issuer, base, json!({"tid": null, "tfp": "B2C_1_in"})).await;
    let base = format!("https://contoso.ciamlogin.com/{TENANT}");
    works_at(authority(&base), &format!("https://{TENANT}.ciamlogin.com/{TENANT}/v2.0"), &base, json!({})).await;
}

#[tokio::test]
async fn another_provider_signs_a_person_in_by_subject_and_issuer_alone() {
    let base = "https://id.example/realms/one";
    let account = works_at(Issuer::parse(base).unwrap(), base, base, json!({})).await;
    assert_eq!(account.home_account_id.as_str(), "alice-here.https://id.example/realms/one");
    assert_eq!((account.tenant_id, account.object_id), (None, None), "though `tid`, `oid` and `client_info` came");
}

#[tokio::test]
async fn another_provider_is_never_the_emulator() {
    let base = "https://localhost:8443/realms/one";
    let config =
        |world| ConfidentialConfig::new(Issuer::parse(base).unwrap(), CLIENT.parse().unwrap(), secret_auth(), world);
    let entra = Entra::new();
    let refused = ConfidentialClient::new(config(World::Emulator), entra.outside(1)).unwrap_err();
    assert!(refused.is("wrong_world"), "{refused}");
    entra.state().metadata = Some(json!({"issuer": base, "authorization_endpoint": format!("{base}/authorize"),
        "end_session_endpoint": null}));
    entra.state().id_claims = Some(json!({"iss": base}));
    let client = ConfidentialClient::new(config(World::Azure), entra.outside(1)).unwrap();
    let refused = sign_in(&entra, &client).await.unwrap_err();
    assert!(refused.is("world"), "a token with the emulator's mark: {refused}");
}
