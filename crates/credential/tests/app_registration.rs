//! Sources that ask a token endpoint for an app registration: what is sent, and what is refused.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

use std::collections::HashMap;
use std::sync::Arc;

use entrant_credential::sources::{
    ClientCertificate, ClientSecret, Environment, Federated, WorkloadIdentity, managed_identity,
};
use entrant_credential::{Outcome, Selector, Source};
use entrant_proto::jose::{PublicKey, SigningKey, UnverifiedJwt, from_base64url};
use entrant_proto::oauth::Authority;
use entrant_testkit::{Stage, json_reply, reply};
use entrant_types::outside::HttpReply;
use entrant_types::{AccessToken, ClientId, Fault, Retry, Scope, Secret};
use serde_json::json;

const APP: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
const IDENTITY: &str = "11112222-bbbb-3333-cccc-4444dddd5555";
const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";

fn app() -> ClientId {
    APP.parse().unwrap()
}

fn authority() -> Authority {
    Authority::parse("https://localhost:8443", TENANT).unwrap()
}

fn redis() -> Scope {
    Scope::new("https://redis.azure.com/.default")
}

fn granted() -> HttpReply {
    json_reply(200, json!({"access_token": "the-token", "expires_in": 3599, "token_type": "Bearer"}))
}

async fn fetch(source: &dyn Source) -> Result<AccessToken, Fault> {
    source.fetch(&redis()).await.into_result(source.name())
}

fn form(stage: &Stage, request: usize) -> HashMap<String, String> {
    let request = &stage.http.requests()[request];
    url::form_urlencoded::parse(request.body.expose().as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn a_client_secret_is_posted_to_the_tenants_token_endpoint() {
    let stage = Stage::new();
    stage.http.push(Ok(granted()));
    let source = ClientSecret::new(authority(), app(), Secret::from("secret-value"), &stage.outside());
    assert_eq!(fetch(&source).await.unwrap().secret.expose(), "the-token");
    assert_eq!(stage.http.requests()[0].url, format!("https://localhost:8443/{TENANT}/oauth2/v2.0/token"));
    let form = form(&stage, 0);
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["client_id"], APP);
    assert_eq!(form["client_secret"], "secret-value");
    assert_eq!(form["scope"], "https://redis.azure.com/.default");
}

#[tokio::test]
async fn errors_of_entra_come_with_their_number_and_its_remedy() {
    let stage = Stage::new();
    stage.http.push(Ok(json_reply(
        401,
        json!({"error": "invalid_client", "error_codes": [7_000_215],
               "error_description": "AADSTS7000215: Invalid client secret provided. Trace ID: x"}),
    )));
    let source = ClientSecret::new(authority(), app(), Secret::from("secret-value"), &stage.outside());
    let fault = fetch(&source).await.unwrap_err();
    assert_eq!((fault.aadsts(), fault.retry), (Some(7_000_215), Retry::Never));
    assert!(fault.fix.contains("Value") && !fault.to_string().contains("secret-value"), "{fault}");
}

fn federation(stage: &Stage, selector: &Selector) -> Result<Federated, Fault> {
    stage.env.set("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:8480");
    let identity = managed_identity(selector.clone(), &stage.outside());
    Federated::new(authority(), app(), selector, identity, &stage.outside())
}

#[tokio::test]
async fn a_managed_identity_stands_in_for_the_secret_of_an_app_registration() {
    let stage = Stage::new();
    stage.http.push(Ok(json_reply(200, json!({"access_token": "identity-token", "expires_in": "86399"}))));
    stage.http.push(Ok(granted()));
    let source = federation(&stage, &Selector::ClientId(IDENTITY.parse().unwrap())).unwrap();
    assert_eq!(fetch(&source).await.unwrap().secret.expose(), "the-token");
    let asked = &stage.http.requests()[0].url;
    assert!(asked.contains("resource=api%3A%2F%2FAzureADTokenExchange&") && asked.contains(IDENTITY), "{asked}");
    let form = form(&stage, 1);
    assert_eq!(form["client_id"], APP);
    assert_eq!(form["client_assertion"], "identity-token");
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert!(!form.contains_key("client_secret"));
}

#[tokio::test]
async fn a_system_assigned_identity_is_refused_as_federated_credential_before_the_wire() {
    let stage = Stage::new();
    let fault = federation(&stage, &Selector::SystemAssigned).unwrap_err();
    assert!(fault.is("federation_needs_user_assigned") && fault.fix.contains("az identity create"));
    let fault = federation(&stage, &Selector::ClientId(app())).unwrap_err();
    assert!(fault.is("federation_same_client_id"));
    assert_eq!(stage.http.count(), 0);
}

#[tokio::test]
async fn a_failure_of_the_identity_endpoint_is_told_as_such() {
    let stage = Stage::new();
    stage.http.push(Ok(reply(400, r#"{"error":"invalid_request","error_description":"Identity not found"}"#)));
    let source = federation(&stage, &Selector::ClientId(IDENTITY.parse().unwrap())).unwrap();
    assert!(fetch(&source).await.unwrap_err().is("identity_not_found"));
    assert_eq!(stage.http.count(), 1);
}

fn workload() -> Stage {
    let stage = Stage::new();
    stage.env.set("AZURE_AUTHORITY_HOST", "https://localhost:8443/");
    stage.env.set("AZURE_TENANT_ID", TENANT);
    stage.env.set("AZURE_CLIENT_ID", APP);
    stage.env.set("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/token");
    stage
}

#[tokio::test]
async fn a_rotated_token_file_is_read_anew_for_every_request() {
    let stage = workload();
    stage.http.handle(|_| Ok(granted()));
    let source = WorkloadIdentity::new(None, None, &stage.outside());
    for content in ["first-assertion\n", "second-assertion"] {
        stage.files.set("/var/run/secrets/token", content);
        fetch(&source).await.unwrap();
    }
    assert_eq!(form(&stage, 0)["client_assertion"], "first-assertion");
    assert_eq!(form(&stage, 1)["client_assertion"], "second-assertion");
}

#[tokio::test]
async fn a_token_file_that_is_missing_empty_or_huge_is_told_before_the_wire() {
    let stage = workload();
    let source = WorkloadIdentity::new(None, None, &stage.outside());
    assert!(fetch(&source).await.unwrap_err().is("token_file_unreadable"));
    for content in [Vec::new(), b" \n".to_vec(), vec![0xFF], vec![b'a'; 20_000]] {
        stage.files.set("/var/run/secrets/token", content);
        assert!(fetch(&source).await.unwrap_err().is("token_file_unreadable"));
    }
    assert_eq!(stage.http.count(), 0);
}

#[tokio::test]
async fn without_their_variables_these_sources_do_not_apply() {
    let stage = Stage::new();
    let sources: [&dyn Source; 2] =
        [&WorkloadIdentity::new(None, None, &stage.outside()), &Environment::new(&stage.outside())];
    for source in sources {
        assert!(matches!(source.fetch(&redis()).await, Outcome::NotApplicable(_)), "{}", source.name());
    }
}

#[tokio::test]
async fn the_environment_names_a_secret_and_a_wrong_id_is_a_failure_not_a_pass() {
    let stage = workload();
    stage.env.set("AZURE_CLIENT_SECRET", "secret-value");
    stage.http.push(Ok(granted()));
    let source = Environment::new(&stage.outside());
    fetch(&source).await.unwrap();
    assert_eq!(form(&stage, 0)["client_secret"], "secret-value");
    stage.env.set("AZURE_CLIENT_ID", "my-app");
    assert!(fetch(&source).await.unwrap_err().is("client_id_invalid"));
}

/// A new key with its self-signed certificate.
fn certificate() -> (SigningKey, String, Vec<u8>) {
    let (key, der) = SigningKey::generate("").unwrap();
    let pair = rcgen::KeyPair::try_from(der.as_slice()).unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["app.example".to_owned()]).unwrap().self_signed(&pair).unwrap();
    (key, format!("{}{}", pair.serialize_pem(), certificate.pem()), certificate.der().to_vec())
}

#[tokio::test]
async fn a_certificate_signs_an_assertion_for_every_request() {
    let (key, pem, der) = certificate();
    let stage = Stage::new();
    stage.http.handle(|_| Ok(granted()));
    stage.files.set("/app.pem", pem);
    let source = ClientCertificate::new(authority(), app(), "/app.pem", None, &stage.outside());
    fetch(&source).await.unwrap();
    fetch(&source).await.unwrap();
    let assertion = &form(&stage, 0)["client_assertion"];
    let jwt = UnverifiedJwt::parse(assertion).unwrap();
    jwt.verify_client_assertion(&PublicKey::from_jwk(&key.jwk()).unwrap()).unwrap();
    assert_eq!(jwt.header().alg, "PS256", "as Microsoft documents for SHA-256 thumbprints");
    let header: serde_json::Value =
        serde_json::from_slice(&from_base64url(assertion.split('.').next().unwrap()).unwrap()).unwrap();
    let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
    assert_eq!(from_base64url(header["x5t#S256"].as_str().unwrap()).unwrap(), thumbprint.as_ref());
    let claims = jwt.unverified_claims();
    assert_eq!(claims["aud"], json!(authority().token_endpoint()));
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!(APP), &json!(APP)));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(), 300);
    assert_ne!(form(&stage, 1)["client_assertion"], *assertion, "no assertion is sent twice");
}

