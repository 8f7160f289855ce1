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

#[tokio::test]
async fn a_wrong_redirect_uri_is_shown_on_the_page_and_never_redirected() {
    let lab = Lab::new().await;
    for uri in ["http://localhost:5000/getatoken", "https://localhost:5000/getAToken", "http://evil.example/getAToken"]
    {
        let reply = lab.get(&lab.authorize_url(&[("redirect_uri", uri)]), &[]).await;
        assert_eq!(reply.status, 400);
        assert!(!reply.headers.contains_key("location"));
        assert!(reply.text().contains("AADSTS50011"));
    }
    let reply = lab.get(&lab.authorize_url(&[("redirect_uri", "http://localhost:43210/getAToken")]), &[]).await;
    assert_eq!(reply.status, 200, "the port of localhost does not count");
}

#[tokio::test]
async fn a_code_is_bound_to_its_client_redirect_uri_verifier_and_ten_minutes() {
    let lab = Lab::new().await;
    let pkce = [("code_challenge", "abc"), ("code_challenge_method", "plain")];
    let code = lab.code("alice@contoso.example", &pkce).await;
    assert_eq!(lab.redeem(&code, &[("code_verifier", "other")]).await.aadsts(), 501_481);
    assert_eq!(lab.redeem(&code, &[]).await.aadsts(), 501_481);
    let elsewhere = [("code_verifier", "abc"), ("redirect_uri", "http://localhost:5000/")];
    assert_eq!(lab.redeem(&code, &elsewhere).await.aadsts(), 50011);
    assert_eq!(lab.redeem(&code, &[("code_verifier", "abc")]).await.status, 200, "refused attempts do not use it up");
    let code = lab.code("alice@contoso.example", &[]).await;
    lab.clock.advance(std::time::Duration::from_secs(600));
    assert_eq!(lab.redeem(&code, &[]).await.aadsts(), 70008);
    assert_eq!(lab.redeem("1.never-issued", &[]).await.aadsts(), 70000);
}

#[tokio::test]
async fn the_session_signs_in_again_without_the_page_and_prompt_decides() {
    let lab = Lab::new().await;
    let none = lab.authorize_url(&[("prompt", "none")]);
    assert_eq!(lab.get(&none, &[]).await.location()["error"], "login_required");
    lab.signed_in("alice@contoso.example").await;
    assert!(lab.get(&none, &[]).await.location().contains_key("code"));
    assert_eq!(lab.get(&lab.authorize_url(&[]), &[]).await.status, 302);
    assert_eq!(lab.get(&lab.authorize_url(&[("prompt", "login")]), &[]).await.status, 200);
    assert_eq!(lab.get(&lab.authorize_url(&[("prompt", "select_account")]), &[]).await.status, 200);
    let other = lab.authorize_url(&[("login_hint", "adele@contoso.example")]);
    assert_eq!(lab.get(&other, &[]).await.status, 200, "a hint for somebody else asks again");
}

#[tokio::test]
async fn sign_out_ends_the_session_and_returns_only_where_the_app_registered() {
    let lab = Lab::new().await;
    lab.signed_in("alice@contoso.example").await;
    let url = |back: &str| {
        format!(
            "{}{}/oauth2/v2.0/logout?post_logout_redirect_uri={back}&state=s",
            lab.facts.console_url, lab.facts.tenant_id
        )
    };
    let reply = lab.get(&url("http://localhost:5000/"), &[]).await;
    assert_eq!(reply.headers["location"], "http://localhost:5000/?state=s");
    assert_eq!(lab.get(&lab.authorize_url(&[]), &[]).await.status, 200, "the page asks again");
    let reply = lab.get(&url("http://evil.example/"), &[]).await;
    assert_eq!(reply.status, 200);
    assert!(!reply.text().contains("evil"), "an unregistered address is not even shown");
}

