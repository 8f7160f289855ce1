//! Numbers that no other test meets, each by the request that earns it.

mod support;

use support::Lab;

/// The directory of the client matrix: it has a public client and an API with a secret.
const SEED: &str = include_str!("../../../conformance/sdk/seed.toml");
const DESKTOP: &str = "00000000-0000-4000-8000-00000000de5c";
const OBO: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

struct Asking(Lab);

impl Asking {
    async fn new() -> Self {
        Self(Lab::seeded(SEED).await)
    }

    /// The number that a token request earns; the web app's id and secret unless it says otherwise.
    async fn token(&self, form: &[(&str, &str)]) -> u64 {
        let lab = &self.0;
        let client_id = lab.client_id();
        let mut whole = form.to_vec();
        for (name, value) in [("client_id", client_id.as_str()), ("client_secret", "emulator-only-secret-of-web-app")] {
            if !form.iter().any(|(own, _)| *own == name) {
                whole.push((name, value));
            }
        }
        lab.post(&lab.token_url(), &whole).await.aadsts()
    }

    async fn app_only(&self, scope: &str) -> u64 {
        self.token(&[("grant_type", "client_credentials"), ("scope", scope)]).await
    }
}

#[tokio::test]
async fn scopes_that_name_no_one_resource_are_refused_by_number() {
    let asking = Asking::new().await;
    assert_eq!(asking.app_only("api://downstream/read").await, 1_002_012);
    assert_eq!(asking.app_only("api://nobody/.default").await, 500_011);
    assert_eq!(asking.app_only("api://downstream/.default https://graph.microsoft.com/.default").await, 28000);
    let two = asking.0.authorize_url(&[("scope", "api://downstream/read https://graph.microsoft.com/User.Read")]);
    assert!(asking.0.get(&two, &[]).await.location()["error_description"].starts_with("AADSTS28000: "));
}

#[tokio::test]
async fn grants_and_clients_that_do_not_fit_are_refused_by_number() {
    let asking = Asking::new().await;
    assert_eq!(asking.token(&[("grant_type", "password"), ("scope", "openid")]).await, 70003);
    assert_eq!(asking.token(&[("grant_type", "client_credentials"), ("client_id", "web-app")]).await, 700_038);
    let public = [("grant_type", "client_credentials"), ("client_id", DESKTOP), ("client_secret", "s")];
    assert_eq!(asking.token(&public).await, 700_025);
    let url = asking.0.authorize_url(&[("response_type", "token")]);
    let back = asking.0.get(&url, &[]).await.location();
    assert_eq!(back["error"], "unsupported_response_type");
    assert!(back["error_description"].starts_with("AADSTS700054: "), "{back:?}");
}

#[tokio::test]
async fn a_tenant_that_does_not_exist_is_refused_by_number() {
    let lab = Lab::new().await;
    let nowhere = lab.facts.authority.replace(&lab.facts.tenant_id.to_string(), "00000000-0000-4000-8000-000000000000");
    assert_eq!(lab.get(&format!("{nowhere}/v2.0/.well-known/openid-configuration"), &[]).await.aadsts(), 90002);
    assert_eq!(lab.post(&format!("{nowhere}/oauth2/v2.0/token"), &[("grant_type", "x")]).await.aadsts(), 90002);
}

#[tokio::test]
async fn an_assertion_to_act_on_behalf_of_is_judged_cause_by_cause() {
    let asking = Asking::new().await;
    let lab = &asking.0;
    let api = lab.facts.api_client_id.unwrap().to_string();
    let obo = async |assertion: &str, wanted: &str| {
        let secret = "emulator-only-secret-of-protected-api";
        let form = [("grant_type", OBO), ("client_id", &api), ("client_secret", secret), ("assertion", assertion)];
        asking
            .token(&[&form[..], &[("requested_token_use", wanted), ("scope", "api://downstream/read")]].concat())
            .await
    };
    let for_the_api = format!("api://{api}/.default");
    let form = [("grant_type", "client_credentials"), ("scope", for_the_api.as_str())];
    let app_only = lab.token_with(&lab.assertion().await, &form).await.json();
    assert_eq!(obo(app_only["access_token"].as_str().unwrap(), "on_behalf_of").await, 7_000_113);
    let person = lab.signed_in("alice@contoso.example").await;
    let access = person["access_token"].as_str().unwrap();
    let (signed, _) = access.rsplit_once('.').unwrap();
    assert_eq!(obo(&format!("{signed}.AAAA"), "on_behalf_of").await, 50013);
    assert_eq!(obo(access, "logon").await, 70003);
}

#[tokio::test]
async fn an_app_without_a_role_of_an_api_that_demands_one_is_refused_by_number() {
    let toml = "
[[app]]
name = 'web-app'
secrets = [{ value = 'secret' }]
redirect_uris = ['http://localhost:5000/getAToken']
[[app]]
name = 'closed-api'
assignment_required = true
[app.api]
uri = 'api://closed'
roles = ['Reader']
";
    let lab = Lab::seeded(toml).await;
    let form = [
        ("client_id", lab.client_id()),
        ("client_secret", "secret".to_owned()),
        ("grant_type", "client_credentials".to_owned()),
        ("scope", "api://closed/.default".to_owned()),
    ];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(lab.post(&lab.token_url(), &form).await.aadsts(), 501_051);
}

#[tokio::test]
async fn a_device_that_asks_too_early_too_late_or_for_another_is_told_which() {
    let lab = Lab::seeded(SEED).await;
    let url = format!("{}/oauth2/v2.0/devicecode", lab.facts.authority);
    let begun = lab.post(&url, &[("client_id", DESKTOP), ("scope", "openid")]).await.json();
    let code = begun["device_code"].as_str().unwrap().to_owned();
    let poll = async |code: &str| {
        let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
        lab.post(&lab.token_url(), &[grant, ("client_id", DESKTOP), ("device_code", code)]).await.aadsts()
    };
    assert_eq!(poll(&code).await, 70016);
    assert_eq!(poll("another").await, 70018);
    lab.clock.advance(std::time::Duration::from_secs(901));
    assert_eq!(poll(&code).await, 70019);
}
