//! Sign-in from the first address to the validated ID token, and every way in which it is refused.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at a broken promise")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use entrant_confidential::{Callback, ConfidentialClient, Prompt, SignInFlow, SignInRequest};
use entrant_credential::sources::Imds;
use entrant_credential::{ClientAuth, Keeper, KeeperOptions, ManagedIdentityAssertion, Selector};
use entrant_proto::oauth::Authority;
use entrant_testkit::Logs;
use entrant_types::emulation::World;
use entrant_types::{Code, Scope, Secret};
use entrant_validate::Tenants;
use serde_json::{Value, json};
use support::*;

/// The own code of the fault with which a sign-in ends, or `ok`.
async fn outcome(entra: &Entra) -> String {
    match sign_in(entra, &entra.client()).await {
        Ok(_) => "ok".to_owned(),
        Err(fault) => fault.codes.first().unwrap().to_string(),
    }
}

#[tokio::test]
async fn a_person_signs_in() {
    let entra = Entra::new();
    let client = entra.client();
    let signed_in = sign_in(&entra, &client).await.unwrap();
    assert_eq!(signed_in.account.home_account_id.as_str(), format!("{ALICE}.{TENANT}"));
    assert_eq!(signed_in.account.object_id, Some(ALICE.parse().unwrap()));
    assert_eq!(signed_in.account.tenant_id, Some(TENANT.parse().unwrap()));
    assert_eq!(signed_in.account.username.as_deref(), Some("alice@contoso.example"));
    assert_eq!(signed_in.id_claims.text("name"), Some("Alice"));
    assert!(signed_in.tokens.can_refresh());
    let lifetimes: Vec<_> = signed_in.tokens.lifetimes().map(|(resource, _)| resource.to_owned()).collect();
    assert_eq!(lifetimes, ["api://protected"]);
    let post = entra.last_post();
    assert_eq!(post["grant_type"], "authorization_code");
    assert_eq!(post["scope"], format!("{API} openid profile offline_access"));
    assert_eq!(post["client_id"], CLIENT);
}