#[tokio::test]
async fn front_channel_logout_tells_every_app_of_the_session_with_iss_and_sid() {
    let toml = "
[[app]]
name = 'web-app'
redirect_uris = ['http://localhost:5000/getAToken']
logout_url = 'http://localhost:5000/signed-out'
[[app.fic]]
name = 'mine'
managed_identity = 'web-app-identity'
[[app]]
name = 'protected-api'
[app.api]
scopes = ['access_as_user']
";
    let lab = Lab::seeded(toml).await;
    let tokens = lab.signed_in("alice@contoso.example").await;
    let sid = claims(tokens["id_token"].as_str().unwrap())["sid"].as_str().unwrap().to_owned();
    let reply = lab.get(&format!("{}{}/oauth2/v2.0/logout", lab.facts.console_url, lab.facts.tenant_id), &[]).await;
    let page = reply.text();
    assert!(page.contains("http://localhost:5000/signed-out?iss=https%3A%2F%2Flocalhost"), "{page}");
    assert!(page.contains(&format!("sid={sid}")), "{page}");
    assert!(reply.headers["content-security-policy"].contains("frame-src http://localhost:5000"));
}

#[tokio::test]
async fn people_are_asked_for_consent_once_when_no_administrator_gave_it() {
    let toml = "
[[app]]
name = 'web-app'
redirect_uris = ['http://localhost:5000/getAToken']
admin_consent = false
[[app]]
name = 'protected-api'
[app.api]
scopes = ['access_as_user']
";
    let lab = Lab::seeded(toml).await;
    let url = lab.authorize_url(&[]);
    let page = lab.post(&url, &[("user", "alice@contoso.example")]).await;
    assert!(page.status == 200 && page.text().contains("access_as_user"), "{}", page.text());
    let declined = lab.post(&url, &[("user", "alice@contoso.example"), ("cancel", "1")]).await.location();
    assert!(declined["error_description"].starts_with("AADSTS65004") && declined["error_subcode"] == "cancel");
    let accepted = lab.post(&url, &[("user", "alice@contoso.example"), ("consent", "accept")]).await;
    assert!(accepted.location().contains_key("code"));
    assert_eq!(lab.post(&url, &[("user", "alice@contoso.example")]).await.status, 302, "asked once");
    let again = lab.authorize_url(&[("prompt", "consent")]);
    assert_eq!(lab.post(&again, &[("user", "alice@contoso.example")]).await.status, 200, "unless the app insists");
    let admin = format!(
        "{}{}/v2.0/adminconsent?client_id={}&redirect_uri=http://localhost:5000/getAToken&scope=openid&state=s",
        lab.facts.console_url,
        lab.facts.tenant_id,
        lab.client_id()
    );
    assert_eq!(lab.get(&admin, &[]).await.location()["admin_consent"], "True");
}

#[tokio::test]
async fn answers_come_in_the_mode_that_was_asked_for() {
    let lab = Lab::new().await;
    let user = [("user", "alice@contoso.example")];
    let fragment = lab.post(&lab.authorize_url(&[("response_mode", "fragment")]), &user).await;
    assert!(fragment.headers["location"].starts_with("http://localhost:5000/getAToken#"), "{fragment:?}");
    let form = lab.post(&lab.authorize_url(&[("response_mode", "form_post")]), &user).await.text();
    assert!(form.contains("name=\"code\"") && form.contains("name=\"state\" value=\"a-state\""), "{form}");
}

#[tokio::test]
async fn roles_and_groups_are_in_the_tokens_and_too_many_groups_become_a_pointer() {
    let toml = "
[[app]]
name = 'web-app'
redirect_uris = ['http://localhost:5000/getAToken']
group_claims = true
roles = ['Admin']
[[app.fic]]
name = 'mine'
managed_identity = 'web-app-identity'
[[app]]
name = 'protected-api'
[app.api]
scopes = ['access_as_user']
roles = ['Admin']
[[user]]
upn = 'few@contoso.example'
groups = ['one', 'two']
roles = ['Admin']
[[user]]
upn = 'many@contoso.example'
group_count = 201
";
    let lab = Lab::seeded(toml).await;
    let few = lab.signed_in("few@contoso.example").await;
    let id = claims(few["id_token"].as_str().unwrap());
    assert_eq!(id["groups"].as_array().unwrap().len(), 2);
    assert_eq!(id["roles"], serde_json::json!(["Admin"]));
    assert_eq!(claims(few["access_token"].as_str().unwrap())["roles"], serde_json::json!(["Admin"]));
    let many = lab.signed_in("many@contoso.example").await;
    let id = claims(many["id_token"].as_str().unwrap());
    assert!(!id.contains_key("groups") && id["_claim_names"]["groups"] == "src1", "{id:?}");
}

