//! Managed-identity endpoints: what is sent, and replies as they really come.
#![expect(clippy::unwrap_used, reason = "a test may stop at a broken promise")]

use std::sync::Arc;
use std::time::Duration;

use entrant_credential::sources::{Imds, announced_managed_identity, managed_identity};
use entrant_credential::{Outcome, Selector, Source};
use entrant_testkit::{Stage, json_reply, reply};
use entrant_types::outside::{HttpError, HttpRequest, Method};
use entrant_types::{AccessToken, Code, Fault, Retry, Scope, Whose};
use serde_json::json;

const CLIENT: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";

fn exchange() -> Scope {
    Scope::new("api://AzureADTokenExchange/.default")
}

fn stage(variables: &[(&str, &str)]) -> Stage {
    let stage = Stage::new();
    for (name, value) in variables {
        stage.env.set(name, value);
    }
    stage
}

fn by_client_id() -> Selector {
    Selector::ClientId(CLIENT.parse().unwrap())
}

/// The body that every protocol of managed identity may answer with.
fn body() -> serde_json::Value {
    json!({"access_token": "the-token", "expires_in": "86399", "expires_on": "1767311999", "resource": "r",
           "token_type": "Bearer", "not_before": "0", "refresh_token": "", "client_id": CLIENT})
}

async fn fetch(source: &Arc<dyn Source>) -> Result<AccessToken, Fault> {
    source.fetch(&exchange()).await.into_result(source.name())
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn imds_is_asked_as_documented_and_at_the_configured_place() {
    let stage = stage(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:8480/")]);
    stage.http.push(Ok(json_reply(200, body())));
    let source = managed_identity(by_client_id(), &stage.outside());
    let token = fetch(&source).await.unwrap();
    assert_eq!((source.name(), token.secret.expose()), ("imds", "the-token"));
    let requests = stage.http.requests();
    assert_eq!(requests.len(), 1, "a place that was named needs no probe");
    assert_eq!(
        requests[0].url,
        format!(
            "http://127.0.0.1:8480/metadata/identity/oauth2/token?api-version=2018-02-01\
             &resource=api%3A%2F%2FAzureADTokenExchange&client_id={CLIENT}"
        )
    );
    assert_eq!(header(&requests[0], "metadata"), Some("true"));
}

#[tokio::test]
async fn identities_are_named_by_client_object_or_resource_id() {
    let stage = stage(&[("IDENTITY_ENDPOINT", "http://127.0.0.1:1/t"), ("IDENTITY_HEADER", "identity-header")]);
    stage.http.handle(|_| Ok(json_reply(200, body())));
    let object = Selector::ObjectId(CLIENT.parse().unwrap());
    let resource = Selector::ResourceId("/subscriptions/s/x".to_owned());
    for (selector, app_service, imds) in [
        (by_client_id(), format!("client_id={CLIENT}"), format!("client_id={CLIENT}")),
        (object, format!("object_id={CLIENT}"), format!("object_id={CLIENT}")),
        (resource, "mi_res_id=%2Fsubscriptions%2Fs%2Fx".to_owned(), "msi_res_id=%2Fsubscriptions%2Fs%2Fx".to_owned()),
    ] {
        fetch(&managed_identity(selector.clone(), &stage.outside())).await.unwrap();
        let virtual_machine = Imds::at("http://127.0.0.1:2", selector, &stage.outside());
        fetch(&(Arc::new(virtual_machine) as _)).await.unwrap();
        let requests = stage.http.requests();
        let [.., first, second] = requests.as_slice() else { panic!("two requests") };
        assert!(first.url.ends_with(&app_service), "{}", first.url);
        assert_eq!(header(first, "x-identity-header"), Some("identity-header"));
        assert!(second.url.ends_with(&imds), "{}", second.url);
        assert_eq!(header(second, "x-identity-header"), None, "the secret of App Service goes nowhere else");
    }
}

#[tokio::test]
async fn the_variables_decide_which_endpoint_is_asked() {
    let endpoint = ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/t");
    for (variables, name) in [
        (vec![endpoint, ("IDENTITY_HEADER", "h")], "app-service"),
        (vec![endpoint, ("IDENTITY_HEADER", "h"), ("IDENTITY_SERVER_THUMBPRINT", "t")], "service-fabric"),
        (vec![endpoint, ("IMDS_ENDPOINT", "http://127.0.0.1:1")], "azure-arc"),
        (vec![("MSI_ENDPOINT", "http://127.0.0.1:1/t"), ("MSI_SECRET", "s")], "azure-ml"),
        (vec![("MSI_ENDPOINT", "http://127.0.0.1:1/t")], "cloud-shell"),
        (vec![("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")], "imds"),
    ] {
        let stage = stage(&variables);
        assert_eq!(managed_identity(Selector::SystemAssigned, &stage.outside()).name(), name);
    }
    let bare = stage(&[]);
    assert!(announced_managed_identity(Selector::SystemAssigned, &bare.outside()).is_none());
}

#[tokio::test]
async fn a_laptop_that_is_not_azure_learns_so_from_one_short_probe() {
    let stage = stage(&[]);
    stage.http.any_host();
    stage.http.push(Err(HttpError::Timeout(Duration::from_millis(800))));
    let source = managed_identity(Selector::SystemAssigned, &stage.outside());
    assert!(matches!(source.fetch(&exchange()).await, Outcome::NotApplicable(_)));
    let requests = stage.http.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].timeout < Duration::from_secs(1));
    assert!(requests[0].headers.is_empty(), "a probe is refused by the real service, and costs no token");
}

