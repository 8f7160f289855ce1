//! The rules that make unmodified SDKs work, each named after the SDK that needs it.

mod support;

use std::time::Duration;

use entrant_emulator::Endpoint;
use serde_json::Value;
use support::{Lab, START, claims};

#[tokio::test]
async fn expires_in_of_the_token_endpoint_is_a_number_for_azure_identity_rs() {
    let lab = Lab::new().await;
    let reply = lab.exchange(&lab.assertion().await).await.json();
    assert!(reply["expires_in"].is_u64() && reply["ext_expires_in"].is_u64(), "{reply}");
}

#[tokio::test]
async fn expires_on_of_managed_identity_is_a_string_for_azure_identity_rs_and_present_for_redis_entraid_js() {
    let lab = Lab::new().await;
    let body = lab.managed_identity("https://redis.azure.com", "").await.json();
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    let expected = [
        "access_token",
        "client_id",
        "expires_in",
        "expires_on",
        "ext_expires_in",
        "not_before",
        "refresh_token",
        "resource",
        "token_type",
    ];
    assert_eq!(names.len(), expected.len(), "{names:?}");
    for name in expected {
        assert!(body[name].is_string(), "{name} is a string: {body}");
    }
    assert_eq!(body["expires_on"], (START + 3600).to_string());
    assert_eq!(body["refresh_token"], "");
}

#[tokio::test]
async fn error_descriptions_need_no_json_escape_for_azure_core() {
    let lab = Lab::new().await;
    let odd = "a\"quoted\\\r\n\u{fc}\u{7f}<value>";
    let form = [("client_id", odd), ("grant_type", odd), ("scope", odd)];
    for reply in
        [lab.post(&lab.token_url(), &form).await, lab.token_with(&lab.assertion().await, &[("grant_type", odd)]).await]
    {
        let text = reply.text();
        let (_, rest) = text.split_once("\"error_description\":\"").unwrap();
        let description = rest.split('"').next().unwrap();
        assert!(
            description.ends_with('Z'),
            "the description ends with its timestamp, so nothing in it was escaped: {text}"
        );
        assert!(description.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'\\'), "{description}");
    }
}

#[tokio::test]
async fn the_imds_path_accepts_a_trailing_slash_for_msal_node() {
    let lab = Lab::new().await;
    for path in ["/metadata/identity/oauth2/token", "/metadata/identity/oauth2/token/"] {
        let url = format!("{}{path}?api-version=2018-02-01&resource=https://redis.azure.com", lab.facts.imds_url);
        let reply = lab.get(&url, &[("metadata", "true")]).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_resource_with_and_without_slash_is_echoed_as_asked_for_redis_entraid() {
    let lab = Lab::new().await;
    for resource in ["https://redis.azure.com", "https://redis.azure.com/", "acca5fbb-b7e4-4009-81f1-37e38fd66d78"] {
        let body = lab.managed_identity(resource, "").await.json();
        assert_eq!(body["resource"], resource);
        assert_eq!(claims(body["access_token"].as_str().unwrap())["aud"], resource);
    }
    let assertion = lab.assertion().await;
    for (scope, audience) in [
        ("https://redis.azure.com/.default", "https://redis.azure.com"),
        ("https://redis.azure.com//.default", "https://redis.azure.com/"),
    ] {
        let reply = lab.token_with(&assertion, &[("grant_type", "client_credentials"), ("scope", scope)]).await.json();
        assert_eq!(claims(reply["access_token"].as_str().unwrap())["aud"], audience, "{scope}");
    }
}

#[tokio::test]
async fn unknown_fields_and_a_query_on_the_token_url_are_tolerated_for_msal_node() {
    let lab = Lab::new().await;
    let assertion = lab.assertion().await;
    let client_id = lab.client_id();
    let url = format!("{}?client-request-id=11111111-2222-4333-8444-555555555555", lab.token_url());
    let form = [
        ("client_id", client_id.as_str()),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &assertion),
        ("grant_type", "client_credentials"),
        ("scope", "https://redis.azure.com/.default"),
        ("x-client-SKU", "msal.js.node"),
        ("x-client-VER", "7.2.1"),
        ("x-client-OS", "linux"),
    ];
    assert_eq!(lab.post(&url, &form).await.status, 200);
}

#[tokio::test]
async fn issuer_of_the_metadata_is_the_authoritys_own_origin_for_msal_node() {
    let lab = Lab::new().await;
    let url = format!("{}/v2.0/.well-known/openid-configuration", lab.facts.authority);
    let metadata = lab.get(&url, &[]).await.json();
    assert_eq!(metadata["issuer"], lab.facts.issuer_v2);
    assert!(lab.facts.issuer_v2.starts_with(&lab.facts.authority_host));
    for name in ["token_endpoint", "jwks_uri"] {
        assert!(metadata[name].as_str().unwrap().starts_with("https://localhost:"), "{metadata}");
    }
    // Browsers do not know the CA; the SDKs do not mind.
    assert!(metadata["authorization_endpoint"].as_str().unwrap().starts_with("http://localhost:"), "{metadata}");
}

#[tokio::test]
async fn urls_in_documents_come_from_configuration_and_never_from_the_host_header() {
    let lab = Lab::new().await;
    let url = format!("{}/v2.0/.well-known/openid-configuration", lab.facts.authority);
    let usual = lab.get(&url, &[]).await.json();
    let other = lab.get(&url, &[("host", "evil.localhost:1")]).await.json();
    assert_eq!(usual, other);
}

#[tokio::test]
async fn every_token_of_a_principal_has_an_oid_for_redis_entraid() {
    let lab = Lab::new().await;
    let user_assigned = format!("client_id={}", lab.facts.managed_identity_client_id.unwrap());
    let principal = lab.facts.managed_identity_principal_id.unwrap().to_string();
    for resource in ["https://redis.azure.com", "api://AzureADTokenExchange"] {
        let body = lab.managed_identity(resource, &user_assigned).await.json();
        let claims = claims(body["access_token"].as_str().unwrap());
        assert_eq!(claims["oid"], principal);
        assert_eq!(claims["sub"], principal);
        assert_eq!(claims["idtyp"], "app");
    }
    let reply = lab.exchange(&lab.assertion().await).await.json();
    assert!(claims(reply["access_token"].as_str().unwrap())["oid"].is_string());
}

#[tokio::test]
async fn the_exchange_token_is_v2_with_the_guid_audience_and_the_redis_token_is_v1() {
    let lab = Lab::new().await;
    let exchange = claims(&lab.assertion().await);
    assert_eq!(exchange["aud"], "fb60f99c-7a34-4190-8149-302f77469936");
    assert_eq!(exchange["ver"], "2.0");
    assert_eq!(exchange["iss"], lab.facts.issuer_v2);
    assert_eq!(exchange["azp"], lab.facts.managed_identity_client_id.unwrap().to_string());
    let body = lab.managed_identity("https://redis.azure.com", "").await.json();
    let redis = claims(body["access_token"].as_str().unwrap());
    assert_eq!(redis["ver"], "1.0");
    assert_eq!(redis["iss"], lab.facts.issuer_v1);
    assert!(redis["xms_mirid"].as_str().unwrap().contains("/resourcegroups/"), "{redis:?}");
}

#[tokio::test]
async fn iat_and_nbf_are_back_dated_by_five_minutes_as_entra_does() {
    let lab = Lab::new().await;
    let claims = claims(&lab.assertion().await);
    assert_eq!(claims["iat"], START - 300);
    assert_eq!(claims["nbf"], START - 300);
    assert_eq!(claims["exp"], START + 3600);
}

#[tokio::test]
async fn a_managed_identity_token_is_repeated_until_half_its_life_as_the_platform_does() {
    let lab = Lab::new().await;
    let first = lab.assertion().await;
    lab.clock.advance(Duration::from_secs(1799));
    assert_eq!(lab.assertion().await, first);
    lab.clock.advance(Duration::from_secs(1));
    let second = lab.assertion().await;
    assert_ne!(second, first);
}

#[tokio::test]
async fn error_codes_are_numbers_and_the_correlation_id_echoes_the_clients_for_msal() {
    let lab = Lab::new().await;
    let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("client-request-id", id)];
    let reply = lab.send("POST", &lab.token_url(), &headers, "grant_type=password".into()).await.json();
    assert_eq!(reply["error_codes"], serde_json::json!([900_144]));
    assert_eq!(reply["correlation_id"], id);
    assert_eq!(reply["timestamp"], "2027-01-15 07:59:58Z");
    assert!(reply["trace_id"].is_string());
    let description = reply["error_description"].as_str().unwrap();
    let tail = format!(
        "Trace ID: {} Correlation ID: {id} Timestamp: 2027-01-15 07:59:58Z",
        reply["trace_id"].as_str().unwrap()
    );
    assert!(description.ends_with(&tail), "{description}");
}

