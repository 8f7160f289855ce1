//! Federated credentials: every way in which an assertion can be wrong has its own AADSTS number and its own fix.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

mod support;

use std::time::Duration;

use entrant_emulator::{Effect, Endpoint, FaultRule, TokenKind};
use entrant_proto::jose::SigningKey;
use serde_json::{Map, Value, json};
use support::{Lab, START, claims};

const APP: &str = r#"
[[app]]
name = "web-app"
redirect_uris = ["http://localhost:5000/getAToken"]
[[app]]
name = "protected-api"
[app.api]
scopes = ["access_as_user"]
"#;

/// The default directory with one federated credential on `web-app`, as given.
async fn with_fic(fic: &str) -> Lab {
    let app = APP.replacen("getAToken\"]\n", &format!("getAToken\"]\n[[app.fic]]\nname = \"trust\"\n{fic}\n"), 1);
    Lab::seeded(&app).await
}

/// Sends the default identity's assertion; the number and the fix that the journal explains.
async fn refused(lab: &Lab) -> (u64, String) {
    let assertion = lab.assertion().await;
    refused_with(lab, &assertion).await
}

async fn refused_with(lab: &Lab, assertion: &str) -> (u64, String) {
    let reply = lab.exchange(assertion).await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    assert_eq!(reply.json()["error"], "invalid_client");
    let number = reply.aadsts();
    let entry = lab.emulator.journal(0).pop().unwrap();
    assert_eq!(entry.code, Some(format!("AADSTS{number}")));
    assert_eq!(entry.trace_id.as_deref(), reply.json()["trace_id"].as_str(), "log line and reply share the trace id");
    (number, entry.explanation.unwrap())
}

#[tokio::test]
async fn an_assertion_of_the_trusted_identity_is_accepted() {
    let lab = Lab::new().await;
    let reply = lab.exchange(&lab.assertion().await).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(claims(reply.json()["access_token"].as_str().unwrap())["appidacr"], "2");
}

#[tokio::test]
async fn a_client_id_in_place_of_the_principal_id_is_aadsts700213_and_the_fix_names_the_principal_id() {
    let client = Lab::new().await.facts.managed_identity_client_id.unwrap();
    let lab = with_fic(&format!("managed_identity = 'web-app-identity'\nsubject = '{client}'")).await;
    let (number, fix) = refused(&lab).await;
    assert_eq!(number, 700_213);
    assert!(fix.contains("client id of managed identity 'web-app-identity'"), "{fix}");
    assert!(fix.contains(&lab.facts.managed_identity_principal_id.unwrap().to_string()), "{fix}");
}

#[tokio::test]
async fn another_subject_is_aadsts700213() {
    let lab = with_fic("managed_identity = 'web-app-identity'\nsubject = 'somebody-else'").await;
    assert_eq!(refused(&lab).await.0, 700_213);
}

#[tokio::test]
async fn a_subject_in_another_case_is_aadsts7002138() {
    let principal = Lab::new().await.facts.managed_identity_principal_id.unwrap().to_string().to_uppercase();
    let lab = with_fic(&format!("managed_identity = 'web-app-identity'\nsubject = '{principal}'")).await;
    assert_eq!(refused(&lab).await.0, 7_002_138);
}

#[tokio::test]
async fn another_issuer_is_aadsts700211() {
    let lab =
        with_fic("managed_identity = 'web-app-identity'\nissuer = 'https://login.microsoftonline.com/x/v2.0'").await;
    let (number, fix) = refused(&lab).await;
    assert_eq!(number, 700_211);
    assert!(fix.contains(&lab.facts.issuer_v2), "{fix}");
}

#[tokio::test]
async fn another_audience_in_the_credential_is_aadsts700212() {
    let lab = with_fic("managed_identity = 'web-app-identity'\naudience = 'api://something-else'").await;
    assert_eq!(refused(&lab).await.0, 700_212);
}

#[tokio::test]
async fn a_redis_token_as_assertion_is_aadsts700227() {
    let lab = Lab::new().await;
    let selector = format!("client_id={}", lab.facts.managed_identity_client_id.unwrap());
    let reply = lab.managed_identity("https://redis.azure.com", &selector).await;
    let (number, fix) = refused_with(&lab, reply.json()["access_token"].as_str().unwrap()).await;
    assert_eq!(number, 700_227);
    assert!(fix.contains("api://AzureADTokenExchange"), "{fix}");
}

#[tokio::test]
async fn an_identity_token_for_a_v2_api_as_assertion_is_aadsts7002121() {
    let lab = Lab::new().await;
    let selector = format!("client_id={}", lab.facts.managed_identity_client_id.unwrap());
    let resource = format!("api://{}", lab.facts.api_client_id.unwrap());
    let reply = lab.managed_identity(&resource, &selector).await;
    assert_eq!(refused_with(&lab, reply.json()["access_token"].as_str().unwrap()).await.0, 7_002_121);
}

#[tokio::test]
async fn a_users_token_as_assertion_is_aadsts700226() {
    let lab = Lab::new().await;
    let tokens = lab.signed_in("alice@contoso.example").await;
    assert_eq!(refused_with(&lab, tokens["access_token"].as_str().unwrap()).await.0, 700_226);
}

