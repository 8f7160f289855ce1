//! The control API: everything that a Rust test can do, over HTTP, and nothing for a web page.

mod support;

use serde_json::{Value, json};
use support::{Lab, Reply, START};

async fn control(lab: &Lab, method: &str, path: &str, body: Option<Value>) -> Reply {
    let url = format!("{}control/{path}", lab.facts.console_url);
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    lab.send(method, &url, &[("content-type", "application/json")], body).await
}

#[tokio::test]
async fn faults_are_added_listed_and_ended() {
    let lab = Lab::new().await;
    let rule = json!({ "endpoint": "token", "times": 1, "effect": { "aadsts": { "number": 700_024 } } });
    let reply = control(&lab, "POST", "faults", Some(rule.clone())).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let id = reply.json()["id"].clone();
    assert_eq!(lab.exchange(&lab.assertion().await).await.aadsts(), 700_024);
    let listed = control(&lab, "GET", "faults", None).await.json();
    assert_eq!(listed[0]["struck"], 1);
    assert_eq!(control(&lab, "DELETE", &format!("faults/{id}"), None).await.status, 204);
    assert_eq!(control(&lab, "DELETE", &format!("faults/{id}"), None).await.status, 404);
    control(&lab, "POST", "faults", Some(json!({ "effect": "reset" }))).await;
    assert_eq!(control(&lab, "DELETE", "faults", None).await.status, 204);
    assert_eq!(control(&lab, "GET", "faults", None).await.json(), json!([]));
}

#[tokio::test]
async fn a_rule_that_is_none_is_refused() {
    let lab = Lab::new().await;
    for body in [
        json!({}),
        json!({ "effect": "explode" }),
        json!({ "effect": "reset", "endpoints": "token" }),
        json!({ "effect": "reset", "endpoint": "x" }),
    ] {
        let reply = control(&lab, "POST", "faults", Some(body.clone())).await;
        assert!((400..500).contains(&reply.status), "{body}: {}", reply.status);
    }
}

#[tokio::test]
async fn counters_tell_that_a_call_was_made_or_not() {
    let lab = Lab::new().await;
    lab.assertion().await;
    lab.get(&lab.facts.jwks_url, &[]).await;
    let counters = control(&lab, "GET", "counters", None).await.json();
    assert_eq!(counters["app_service"], json!({ "answered": 1, "failed": 0 }));
    assert_eq!(counters["keys"]["answered"], 1);
    assert_eq!(counters["token"]["answered"], 0);
    assert_eq!(control(&lab, "DELETE", "counters", None).await.status, 204);
    assert_eq!(control(&lab, "GET", "counters", None).await.json()["app_service"]["answered"], 0);
}

#[tokio::test]
async fn clock_keys_and_revocation_are_in_reach() {
    let lab = Lab::new().await;
    let clock = control(&lab, "POST", "clock", Some(json!({ "step_seconds": 3600, "rate": 2.0 }))).await.json();
    assert_eq!(clock["now_millis"], (START + 3600) * 1000);
    assert_eq!(clock["rate"], 2.0);
    assert_eq!(control(&lab, "POST", "keys", Some(json!({ "action": "rotate" }))).await.status, 204);
    let keys = lab.get(&lab.facts.jwks_url, &[]).await.json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    assert_eq!(control(&lab, "POST", "keys", Some(json!({ "action": "withdraw-older" }))).await.status, 204);
    assert_eq!(control(&lab, "POST", "revoke", Some(json!({ "user": "alice@contoso.example" }))).await.status, 204);
    assert_eq!(control(&lab, "POST", "revoke", Some(json!({ "user": "nobody" }))).await.status, 404);
}

#[tokio::test]
async fn another_process_can_add_what_it_saw_to_the_picture() {
    let lab = Lab::new().await;
    let entry = json!({ "from": "web-app", "to": "Redis", "what": "AUTH", "status": 0 });
    assert_eq!(control(&lab, "POST", "journal", Some(entry)).await.status, 204);
    let entries = control(&lab, "GET", "journal?after=0", None).await.json();
    assert_eq!(entries[0]["to"], "Redis");
    let page = lab.get(&format!("{}console/flow", lab.facts.console_url), &[]).await.text();
    assert!(page.contains(">Redis</text>"));
    assert_eq!(control(&lab, "DELETE", "journal", None).await.status, 204);
    assert_eq!(control(&lab, "GET", "journal?after=0", None).await.json(), json!([]));
}

#[tokio::test]
async fn web_pages_cannot_reach_it() {
    let lab = Lab::new().await;
    let url = format!("{}control/faults", lab.facts.console_url);
    let rule = json!({ "effect": "reset" }).to_string();
    for (name, value, status) in [
        ("origin", "http://localhost:5000", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("host", "evil.example", 421),
        // A form can send these types without asking first, and no other.
        ("content-type", "text/plain", 415),
        ("content-type", "application/x-www-form-urlencoded", 415),
    ] {
        let mut headers = vec![(name, value)];
        if name != "content-type" {
            headers.push(("content-type", "application/json"));
        }
        assert_eq!(lab.send("POST", &url, &headers, rule.clone()).await.status, status, "{name}: {value}");
    }
    assert!(lab.emulator.faults().is_empty());
}

#[tokio::test]
async fn its_own_description_names_every_path_that_it_serves() {
    let lab = Lab::new().await;
    let document = control(&lab, "GET", "openapi.json", None).await.json();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let path = path.trim_start_matches("/control/").replace("{id}", "999");
            let reply = control(&lab, &method.to_uppercase(), &path, None).await;
            assert!(
                reply.status != 405 && (reply.status != 404 || path.ends_with("999")),
                "{method} {path}: {}",
                reply.status
            );
        }
    }
}
