//! Sign-in: from the authorization request to tokens, and everything that must be refused on the way.

mod support;

use support::{Lab, claims};

#[tokio::test]
async fn alice_signs_in_with_a_code_and_a_managed_identity_instead_of_a_secret() {
    let lab = Lab::new().await;
    let verifier = "a-verifier-of-at-least-forty-three-characters-000";
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    let challenge = entrant_proto::jose::to_base64url(hash.as_ref());
    let code = lab
        .code(
            "alice@contoso.example",
            &[("code_challenge", &challenge), ("code_challenge_method", "S256"), ("nonce", "n-1")],
        )
        .await;
    let reply = lab.redeem(&code, &[("code_verifier", verifier)]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let json = reply.json();
    let access = claims(json["access_token"].as_str().unwrap());
    assert_eq!(access["aud"], lab.facts.api_client_id.unwrap().to_string());
    assert_eq!(access["scp"], "access_as_user");
    assert_eq!(access["azpacr"], "2");
    let id = claims(json["id_token"].as_str().unwrap());
    assert_eq!(id["nonce"], "n-1");
    assert_eq!(id["preferred_username"], "alice@contoso.example");
    assert!(json["refresh_token"].is_string());
    assert!(json["client_info"].is_string());
}

#[tokio::test]
async fn mallory_who_is_not_assigned_is_sent_back_with_aadsts50105() {
    let lab = Lab::new().await;
    let reply = lab.post(&lab.authorize_url(&[]), &[("user", "mallory@contoso.example")]).await;
    let back = reply.location();
    assert_eq!(back["error"], "access_denied");
    assert!(back["error_description"].starts_with("AADSTS50105: "), "{back:?}");
    assert_eq!(back["state"], "a-state");
}

#[tokio::test]
async fn a_refresh_token_gives_new_tokens_for_the_same_person() {
    let lab = Lab::new().await;
    let first = lab.signed_in("alice@contoso.example").await;
    let assertion = lab.assertion().await;
    let refresh = first["refresh_token"].as_str().unwrap();
    let reply = lab.token_with(&assertion, &[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let second = reply.json();
    assert_ne!(first["access_token"], second["access_token"]);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(
        claims(first["access_token"].as_str().unwrap())["oid"],
        claims(second["access_token"].as_str().unwrap())["oid"]
    );
}