#[tokio::test]
async fn an_expired_assertion_is_aadsts700024() {
    let lab = Lab::new().await;
    let assertion = lab.assertion().await;
    lab.clock.advance(Duration::from_secs(3600 + 299));
    assert_eq!(lab.exchange(&assertion).await.status, 200, "Entra allows five minutes of clock skew");
    lab.clock.advance(Duration::from_secs(2));
    assert_eq!(refused_with(&lab, &assertion).await.0, 700_024);
}

#[tokio::test]
async fn a_wrong_signature_is_aadsts700027() {
    let lab = Lab::new().await;
    let effect = Effect::BadSignature { token: TokenKind::Any };
    lab.emulator.inject(FaultRule::at(Endpoint::AppService, effect)).unwrap();
    assert_eq!(refused(&lab).await.0, 700_027);
    let effect = Effect::UnpublishedKey { token: TokenKind::Any };
    lab.emulator.clear_faults();
    lab.emulator.inject(FaultRule::at(Endpoint::AppService, effect)).unwrap();
    assert_eq!(refused(&lab).await.0, 700_027);
}

#[tokio::test]
async fn an_unsigned_assertion_is_aadsts700027() {
    let lab = Lab::new().await;
    let effect = Effect::AlgNone { token: TokenKind::Any };
    lab.emulator.inject(FaultRule::at(Endpoint::AppService, effect)).unwrap();
    assert_eq!(refused(&lab).await.0, 700_027);
}

#[tokio::test]
async fn a_system_assigned_identity_is_aadsts700222_even_when_a_credential_names_it() {
    let lab = with_fic("managed_identity = 'host-vm'").await;
    let reply = lab.managed_identity("api://AzureADTokenExchange", "").await;
    let (number, fix) = refused_with(&lab, reply.json()["access_token"].as_str().unwrap()).await;
    assert_eq!(number, 700_222);
    assert!(fix.contains("user-assigned"), "{fix}");
}

#[tokio::test]
async fn an_app_without_federated_credentials_is_aadsts70025() {
    let lab = Lab::seeded(APP).await;
    assert_eq!(refused(&lab).await.0, 70025);
}

#[tokio::test]
async fn a_chained_assertion_is_aadsts700231() {
    let lab = Lab::new().await;
    let effect = Effect::Claim { token: TokenKind::Access, name: "xms_ficinfo".into(), value: Some("x".into()) };
    lab.emulator.inject(FaultRule::at(Endpoint::AppService, effect)).unwrap();
    assert_eq!(refused(&lab).await.0, 700_231);
}

#[tokio::test]
async fn a_new_credential_is_aadsts70021_until_it_has_spread() {
    let lab = Lab::new().await;
    let rule = FaultRule::at(Endpoint::Token, Effect::Aadsts { number: 70021, claims: None }).times(2);
    lab.emulator.inject(rule).unwrap();
    let assertion = lab.assertion().await;
    for _ in 0..2 {
        assert_eq!(lab.exchange(&assertion).await.aadsts(), 70021);
    }
    assert_eq!(lab.exchange(&assertion).await.status, 200);
}

#[tokio::test]
async fn what_is_no_jwt_at_all_is_aadsts50027() {
    let lab = Lab::new().await;
    for text in ["x", "a.b.c", "eyJhbGciOiJSUzI1NiJ9.e30"] {
        assert_eq!(lab.exchange(text).await.aadsts(), 50027, "{text}");
    }
}

#[tokio::test]
async fn an_outside_issuer_is_trusted_by_its_own_keys_and_a_flexible_expression() {
    let (key, _) = SigningKey::generate("outside-").unwrap();
    let jwks = json!({ "keys": [key.jwk()] });
    let fic = "issuer = 'https://token.example'\nexpression = \"claims['sub'] matches 'repo:x/*'\"";
    let app = APP.replacen("getAToken\"]\n", &format!("getAToken\"]\n[[app.fic]]\nname = 'trust'\n{fic}\n"), 1);
    let lab = Lab::seeded(&format!("{app}\n[[issuer]]\nurl = 'https://token.example'\njwks = '{jwks}'\n")).await;
    let assertion = |sub: &str, exp: i64| {
        let claims = json!({ "iss": "https://token.example", "sub": sub, "aud": "api://AzureADTokenExchange", "iat": START, "exp": exp });
        key.sign(&Map::<String, Value>::new(), &claims).unwrap().expose().to_owned()
    };
    assert_eq!(lab.exchange(&assertion("repo:x/y:ref", START + 600)).await.status, 200);
    assert_eq!(lab.exchange(&assertion("repo:z/y:ref", START + 600)).await.aadsts(), 7_002_131);
    assert_eq!(lab.exchange(&assertion("repo:x/y:ref", START - 600)).await.aadsts(), 700_024);
}

#[tokio::test]
async fn a_managed_identitys_client_id_as_client_id_is_explained() {
    let lab = Lab::new().await;
    let client = lab.facts.managed_identity_client_id.unwrap().to_string();
    let form = [("client_id", client.as_str()), ("grant_type", "client_credentials"), ("client_secret", "x")];
    let reply = lab.post(&lab.token_url(), &form).await;
    assert_eq!(reply.aadsts(), 700_016);
    let entry = lab.emulator.journal(0).pop().unwrap();
    assert!(entry.explanation.unwrap().contains("MANAGED_IDENTITY_CLIENT_ID"));
}