#[tokio::test]
async fn a_code_works_once_and_its_reuse_ends_the_whole_family() {
    let lab = Lab::new().await;
    let code = lab.code("alice@contoso.example", &[]).await;
    let first = lab.redeem(&code, &[]).await.json();
    assert_eq!(lab.redeem(&code, &[]).await.aadsts(), 54005);
    let refresh = first["refresh_token"].as_str().unwrap();
    let assertion = lab.assertion().await;
    let reply = lab.token_with(&assertion, &[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!(reply.aadsts(), 50173);
}

#[tokio::test]
async fn client_info_is_base64url_of_uid_and_utid_for_msal() {
    let lab = Lab::new().await;
    let tokens = lab.signed_in("alice@contoso.example").await;
    let text = entrant_proto::jose::from_base64url(tokens["client_info"].as_str().unwrap()).unwrap();
    let info: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(info["uid"], lab.facts.people[0].object_id.to_string());
    assert_eq!(info["utid"], lab.facts.tenant_id.to_string());
}

#[tokio::test]
async fn the_adfs_alias_needs_no_discovery_for_environment_credential() {
    let lab = Lab::new().await;
    let url = format!("{}/adfs/.well-known/openid-configuration", lab.facts.authority_host);
    let metadata = lab.get(&url, &[]).await.json();
    let token_endpoint = metadata["token_endpoint"].as_str().unwrap();
    assert!(token_endpoint.ends_with("/adfs/oauth2/token"), "{metadata}");
    let (id, secret) = (lab.client_id(), lab.facts.client_secret.clone().unwrap());
    let form = [
        ("client_id", id.as_str()),
        ("client_secret", secret.expose()),
        ("grant_type", "client_credentials"),
        ("scope", "https://redis.azure.com/.default"),
    ];
    let reply = lab.post(token_endpoint, &form).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.json()["expires_in"].is_u64());
}

#[tokio::test]
async fn a_probe_without_header_is_answered_at_once_with_400_for_default_azure_credential() {
    let lab = Lab::new().await;
    let url = format!("{}/metadata/identity/oauth2/token", lab.facts.imds_url);
    assert_eq!(lab.get(&url, &[]).await.status, 400);
    assert_eq!(lab.emulator.counters().get(Endpoint::Imds), 1);
    assert_eq!(lab.emulator.counters().failed(Endpoint::Imds), 1);
}