#[tokio::test]
async fn a_certificate_of_another_key_is_refused_before_the_wire() {
    let ((_, first, _), (_, second, _)) = (certificate(), certificate());
    let part = |pem: &str, label: &str| {
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
        let body = pem.split_once(&begin).unwrap().1.split_once(&end).unwrap().0;
        format!("{begin}{body}{end}\n")
    };
    let mixed = part(&first, "PRIVATE KEY") + &part(&second, "CERTIFICATE");
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for file in [mixed.as_str(), &part(&first, "CERTIFICATE"), encrypted, "", "-----BEGIN X", "0\u{82}"] {
        let stage = Stage::new();
        stage.files.set("/app.pem", file);
        let source = ClientCertificate::new(authority(), app(), "/app.pem", None, &stage.outside());
        assert!(fetch(&source).await.unwrap_err().is("certificate_unusable"), "{file:.40}");
        assert_eq!(stage.http.count(), 0);
    }
}

#[tokio::test]
async fn an_assertion_of_ones_own_serves_every_request() {
    #[derive(Debug)]
    struct Own;
    impl entrant_credential::ClientAssertion for Own {
        fn name(&self) -> &str {
            "own"
        }
        fn assertion(&self) -> entrant_types::BoxFuture<'_, Result<Secret, Fault>> {
            Box::pin(std::future::ready(Ok(Secret::from("an-assertion-of-my-own"))))
        }
    }
    let stage = Stage::new();
    stage.http.push(Ok(granted()));
    let source = entrant_credential::sources::Assertion::new(authority(), app(), Arc::new(Own), &stage.outside());
    fetch(&source).await.unwrap();
    assert_eq!(form(&stage, 0)["client_assertion"], "an-assertion-of-my-own");
}
