//! Seeds: zero configuration, overrides, and mistakes that are explained.

mod support;

use entrant_emulator::{Level, Seed};
use support::{Lab, claims};

fn findings(toml: &str) -> Vec<String> {
    Seed::check(toml).iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_seed_and_the_default_one_have_no_finding() {
    assert_eq!(findings(""), Vec::<String>::new());
}

#[tokio::test]
async fn ids_are_the_same_in_every_run() {
    let (one, two) = (Lab::new().await, Lab::new().await);
    assert_eq!(one.facts.client_id, two.facts.client_id);
    assert_eq!(one.facts.managed_identity_principal_id, two.facts.managed_identity_principal_id);
    assert_ne!(one.facts.identity_header, two.facts.console_url.as_str().into());
    assert_eq!(one.facts.tenant_id, two.facts.tenant_id);
}

#[tokio::test]
async fn the_client_id_as_subject_is_explained_with_the_principal_id() {
    let facts = Lab::new().await.facts;
    let (client, principal) = (facts.managed_identity_client_id.unwrap(), facts.managed_identity_principal_id.unwrap());
    let toml =
        format!("[[app]]\nname = 'a'\n[[app.fic]]\nname = 'trust'\nissuer = 'https://x'\nsubject = '{client}'\n");
    let found = findings(&toml);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("the subject is the client id of 'web-app-identity'; Entra wants its principal id"),
        "{found:?}"
    );
    assert!(found[0].contains(&principal.to_string()));
}

#[test]
fn mistakes_are_sentences_and_all_are_said_at_once() {
    for (toml, part) in [
        ("[[app]]\nnam = 'x'", "line 2: unknown field `nam`"),
        ("[[app]", "line 1"),
        ("[[app]]\nname = 'x'\nclient_id = 'y'", "client_id of 'x' is not a GUID"),
        ("[[app]]\nname = 'x'\n[[app]]\nname = 'x'", "'x' is defined twice"),
        (
            "[[app]]\nname = 'x'\n[[app.fic]]\nname = 'abc'\nmanaged_identity = 'nobody'",
            "trusts 'nobody', which is no [[identity]]",
        ),
        (
            "[[app]]\nname = 'x'\n[[app.fic]]\nname = 'abc'\nissuer = 'i'\nexpression = 'sub eq x'",
            "a term starts with claims['name']",
        ),
        ("[[redis.user]]\nidentity = 'nobody'", "names 'nobody', which does not exist"),
        ("[[redis.user]]\nidentity = 'web-app-identity'\npolicy = 'owner'", "policy 'owner'"),
        ("[host]\ndefault = 'nobody'", "[host] names 'nobody'"),
        ("[[user]]\nupn = 'alice'", "not of the form name@domain"),
        ("[[fault]]\nendpoint = 'x'\neffect = 'reset'", "names the endpoint 'x'"),
        ("tenant = []", "There is no tenant"),
    ] {
        let found = Seed::check(toml);
        assert!(
            found.iter().any(|finding| finding.level == Level::Mistake && finding.sentence.contains(part)),
            "{toml}: {found:?}"
        );
        assert!(found.iter().all(|finding| finding.sentence.ends_with('.')), "{found:?}");
    }
}

#[test]
fn oddities_that_entra_would_refuse_are_warned_of() {
    let fic = |rest: &str| format!("[[app]]\nname = 'x'\n[[app.fic]]\nname = 'abc'\n{rest}\n");
    for (toml, part) in [
        (fic("managed_identity = 'host-vm'"), "system-assigned"),
        (fic("managed_identity = 'web-app-identity'\naudience = 'api://x'"), "AADSTS700212"),
        (fic("subject = 's'\nissuer = 'https://login.microsoftonline.com/t/v2.0'"), "real Entra's"),
        (fic("subject = 's'\nissuer = 'https://sts.windows.net/t/'"), "issuer of v1 tokens"),
        (fic("subject = 's'\nissuer = 'i'\n[[app.fic]]\nname = 'def'\nsubject = 's'\nissuer = 'i'"), "AADSTS700263"),
        ("[[app]]\nname = 'x'\nredirect_uris = ['http://example.com/cb']".to_owned(), "localhost only"),
        ("[[app]]\nname = 'x'\nredirect_uris = ['https://*.example.com/cb']".to_owned(), "wildcards"),
        ("[[app]]\nname = 'x'\npermissions = ['y/Z']".to_owned(), "no API defines"),
        (
            "[[app]]\nname = 'x'\nsecrets = [{ value = 'abc8Q~0123456789012345678901234567890123' }]".to_owned(),
            "real one",
        ),
        ("[[user]]\nupn = 'a@b'\nassigned = ['nothing']".to_owned(), "does not exist"),
        ("[[user]]\nupn = 'a@b'\nroles = ['Nothing']".to_owned(), "no app defines"),
        ("[lifetimes]\naccess = 60".to_owned(), "less than 300 s"),
    ] {
        let found = Seed::check(&toml);
        assert!(
            found.iter().any(|finding| finding.level == Level::Warning && finding.sentence.contains(part)),
            "{toml}: {found:?}"
        );
    }
}

#[tokio::test]
async fn default_sections_follow_the_ones_that_a_file_replaces() {
    let lab = Lab::seeded("[[identity]]\nname = 'mine'\n").await;
    assert_eq!(lab.facts.redis_assignments[0].name, "mine");
    assert_eq!(lab.exchange(&lab.assertion().await).await.status, 200);
}

#[tokio::test]
async fn two_tenants_have_their_own_issuers_and_apps() {
    let toml = "
[[tenant]]
domain = 'one.example'
[[tenant]]
domain = 'two.example'
[[app]]
name = 'web-app'
redirect_uris = ['http://localhost:5000/getAToken']
[[app.fic]]
name = 'mine'
managed_identity = 'web-app-identity'
[[app]]
name = 'other'
tenant = 'two.example'
[[app]]
name = 'protected-api'
[app.api]
scopes = ['access_as_user']
[[user]]
upn = 'a@one.example'
[[user]]
upn = 'b@two.example'
";
    let lab = Lab::seeded(toml).await;
    let url = format!("{}/two.example/oauth2/v2.0/token", lab.facts.authority_host);
    let assertion = lab.assertion().await;
    let id = lab.client_id();
    let form = [
        ("client_id", id.as_str()),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion.as_str()),
        ("grant_type", "client_credentials"),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    assert_eq!(lab.post(&url, &form).await.aadsts(), 700_016);
    let back = lab.post(&lab.authorize_url(&[]), &[("user", "b@two.example")]).await.location();
    assert!(back["error_description"].starts_with("AADSTS50020"), "{back:?}");
    assert_eq!(
        claims(lab.signed_in("a@one.example").await["access_token"].as_str().unwrap())["tid"],
        lab.facts.tenant_id.to_string()
    );
}