#[tokio::test]
async fn the_address_carries_proofs_of_its_own_and_only_known_hints() {
    let entra = Entra::new();
    let client = entra.client();
    let wanted = SignInRequest {
        extra_scopes: vec![Scope::new("User.Read"), Scope::new(API)],
        prompt: Some(Prompt::SelectAccount),
        login_hint: Some("alice@contoso.example&state=forged".to_owned()),
        domain_hint: Some("contoso.example".to_owned()),
        claims: Some(r#"{"id_token":{"acrs":{"essential":true,"value":"c1"}}}"#.to_owned()),
        max_age: Some(Duration::from_secs(600)),
        ..request()
    };
    let (url, flow) = client.begin_sign_in(wanted.clone()).await.unwrap();
    let (_, other) = client.begin_sign_in(wanted).await.unwrap();
    assert_ne!(flow.state(), other.state());
    let fields: Fields = url.query_pairs().into_owned().collect();
    assert_eq!(fields.len(), url.query_pairs().count(), "no parameter twice");
    assert_eq!(fields["scope"], format!("{API} User.Read openid profile offline_access"));
    assert_eq!(fields["prompt"], "select_account");
    assert_eq!(fields["max_age"], "600");
    assert_eq!(fields["response_mode"], "query");
    assert_eq!(fields["state"], flow.state().expose());
    assert!(fields["state"].len() >= 43 && fields["nonce"].len() >= 43 && fields["code_challenge"].len() == 43);
    assert!(fields["claims"].contains("acrs") && fields["claims"].contains("CP1"), "{}", fields["claims"]);
    assert_eq!(url.host_str(), Some("localhost"));
}

#[tokio::test]
async fn the_answer_may_come_as_a_posted_form_with_the_same_proofs() {
    let entra = Entra::new();
    let client = entra.client();
    let (url, flow) = client.begin_sign_in(SignInRequest { form_post: true, ..request() }).await.unwrap();
    let fields: Fields = url.query_pairs().into_owned().collect();
    assert_eq!(fields["response_mode"], "form_post");
    assert!(["state", "nonce", "code_challenge"].iter().all(|name| fields[*name].len() >= 43));
    let body = entra.authorize(&url);
    let forged = body.replace(fields["state"].as_str(), "another");
    assert_ne!(forged, body);
    assert!(client.redeem(flow.clone(), Callback::parse(&forged).unwrap()).await.is_err());
    assert!(client.redeem(flow, Callback::parse(&body).unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_flow_survives_its_store_and_never_prints() {
    let entra = Entra::new();
    let client = entra.client();
    let (url, flow) = client.begin_sign_in(request()).await.unwrap();
    let stored = serde_json::to_string(&flow).unwrap();
    let flow: SignInFlow = serde_json::from_str(&stored).unwrap();
    let printed = format!("{flow:?}");
    for (name, secret) in url.query_pairs().filter(|(name, _)| ["state", "nonce"].contains(&name.as_ref())) {
        assert!(stored.contains(secret.as_ref()) && !printed.contains(secret.as_ref()), "{name}");
    }
    let callback = entra.authorize(&url);
    let signed_in = client.redeem(flow, Callback::parse(&callback).unwrap()).await.unwrap();
    let printed = format!("{signed_in:?}");
    assert!(!printed.contains("rt-") && !printed.contains("at-"), "{printed}");
    let tokens = serde_json::to_string(&signed_in.tokens).unwrap();
    assert_eq!(serde_json::from_str::<entrant_confidential::AccountTokens>(&tokens).unwrap(), signed_in.tokens);
}

#[tokio::test]
async fn the_forged_id_tokens_that_sign_people_in_elsewhere_are_refused_here() {
    type Forge = fn(Value) -> String;
    let cases: [(&str, Forge, &str); 9] = [
        ("bad signature", |c| sign_with(&OTHER_KEY, json!({"kid": KEY.kid()}), &c), "signature"),
        ("alg none", |c| raw(&json!({"alg": "none"}), &c, b""), "algorithm"),
        ("wrong audience", |c| sign_with(&KEY, json!({}), &with(c, Some(json!({"aud": ALICE})))), "audience"),
        (
            "wrong issuer",
            |c| sign_with(&KEY, json!({}), &with(c, Some(json!({"iss": "https://evil.example"})))),
            "issuer",
        ),
        ("expired", |c| sign_with(&KEY, json!({}), &with(c, Some(json!({"exp": 1_000_000_000})))), "expired"),
        ("wrong nonce", |c| sign_with(&KEY, json!({}), &with(c, Some(json!({"nonce": "other"})))), "nonce"),
        ("wrong tenant", |c| sign_with(&KEY, json!({}), &with(c, Some(json!({"tid": OTHER_TENANT})))), "tenant"),
        (
            "key confusion",
            |c| {
                let header = json!({"alg": "HS256", "kid": KEY.kid()});
                let text = raw(&header, &c, b"");
                let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, KEY.jwk().n.as_bytes());
                raw(&header, &c, aws_lc_rs::hmac::sign(&key, text.trim_end_matches('.').as_bytes()).as_ref())
            },
            "algorithm",
        ),
        ("of Azure", |c| sign_with(&KEY, json!({}), &with(c, Some(json!({"xms_emulator": null})))), "world"),
    ];
    for (name, forge, expected) in cases {
        let entra = Entra::new();
        entra.state().mint = Some(Box::new(forge));
        assert_eq!(outcome(&entra).await, expected, "{name}");
    }
    let entra = Entra::new();
    entra.state().reply = Some(json!({"id_token": null}));
    assert_eq!(outcome(&entra).await, "id_token_missing");
}

#[tokio::test]
async fn a_callback_must_answer_this_very_sign_in() {
    let entra = Entra::new();
    let client = entra.client();
    for (change, expected) in [
        (|c: String| c.replace("state=", "state=x"), "state_mismatch"),
        (|c: String| c.replace("state=", "other="), "state_mismatch"),
        (|c: String| format!("{c}&iss=https%3A%2F%2Fevil.example"), "issuer_mismatch"),
        (|c: String| c.replace("code=", "other="), "callback_without_code"),
        // An error under a state that is not ours must not be believed either.
        (|c: String| format!("error=access_denied&{}", c.replace("state=", "state=x")), "state_mismatch"),
    ] as [(fn(String) -> String, &str); 5]
    {
        let (url, flow) = client.begin_sign_in(request()).await.unwrap();
        let callback = Callback::parse(&change(entra.authorize(&url))).unwrap();
        let fault = client.redeem(flow, callback).await.unwrap_err();
        assert!(fault.is(expected), "{fault}");
    }
    assert_eq!(entra.posts(), 0, "no code was redeemed");
    let (url, _) = client.begin_sign_in(request()).await.unwrap();
    let twice = format!("{}&code=other", entra.authorize(&url));
    assert!(Callback::parse(&twice).unwrap_err().is("callback_duplicate"));
}

#[tokio::test]
async fn a_callback_that_names_its_issuer_must_name_ours() {
    let entra = Entra::new();
    entra.state().metadata = Some(json!({"authorization_response_iss_parameter_supported": true}));
    let client = entra.client();
    let (url, flow) = client.begin_sign_in(request()).await.unwrap();
    let silent = Callback::parse(&entra.authorize(&url)).unwrap();
    assert!(client.redeem(flow, silent).await.unwrap_err().is("issuer_mismatch"));
    let (url, flow) = client.begin_sign_in(request()).await.unwrap();
    let issuer: String = url::form_urlencoded::byte_serialize(format!("{BASE}/{TENANT}/v2.0").as_bytes()).collect();
    let named = Callback::parse(&format!("{}&iss={issuer}", entra.authorize(&url))).unwrap();
    client.redeem(flow, named).await.unwrap();
}

#[tokio::test]
async fn a_sign_in_ends_after_ten_minutes() {
    let entra = Entra::new();
    let client = entra.client();
    let (url, flow) = client.begin_sign_in(request()).await.unwrap();
    let callback = Callback::parse(&entra.authorize(&url)).unwrap();
    entra.stage.clock.advance(Duration::from_secs(600));
    assert!(client.redeem(flow, callback).await.unwrap_err().is("sign_in_expired"));
}

#[tokio::test]
async fn a_refusal_on_the_sign_in_page_keeps_its_number() {
    let entra = Entra::new();
    let client = entra.client();
    let (_, flow) = client.begin_sign_in(request()).await.unwrap();
    let state = flow.state().expose().to_owned();
    let query = format!("error=access_denied&error_description=AADSTS50105%3A+Mallory+is+not+assigned.&state={state}");
    let fault = client.redeem(flow, Callback::parse(&query).unwrap()).await.unwrap_err();
    assert_eq!(fault.aadsts(), Some(50105));
    assert!(!fault.fix.is_empty());
}

#[tokio::test]
async fn a_refused_code_keeps_codes_and_trace_ids() {
    let entra = Entra::new();
    entra.refuse(400, refusal("invalid_grant", 54005, json!({"suberror": "x"})));
    let fault = sign_in(&entra, &entra.client()).await.unwrap_err();
    assert_eq!(fault.aadsts(), Some(54005));
    assert!(fault.codes.contains(&Code::OAuth("invalid_grant".to_owned())));
    assert_eq!((fault.trace.trace_id.as_deref(), fault.trace.correlation_id.as_deref()), (Some("t"), Some("c")));
}

#[tokio::test]
async fn no_secret_reaches_logs_errors_or_debug_text() {
    let logs = Logs::capture();
    let entra = Entra::new();
    let client = entra.client();
    // A reply whose tokens are long enough to be looked for.
    entra.state().reply =
        Some(json!({"access_token": "access-token-hunter2", "refresh_token": "refresh-token-hunter2"}));
    let (url, flow) = client.begin_sign_in(request()).await.unwrap();
    let mut secrets: Vec<Secret> = url
        .query_pairs()
        .filter(|(name, _)| name == "state" || name == "nonce")
        .map(|(_, v)| Secret::from(&*v))
        .collect();
    let callback = Callback::parse(&entra.authorize(&url)).unwrap();
    let signed_in = client.redeem(flow, callback).await.unwrap();
    let mut text = format!("{client:?} {signed_in:?}");
    for field in ["code_verifier", "client_secret"] {
        secrets.push(Secret::from(entra.last_post()[field].as_str()));
    }
    secrets.extend(["access-token-hunter2", "refresh-token-hunter2"].map(Secret::from));
    // Failures of every kind, also a reply that is nothing but a token.
    let store = entrant_confidential::MemoryTokenStore::new();
    store.put("session-of-alice", signed_in.tokens).unwrap();
    let partition = store.partition("session-of-alice");
    entra.stage.clock.advance(Duration::from_secs(2700));
    for (status, body) in
        [(503, json!({})), (400, json!({"error": "invalid_grant"})), (200, json!("access-token-hunter2"))]
    {
        entra.refuse(status, body);
        let acquired = client.acquire_silent(&partition, &Scope::new(API)).await;
        text.push_str(&format!("{acquired:?}"));
        entra.stage.clock.advance(Duration::from_secs(3600));
    }
    let secrets: Vec<&Secret> = secrets.iter().collect();
    logs.assert_no_secret(&secrets);
    entrant_testkit::assert_no_secret("debug text and errors", &text, &secrets);
}

#[tokio::test]
async fn a_thousand_sign_ins_cost_one_discovery_and_one_managed_identity_call() {
    let entra = Entra::new();
    let outside = entra.stage.outside();
    let identity = Selector::ClientId(ALICE.parse().unwrap());
    let source = Arc::new(Imds::at("http://localhost:8480", identity, &outside));
    let scope = Scope::new("api://AzureADTokenExchange/.default");
    let (keeper, driver) = Keeper::new(source, scope, KeeperOptions::default(), &outside);
    let driver = tokio::spawn(driver.run());
    let assertion = ClientAuth::Assertion(Arc::new(ManagedIdentityAssertion::new(keeper)));
    let config = entrant_confidential::ConfidentialConfig { client_auth: assertion, ..config() };
    let client = ConfidentialClient::new(config, outside).unwrap();
    for _ in 0..1000 {
        sign_in(&entra, &client).await.unwrap();
    }
    driver.abort();
    let state = entra.state();
    assert_eq!((state.discoveries, state.key_fetches, state.identity_calls), (1, 1, 1));
    assert_eq!(state.posts.len(), 1000);
    assert!(state.posts.iter().all(|post| post["client_assertion"] == "mi-token"));
}

#[tokio::test]
async fn an_authority_of_many_tenants_admits_those_that_are_named() {
    let authority = Authority::parse(BASE, "common").unwrap();
    let base = entrant_confidential::ConfidentialConfig { provider: authority.into(), ..config() };
    let unsaid = ConfidentialClient::new(base.clone(), Entra::new().outside(1)).unwrap_err();
    assert!(unsaid.is("tenants_unsaid"));
    for (tenants, tenant, expected) in [
        (Tenants::Only(vec![OTHER_TENANT.parse().unwrap()]), OTHER_TENANT, "ok"),
        (Tenants::Only(vec![OTHER_TENANT.parse().unwrap()]), TENANT, "tenant"),
        (Tenants::Any, TENANT, "ok"),
    ] {
        let entra = Entra::new();
        entra.state().tenant = Some(tenant.to_owned());
        let config = entrant_confidential::ConfidentialConfig { tenants: Some(tenants), ..base.clone() };
        let client = ConfidentialClient::new(config, entra.outside(1)).unwrap();
        let outcome = sign_in(&entra, &client).await;
        assert_eq!(outcome.map_or_else(|fault| fault.codes[0].to_string(), |_| "ok".to_owned()), expected);
    }
}

#[tokio::test]
async fn metadata_of_somebody_else_starts_no_sign_in() {
    for changes in [
        json!({"issuer": "https://localhost:9999/x/v2.0"}),
        json!({"issuer": format!("{BASE}/{OTHER_TENANT}/v2.0")}),
        json!({"authorization_endpoint": "https://evil.example/authorize"}),
    ] {
        let entra = Entra::new();
        entra.state().metadata = Some(changes);
        assert!(entra.client().begin_sign_in(request()).await.unwrap_err().is("metadata_refused"));
    }
}

#[test]
fn the_two_worlds_do_not_mix() {
    let entra = Entra::new();
    let azure = Authority::parse("https://login.microsoftonline.com", TENANT).unwrap();
    for (provider, world) in [(azure.into(), World::Emulator), (config().provider, World::Azure)] {
        let config = entrant_confidential::ConfidentialConfig { provider, world, ..config() };
        assert!(ConfidentialClient::new(config, entra.outside(1)).unwrap_err().is("wrong_world"));
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_at_entra_too() {
    let entra = Entra::new();
    let client = entra.client();
    let account = sign_in(&entra, &client).await.unwrap().account;
    let url = client.logout_url(Some("http://localhost:5000/"), account.login_hint.as_deref()).await.unwrap();
    assert_eq!(
        url.as_str(),
        format!(
            "http://localhost:8480/{TENANT}/oauth2/v2.0/logout?\
             client_id={CLIENT}&post_logout_redirect_uri=http%3A%2F%2Flocalhost%3A5000%2F&logout_hint=opaque-hint"
        )
    );
}
