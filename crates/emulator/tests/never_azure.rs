//! The emulator is never mistaken for Azure, and nothing outside this machine can use it.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use support::{Lab, claims};

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let lab = Lab::new().await;
    let port = url::Url::parse(&lab.facts.console_url).unwrap().port().unwrap();
    // Every address of this machine but 127.0.0.1 must refuse; 127.0.0.2 stands for them and needs no network.
    let other = SocketAddr::from(([127, 0, 0, 2], port));
    assert!(tokio::net::TcpStream::connect(other).await.is_err(), "bound to more than 127.0.0.1");
}

#[tokio::test]
async fn a_host_header_that_is_not_loopback_is_refused_everywhere() {
    let lab = Lab::new().await;
    let metadata = format!("{}/v2.0/.well-known/openid-configuration", lab.facts.authority);
    for url in [lab.facts.console_url.clone(), lab.facts.identity_endpoint.clone(), lab.authorize_url(&[]), metadata] {
        for host in ["evil.example", "login.microsoftonline.com", "169.254.169.254", "localhost.evil.example", ""] {
            assert_eq!(lab.get(&url, &[("host", host)]).await.status, 421, "{url} for {host}");
        }
    }
}

#[tokio::test]
async fn web_pages_and_forwarded_requests_get_no_managed_identity_token() {
    let lab = Lab::new().await;
    let url = format!(
        "{}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://redis.azure.com",
        lab.facts.imds_url
    );
    for (name, value, status) in [
        ("origin", "http://localhost:5000", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("x-forwarded-for", "10.0.0.1", 400),
        ("forwarded", "for=10.0.0.1", 400),
    ] {
        assert_eq!(lab.get(&url, &[("metadata", "true"), (name, value)]).await.status, status, "{name}: {value}");
    }
}

#[tokio::test]
async fn forms_of_other_sites_choose_nobody() {
    let lab = Lab::new().await;
    let url = lab.authorize_url(&[]);
    let port = url::Url::parse(&url).unwrap().port().unwrap();
    let own = format!("http://localhost:{port}");
    for (origin, status) in [("http://localhost:5000", 403), ("null", 403), ("https://evil.example", 403), (&own, 302)]
    {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", origin)];
        let reply = lab.send("POST", &url, &headers, "user=alice@contoso.example".into()).await;
        assert_eq!(reply.status, status, "{origin}");
    }
}

#[tokio::test]
async fn app_service_tokens_need_this_runs_secret() {
    let lab = Lab::new().await;
    let other = Lab::new().await;
    let url = format!("{}?api-version=2019-08-01&resource=https://redis.azure.com", lab.facts.identity_endpoint);
    assert_eq!(lab.get(&url, &[]).await.status, 401);
    assert_eq!(lab.get(&url, &[("x-identity-header", "guess")]).await.status, 401);
    drop(other);
    assert_eq!(lab.managed_identity("https://redis.azure.com", "").await.status, 200);
}

#[tokio::test]
async fn the_ca_cannot_vouch_for_anything_but_loopback() {
    let folder = support::Folder::new("constraints");
    let (_, ca_pem) = support::kept(&folder).await;
    let ca_key = KeyPair::from_pem(&std::fs::read_to_string(folder.path().join("ca-key.pem")).unwrap()).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Entrant emulator CA, loopback only");
    let issuer = Issuer::new(params, ca_key);
    let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(support::real_now().secs().unsigned_abs()));
    // Somebody stole the CA's key and signs a certificate for `name` with it: is that worth anything?
    let accepted = |name: &'static str| {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let name = ServerName::try_from(name).unwrap();
        verifier.verify_server_cert(&CertificateDer::from(leaf), &[], &name, &[], now).is_ok()
    };
    for name in ["localhost", "app.localhost", "127.0.0.1", "127.1.2.3"] {
        assert!(accepted(name), "{name}");
    }
    for name in ["login.microsoftonline.com", "localhost.example", "10.0.0.1", "169.254.169.254", "::1"] {
        assert!(!accepted(name), "{name}");
    }
}

#[tokio::test]
async fn the_key_set_has_public_members_only() {
    let lab = Lab::new().await;
    let keys = lab.get(&lab.facts.jwks_url, &[]).await.json();
    for key in keys["keys"].as_array().unwrap() {
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key.get(private).is_none(), "{private} is published");
        }
        assert_eq!(key["kty"], "RSA");
        assert_eq!(key["use"], "sig");
        assert!(key["x5t"].is_string() && key["x5c"].is_array());
        assert!(key["kid"].as_str().unwrap().starts_with("emulator-"));
    }
}