#[tokio::test]
async fn azure_ml_and_cloud_shell_and_service_fabric_are_asked_as_documented() {
    let ml = stage(&[("MSI_ENDPOINT", "http://127.0.0.1:1/t"), ("MSI_SECRET", "msi-secret")]);
    ml.env.set("DEFAULT_IDENTITY_CLIENT_ID", CLIENT);
    ml.http.handle(|_| Ok(json_reply(200, json!({"access_token": "t", "expires_on": "01/01/2026 01:00:00 +00:00"}))));
    let token = fetch(&managed_identity(Selector::SystemAssigned, &ml.outside())).await.unwrap();
    assert_eq!(token.lifetime.expires, Stage::START + Duration::from_secs(3600));
    let request = &ml.http.requests()[0];
    assert!(request.url.contains("api-version=2017-09-01") && request.url.contains(&format!("clientid={CLIENT}")));
    assert_eq!(header(request, "secret"), Some("msi-secret"));

    let shell = stage(&[("MSI_ENDPOINT", "http://127.0.0.1:1/t")]);
    shell.http.handle(|_| Ok(json_reply(200, body())));
    fetch(&managed_identity(Selector::SystemAssigned, &shell.outside())).await.unwrap();
    let request = &shell.http.requests()[0];
    assert_eq!((request.method, header(request, "metadata")), (Method::Post, Some("true")));
    assert_eq!(request.body.expose(), "resource=api%3A%2F%2FAzureADTokenExchange");
    let refused = fetch(&managed_identity(by_client_id(), &shell.outside())).await.unwrap_err();
    assert!(refused.is("identity_selector_unsupported"));
    assert_eq!(shell.http.count(), 1, "refused before the wire");

    let fabric = stage(&[("IDENTITY_ENDPOINT", "https://127.0.0.1:1/t"), ("IDENTITY_HEADER", "fabric-header")]);
    fabric.env.set("IDENTITY_SERVER_THUMBPRINT", "AA");
    fabric.http.handle(|_| Ok(json_reply(200, body())));
    fetch(&managed_identity(Selector::SystemAssigned, &fabric.outside())).await.unwrap();
    let request = &fabric.http.requests()[0];
    assert!(request.url.contains("api-version=2019-07-01-preview"));
    assert_eq!(header(request, "secret"), Some("fabric-header"));
}

fn arc() -> Stage {
    let endpoint = "http://127.0.0.1:40342/metadata/identity/oauth2/token";
    stage(&[("IDENTITY_ENDPOINT", endpoint), ("IMDS_ENDPOINT", "http://127.0.0.1:40342")])
}

fn arc_challenge(path: &str) -> entrant_types::outside::HttpReply {
    let mut challenge = reply(401, "");
    challenge.headers.push(("www-authenticate".to_owned(), format!("Basic realm={path}")));
    challenge
}

#[cfg(unix)]
#[tokio::test]
async fn an_arc_server_answers_the_challenge_with_the_agents_file() {
    let stage = arc();
    let path = "/var/opt/azcmagent/tokens/0af1.key";
    stage.files.set(path, "challenge-answer");
    stage.http.push(Ok(arc_challenge(path)));
    stage.http.push(Ok(json_reply(200, body())));
    fetch(&managed_identity(Selector::SystemAssigned, &stage.outside())).await.unwrap();
    assert_eq!(header(&stage.http.requests()[1], "authorization"), Some("Basic challenge-answer"));
}

#[cfg(unix)]
#[tokio::test]
async fn an_arc_challenge_never_makes_another_file_leave_the_machine() {
    let link = "/var/opt/azcmagent/tokens/link.key";
    for path in [
        "/etc/shadow",
        "/etc/private.key",
        "/var/opt/azcmagent/tokens/../../../../etc/private.key",
        "/var/opt/azcmagent/tokens/sub/a.key",
        "/var/opt/azcmagent/tokens/a.txt",
        "tokens/a.key",
        link,
    ] {
        let stage = arc();
        stage.files.set(path, "a file of somebody else");
        stage.files.set("/etc/private.key", "a file of somebody else");
        stage.files.link(link, "/etc/private.key");
        stage.http.push(Ok(arc_challenge(path)));
        let fault = fetch(&managed_identity(Selector::SystemAssigned, &stage.outside())).await.unwrap_err();
        assert!(fault.is("arc_challenge_refused"), "{path}: {fault}");
        assert_eq!(stage.http.count(), 1, "{path}");
    }
    let stage = arc();
    stage.files.set("/var/opt/azcmagent/tokens/big.key", vec![b'a'; 4097]);
    stage.http.push(Ok(arc_challenge("/var/opt/azcmagent/tokens/big.key")));
    let fault = fetch(&managed_identity(Selector::SystemAssigned, &stage.outside())).await.unwrap_err();
    assert!(fault.is("arc_challenge_unreadable"), "{fault}");
}