#[tokio::test]
async fn an_api_calls_the_next_one_on_behalf_of_its_caller() {
    let toml = "
[[app]]
name = 'web-app'
redirect_uris = ['http://localhost:5000/getAToken']
[[app.fic]]
name = 'mine'
managed_identity = 'web-app-identity'
[[app]]
name = 'protected-api'
secrets = [{ value = 'api-secret' }]
[app.api]
scopes = ['access_as_user']
";
    let lab = Lab::seeded(toml).await;
    let tokens = lab.signed_in("alice@contoso.example").await;
    let app_only = lab.exchange(&lab.assertion().await).await.json();
    let api = lab.facts.api_client_id.unwrap().to_string();
    let obo = async |assertion: &str| {
        let form = [
            ("client_id", api.as_str()),
            ("client_secret", "api-secret"),
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("requested_token_use", "on_behalf_of"),
            ("assertion", assertion),
            ("scope", "https://graph.microsoft.com/User.Read"),
        ];
        lab.post(&lab.token_url(), &form).await
    };
    let access = tokens["access_token"].as_str().unwrap();
    let reply = obo(access).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let graph = reply.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(claims(&graph)["upn"], "alice@contoso.example");
    assert_eq!(obo(tokens["id_token"].as_str().unwrap()).await.aadsts(), 500_131);
    assert_eq!(obo(app_only["access_token"].as_str().unwrap()).await.aadsts(), 500_131);
    assert_eq!(obo("x").await.aadsts(), 50027);
    let userinfo = lab
        .get(&format!("{}/oidc/userinfo", lab.facts.authority_host), &[("authorization", &format!("Bearer {graph}"))])
        .await;
    assert_eq!(userinfo.json()["email"], "alice@contoso.example");
    lab.clock.advance(std::time::Duration::from_secs(2 * 3600));
    assert_eq!(obo(access).await.aadsts(), 500_133);
}

#[tokio::test]
async fn a_device_signs_in_once_its_person_has_finished() {
    let toml = "[[app]]\nname = 'tool'\npublic_client = true\n";
    let lab = Lab::seeded(toml).await;
    let id = lab.client_id();
    let url = format!("{}/oauth2/v2.0/devicecode", lab.facts.authority);
    let begun = lab.post(&url, &[("client_id", &id), ("scope", "openid profile")]).await.json();
    let device = begun["device_code"].as_str().unwrap();
    let poll = async || {
        let form = [
            ("client_id", id.as_str()),
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", device),
        ];
        lab.post(&lab.token_url(), &form).await
    };
    assert_eq!(poll().await.json()["error"], "authorization_pending");
    let page = begun["verification_uri"].as_str().unwrap();
    assert!(lab.get(page, &[]).await.text().contains("Code shown by the device"));
    lab.post(page, &[("user_code", begun["user_code"].as_str().unwrap()), ("user", "alice@contoso.example")]).await;
    let tokens = poll().await;
    assert_eq!(tokens.status, 200, "{}", tokens.text());
    assert_eq!(claims(tokens.json()["id_token"].as_str().unwrap())["preferred_username"], "alice@contoso.example");
    assert_eq!(poll().await.aadsts(), 70018, "a device code works once");
}

#[tokio::test]
async fn a_refresh_token_may_be_used_again_as_at_entra_unless_the_seed_is_stricter() {
    let lab = Lab::new().await;
    let strict = Lab::seeded("[sign_in]\nrefresh_reuse = 'revoke-family'\n").await;
    for (lab, second) in [(lab, None), (strict, Some(70000))] {
        let tokens = lab.signed_in("alice@contoso.example").await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
        let assertion = lab.assertion().await;
        assert_eq!(lab.token_with(&assertion, &form).await.status, 200);
        let reply = lab.token_with(&assertion, &form).await;
        assert_eq!((reply.status != 200).then(|| reply.aadsts()), second);
    }
}