#[tokio::test]
async fn every_token_and_every_answer_is_marked() {
    let lab = Lab::new().await;
    let tokens = lab.signed_in("alice@contoso.example").await;
    let app = lab.exchange(&lab.assertion().await).await.json();
    for token in [&tokens["access_token"], &tokens["id_token"], &app["access_token"]] {
        assert_eq!(claims(token.as_str().unwrap())["xms_emulator"], true);
    }
    assert_eq!(claims(&lab.assertion().await)["xms_emulator"], true);
    let nowhere = format!("{}nowhere", lab.facts.console_url);
    for url in [lab.facts.console_url.clone(), lab.facts.jwks_url.clone(), lab.facts.identity_endpoint.clone(), nowhere]
    {
        assert_eq!(lab.get(&url, &[]).await.headers["x-emulator"], "1", "{url}");
    }
}

#[tokio::test]
async fn issuers_are_loopback_unless_the_seed_asks_for_production_shape() {
    let lab = Lab::new().await;
    assert!(lab.facts.issuer_v2.starts_with("https://localhost:"), "{}", lab.facts.issuer_v2);
    let lab = Lab::seeded("issuer_style = 'entra'").await;
    assert_eq!(lab.facts.issuer_v2, format!("https://login.microsoftonline.com/{}/v2.0", lab.facts.tenant_id));
    assert_eq!(lab.facts.issuer_v1, format!("https://sts.windows.net/{}/", lab.facts.tenant_id));
    assert_eq!(claims(&lab.assertion().await)["xms_emulator"], true);
    assert_eq!(lab.exchange(&lab.assertion().await).await.status, 200);
}

#[tokio::test]
async fn pages_ask_for_no_password_run_no_script_and_say_what_they_are() {
    let lab = Lab::new().await;
    let failing = lab.authorize_url(&[("redirect_uri", "http://localhost:5000/other")]);
    let flow = format!("{}console/flow", lab.facts.console_url);
    lab.signed_in("alice@contoso.example").await;
    let picker = lab.authorize_url(&[("prompt", "select_account")]);
    for url in [picker, failing, lab.facts.console_url.clone(), flow] {
        let reply = lab.get(&url, &[]).await;
        let page = reply.text();
        let lower = page.to_lowercase();
        assert!(
            lower.contains("local emulator") && lower.contains("not affiliated with or endorsed by microsoft"),
            "{url}"
        );
        for absent in ["type=\"password\"", "<script", "<img", " src=", "onclick", "javascript:"] {
            assert!(!lower.contains(absent), "{url} has {absent}");
        }
        // The only uses of the name: the denial, and resources that are called so.
        let rest =
            lower.replace("not affiliated with or endorsed by microsoft.", "").replace("graph.microsoft.com", "");
        assert!(!rest.contains("microsoft"), "{url}");
        let policy = &reply.headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"));
    }
}

#[tokio::test]
async fn form_post_runs_one_known_script_only() {
    let lab = Lab::new().await;
    let reply =
        lab.post(&lab.authorize_url(&[("response_mode", "form_post")]), &[("user", "alice@contoso.example")]).await;
    assert_eq!(reply.status, 200);
    let policy = &reply.headers["content-security-policy"];
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"document.forms[0].submit()");
    let hash = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(hash.as_ref())
    };
    assert!(policy.contains(&format!("script-src 'sha256-{hash}'")), "{policy}");
    assert!(reply.text().contains("<script>document.forms[0].submit()</script>"));
    assert!(reply.text().contains("action=\"http://localhost:5000/getAToken\""));
}

#[cfg(unix)]
#[tokio::test]
async fn kept_keys_are_their_owners_only_and_are_used_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = support::Folder::new("kept");
    let first = support::kept(&folder).await;
    for name in ["signing-key.der", "ca-key.pem", "localhost-key.pem", "workload-identity-token"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let second = support::kept(&folder).await;
    assert_eq!(first, second, "key set and CA are those of the first start");
}

#[tokio::test]
async fn what_is_logged_and_journaled_holds_no_secret() {
    let logs = entrant_testkit::Logs::capture();
    let lab = Lab::new().await;
    let code = lab.code("alice@contoso.example", &[]).await;
    let assertion = lab.assertion().await;
    let tokens = lab.redeem(&code, &[]).await.json();
    lab.redeem(&code, &[]).await;
    let secret = "a-secret-that-somebody-typed";
    let id = lab.client_id();
    lab.post(
        &lab.token_url(),
        &[
            ("client_id", &id),
            ("client_secret", secret),
            ("grant_type", "client_credentials"),
            ("scope", "https://graph.microsoft.com/.default"),
        ],
    )
    .await;
    let journal = serde_json::to_string(&lab.emulator.journal(0)).unwrap();
    let flow = lab.get(&format!("{}console/flow", lab.facts.console_url), &[]).await.text();
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    for secret in [
        secret.to_owned(),
        code,
        assertion,
        text("access_token"),
        text("refresh_token"),
        text("id_token"),
        lab.facts.identity_header.expose().to_owned(),
    ] {
        for (place, shown) in [("log", logs.text()), ("journal", journal.clone()), ("page", flow.clone())] {
            assert!(!shown.contains(&secret), "a secret is in the {place}");
        }
    }
    assert!(logs.text().contains("AADSTS54005"), "the log was captured: {}", logs.text());
}