async fn answer(status: u16, body: impl Into<Vec<u8>>, headers: &[(&str, &str)]) -> Result<AccessToken, Fault> {
    let stage = stage(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")]);
    let mut reply = reply(status, body);
    reply.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    stage.http.push(Ok(reply));
    fetch(&managed_identity(Selector::SystemAssigned, &stage.outside())).await
}

#[tokio::test]
async fn lifetimes_come_as_strings_numbers_moments_and_not_at_all() {
    for (fields, seconds) in [
        (json!({"expires_in": "3600"}), 3600),
        (json!({"expires_in": 3600}), 3600),
        (json!({"expires_on": "1767229200"}), 3600),
        (json!({"expires_on": 1_767_229_200}), 3600),
        (json!({"expires_in": "86400", "expires_on": "1767229200"}), 3600),
        (json!({"expires_in": "60", "expires_on": 1_767_229_200}), 60),
        (json!({"expires_in": "", "expires_on": null}), 300),
        (json!({}), 300),
    ] {
        let mut body = json!({"access_token": "the-token"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let token = answer(200, body.to_string(), &[]).await.unwrap();
        assert_eq!(token.lifetime.left(Stage::START).as_secs(), seconds, "{fields}");
    }
}

#[tokio::test]
async fn expires_on_is_read_by_the_endpoints_clock_from_the_end_of_its_second() {
    let body = r#"{"access_token":"the-token","expires_on":"1767229200"}"#;
    let token = answer(200, body, &[("date", "Wed, 31 Dec 2025 23:50:00 GMT")]).await.unwrap();
    assert_eq!(token.lifetime.left(Stage::START).as_secs(), 4199);
}

#[tokio::test]
async fn an_identity_that_is_not_assigned_is_told_as_such() {
    let imds = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
    let app_service = r#"{"statusCode":400,"message":"No User Assigned or Delegated Managed Identity found"}"#;
    for body in [imds, app_service] {
        let fault = answer(400, body, &[]).await.unwrap_err();
        assert!(fault.is("identity_not_found") && fault.whose == Whose::Configuration, "{fault}");
        assert!(fault.fix.contains("MANAGED_IDENTITY_CLIENT_ID"));
    }
    let other = r#"{"error":"invalid_resource","error_description":"AADSTS500011: no such resource"}"#;
    assert!(!answer(400, other, &[]).await.unwrap_err().is("identity_not_found"));
}

#[tokio::test]
async fn passing_failures_may_be_retried_and_say_when() {
    for status in [404, 410, 429, 500, 502, 503, 504] {
        let fault = answer(status, "<html>not JSON</html>", &[]).await.unwrap_err();
        assert_eq!((fault.retry, fault.codes.last()), (Retry::Whenever, Some(&Code::Http(status))), "{status}");
        let fault = answer(status, "", &[("retry-after", "7")]).await.unwrap_err();
        assert_eq!(fault.retry, Retry::After(Duration::from_secs(7)));
    }
}

#[tokio::test]
async fn a_redirect_of_an_identity_endpoint_is_refused_and_not_followed() {
    let fault = answer(302, "", &[("location", "http://127.0.0.1:9/elsewhere")]).await.unwrap_err();
    assert_eq!(fault.whose, Whose::Network);
}

#[tokio::test]
async fn a_success_without_a_token_is_a_fault_that_shows_nothing_of_the_body() {
    for body in ["", "<html>", "[]", r#"{"access_token":""}"#, r#"{"access_token":5}"#, "{\"secret\":\"abcdefgh\""] {
        let fault = answer(200, body, &[]).await.unwrap_err();
        assert!(fault.is("reply_unusable") && !fault.to_string().contains("abcdefgh"), "{fault}");
    }
}

#[tokio::test]
async fn untrusted_tls_is_reported_at_once() {
    let stage = stage(&[("IDENTITY_ENDPOINT", "https://127.0.0.1:1/t"), ("IDENTITY_HEADER", "h")]);
    stage.http.push(Err(HttpError::TlsUntrusted("unknown issuer".to_owned())));
    let fault = fetch(&managed_identity(Selector::SystemAssigned, &stage.outside())).await.unwrap_err();
    assert!(fault.is("tls_untrusted") && fault.retry == Retry::Never);
    assert_eq!(stage.http.count(), 1);
}