#[tokio::test]
async fn scripts_sign_in_without_the_page_when_the_seed_allows_it() {
    let lab = Lab::seeded("[sign_in]\nauto = true\n").await;
    let url = lab.authorize_url(&[("login_hint", "alice@contoso.example")]);
    assert!(lab.get(&url, &[]).await.location().contains_key("code"));
    assert_eq!(lab.get(&lab.authorize_url(&[("prompt", "login")]), &[]).await.status, 200, "nobody is named");
}

#[tokio::test]
async fn secrets_are_checked_and_expire() {
    let toml =
        "[[app]]\nname = 'x'\nsecrets = [{ value = 'good' }, { value = 'old', expires = '2027-01-01T00:00:00Z' }]\n";
    let lab = Lab::seeded(toml).await;
    let id = lab.client_id();
    let with = async |secret: &str| {
        let form = [
            ("client_id", id.as_str()),
            ("client_secret", secret),
            ("grant_type", "client_credentials"),
            ("scope", "https://redis.azure.com/.default"),
        ];
        lab.post(&lab.token_url(), &form).await
    };
    let good = with("good").await;
    assert_eq!(good.status, 200);
    assert_eq!(claims(good.json()["access_token"].as_str().unwrap())["appidacr"], "1");
    assert_eq!(with("bad").await.aadsts(), 7_000_215);
    assert_eq!(with("old").await.aadsts(), 7_000_222);
    assert_eq!(with("").await.aadsts(), 7_000_218);
}

#[tokio::test]
async fn a_certificate_signs_the_clients_own_assertion() {
    let (key, der) = entrant_proto::jose::SigningKey::generate("").unwrap();
    let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(
        &rustls::pki_types::PrivatePkcs8KeyDer::from(der.as_slice()),
        &rcgen::PKCS_RSA_SHA256,
    )
    .unwrap();
    let pem = rcgen::CertificateParams::default().self_signed(&pair).unwrap().pem();
    let lab = Lab::seeded(&format!("[[app]]\nname = 'web-app'\ncertificates = [{{ pem = '''{pem}''' }}]\n")).await;
    let id = lab.client_id();
    let sign = |key: &entrant_proto::jose::SigningKey, audience: &str| {
        let now = support::START;
        let claims =
            serde_json::json!({ "iss": id, "sub": id, "aud": audience, "jti": "1", "nbf": now, "exp": now + 600 });
        key.sign(&serde_json::Map::new(), &claims).unwrap().expose().to_owned()
    };
    assert_eq!(lab.exchange(&sign(&key, &lab.token_url())).await.status, 200);
    assert_eq!(lab.exchange(&sign(&key, "https://elsewhere")).await.aadsts(), 700_212);
    let own = entrant_proto::oauth::Certificate::read((pair.serialize_pem() + &pem).as_bytes(), None).unwrap();
    let now = entrant_types::Timestamp::from_secs(support::START);
    let ps256 =
        own.assertion(id.parse().unwrap(), &lab.token_url(), entrant_types::Guid::from_bytes([7; 16]), now).unwrap();
    assert_eq!(lab.exchange(ps256.expose()).await.status, 200, "what our own clients send");
    let (other, _) = entrant_proto::jose::SigningKey::generate("").unwrap();
    assert_eq!(lab.exchange(&sign(&other, &lab.token_url())).await.aadsts(), 700_027);
}

#[tokio::test]
async fn a_client_that_can_answer_claims_challenges_says_so_in_its_tokens() {
    let lab = Lab::new().await;
    let code = lab.code("alice@contoso.example", &[]).await;
    let declared = r#"{"access_token":{"xms_cc":{"values":["CP1"]}}}"#;
    let tokens = lab.redeem(&code, &[("claims", declared)]).await.json();
    assert_eq!(claims(tokens["access_token"].as_str().unwrap())["xms_cc"], serde_json::json!(["CP1"]));
}
