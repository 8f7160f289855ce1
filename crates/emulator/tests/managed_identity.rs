//! Managed identity: six protocols, which identity is meant, and what is refused.

mod support;

use support::{Folder, Lab, claims};

const REDIS: &str = "https://redis.azure.com";

async fn imds(lab: &Lab, query: &str) -> support::Reply {
    let url = format!("{}/metadata/identity/oauth2/token?{query}", lab.facts.imds_url);
    lab.get(&url, &[("metadata", "true")]).await
}

#[tokio::test]
async fn each_selector_finds_the_user_assigned_identity_and_none_means_the_system_assigned_one() {
    let lab = Lab::new().await;
    let client = lab.facts.managed_identity_client_id.unwrap().to_string();
    let principal = lab.facts.managed_identity_principal_id.unwrap().to_string();
    let token = lab.managed_identity(REDIS, &format!("client_id={client}")).await.json();
    let resource_id = claims(token["access_token"].as_str().unwrap())["xms_mirid"].as_str().unwrap().to_owned();
    for selector in [
        format!("client_id={client}"),
        format!("object_id={principal}"),
        format!("msi_res_id={resource_id}"),
        format!("mi_res_id={resource_id}"),
    ] {
        let body = imds(&lab, &format!("api-version=2018-02-01&resource={REDIS}&{selector}")).await.json();
        assert_eq!(body["client_id"], client, "{selector}");
    }
    let body = imds(&lab, &format!("api-version=2018-02-01&resource={REDIS}")).await.json();
    assert_ne!(body["client_id"], client);
    let system = claims(body["access_token"].as_str().unwrap());
    assert!(!system.contains_key("xms_az_rid"));
    assert_eq!(
        claims(token["access_token"].as_str().unwrap())["xms_az_rid"],
        system["xms_mirid"],
        "the machine's own id"
    );
}

#[tokio::test]
async fn imds_refuses_in_its_own_document() {
    let lab = Lab::new().await;
    let client = lab.facts.managed_identity_client_id.unwrap();
    for (query, error) in [
        (format!("resource={REDIS}"), "bad_request"),
        ("api-version=2018-02-01".to_owned(), "invalid_resource"),
        ("api-version=2018-02-01&resource=https://nowhere.example".to_owned(), "invalid_resource"),
        (
            format!("api-version=2018-02-01&resource={REDIS}&client_id=00000000-0000-0000-0000-000000000000"),
            "invalid_request",
        ),
        (format!("api-version=2018-02-01&resource={REDIS}&client_id={client}&object_id={client}"), "invalid_request"),
    ] {
        let reply = imds(&lab, &query).await;
        assert_eq!(reply.status, 400, "{query}");
        assert_eq!(reply.json()["error"], error, "{query}");
        assert!(reply.json()["error_description"].is_string());
    }
    let url = format!("{}/metadata/identity/oauth2/token?api-version=2018-02-01&resource={REDIS}", lab.facts.imds_url);
    assert_eq!(lab.get(&url, &[]).await.json()["error"], "bad_request_102");
}

#[tokio::test]
async fn the_principal_id_as_client_id_is_explained() {
    let lab = Lab::new().await;
    let principal = lab.facts.managed_identity_principal_id.unwrap();
    let reply = lab.managed_identity(REDIS, &format!("client_id={principal}")).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["statusCode"], 400);
    let entry = lab.emulator.journal(0).pop().unwrap();
    assert!(entry.explanation.unwrap().contains("client_id wants the client id"));
}

#[tokio::test]
async fn several_user_assigned_identities_without_default_must_be_chosen_among() {
    let lab = Lab::seeded("[[identity]]\nname = 'one'\n[[identity]]\nname = 'two'\n").await;
    let reply = imds(&lab, &format!("api-version=2018-02-01&resource={REDIS}")).await;
    assert_eq!(reply.status, 400);
    assert!(reply.json()["error_description"].as_str().unwrap().contains("Multiple user assigned identities"));
}

#[tokio::test]
async fn azure_ml_and_cloud_shell_answer_their_clients() {
    let lab = Lab::new().await;
    let client = lab.facts.managed_identity_client_id.unwrap();
    let url = format!("{}?api-version=2017-09-01&resource={REDIS}&clientid={client}", lab.facts.azure_ml_endpoint);
    assert_eq!(lab.get(&url, &[]).await.status, 401);
    let reply = lab.get(&url, &[("secret", lab.facts.identity_header.expose())]).await;
    assert_eq!(reply.json()["client_id"], client.to_string(), "{}", reply.text());
    let headers = [("metadata", "true"), ("content-type", "application/x-www-form-urlencoded")];
    let reply = lab.send("POST", &lab.facts.cloud_shell_endpoint, &headers, format!("resource={REDIS}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        lab.send("POST", &lab.facts.cloud_shell_endpoint, &headers[1..], format!("resource={REDIS}")).await.status,
        400
    );
}

#[tokio::test]
async fn service_fabric_answers_over_tls_with_its_own_header() {
    let lab = Lab::new().await;
    let url = format!("{}?api-version=2019-07-01-preview&resource={REDIS}", lab.facts.service_fabric_endpoint);
    let reply = lab.get(&url, &[("secret", lab.facts.identity_header.expose())]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(lab.get(&url, &[]).await.json()["error"]["code"], "unauthorized");
    assert_eq!(lab.facts.server_thumbprint.len(), 40);
}

#[tokio::test]
async fn arc_challenges_with_a_key_file_that_works_once() {
    let folder = Folder::new("arc");
    let lab = Lab::on(&folder).await;
    let url = format!("{}?api-version=2020-06-01&resource={REDIS}", lab.facts.arc_endpoint);
    let reply = lab.get(&url, &[("metadata", "true")]).await;
    assert_eq!(reply.status, 401);
    reply.json();
    let path = reply.headers["www-authenticate"].strip_prefix("Basic realm=").unwrap();
    assert!(path.ends_with(".key"));
    let key = format!("Basic {}", std::fs::read_to_string(path).unwrap());
    let headers = [("metadata", "true"), ("authorization", key.as_str())];
    assert_eq!(lab.get(&url, &headers).await.status, 200);
    assert_eq!(lab.get(&url, &headers).await.status, 401, "a challenge is used once");
}

#[tokio::test]
async fn the_projected_service_account_token_is_an_assertion_and_is_written_anew_in_time() {
    let folder = Folder::new("workload");
    let lab = Lab::on(&folder).await;
    let path = lab.facts.workload_token_path.clone().unwrap();
    // The key set's answer means that the key is there, and the file follows it; the keeper then sleeps.
    lab.get(&lab.facts.jwks_url, &[]).await;
    lab.clock.sleeper().await;
    let first = std::fs::read_to_string(&path).unwrap();
    assert_eq!(lab.exchange(&first).await.status, 200);
    assert_eq!(claims(&first)["sub"], "system:serviceaccount:default:web-app");
    lab.clock.run_to(lab.now() + std::time::Duration::from_secs(2881)).await;
    lab.clock.sleeper().await;
    let second = std::fs::read_to_string(&path).unwrap();
    assert_ne!(first, second);
    assert_eq!(lab.exchange(&second).await.status, 200);
}

#[tokio::test]
async fn replies_are_dated_by_the_emulators_own_clock() {
    let lab = Lab::new().await;
    let reply = lab.managed_identity(REDIS, "").await;
    let date = entrant_proto::oauth::http_date::parse(&reply.headers["date"]).unwrap();
    assert_eq!(date.secs(), lab.now().secs(), "a stepped or faster clock must not look like skew");
}
