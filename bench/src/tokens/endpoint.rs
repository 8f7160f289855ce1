//! A stand-in identity endpoint whose behaviour is named by the resource asked for, with a counter per resource.
//!
//! `https://MODE.CLIENT.test`: MODE says how to answer, CLIENT keeps the counters of clients apart. Serves the App
//! Service shape at `/msi` and the IMDS shape at `/metadata/identity/oauth2/token`, on loopback.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

type Counters = Arc<Mutex<HashMap<String, u64>>>;

/// Serves until the process ends; returns the base URL.
pub async fn serve() -> std::io::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let app = Router::new()
        .route("/msi", get(token))
        .route("/metadata/identity/oauth2/token", get(token))
        .route("/metadata/identity/oauth2/token/", get(token))
        .route("/count", get(count))
        .with_state(Counters::default());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(base)
}

async fn count(State(counters): State<Counters>, Query(query): Query<HashMap<String, String>>) -> Json<u64> {
    let resource = query.get("resource").cloned().unwrap_or_default();
    Json(counters.lock().expect("counter lock").get(&resource).copied().unwrap_or(0))
}

async fn token(State(counters): State<Counters>, Query(query): Query<HashMap<String, String>>) -> Response {
    let resource = query.get("resource").map(|text| text.trim_end_matches('/').to_owned()).unwrap_or_default();
    let nth = {
        let mut counters = counters.lock().expect("counter lock");
        let counter = counters.entry(resource.clone()).or_insert(0);
        *counter += 1;
        *counter
    };
    let mode = resource.trim_start_matches("https://").split('.').next().unwrap_or_default();
    match mode {
        "outage" if nth == 1 => body(&resource, 290, Fields::Strings),
        "outage" | "down" => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            failure(StatusCode::INTERNAL_SERVER_ERROR)
        }
        "missing" => failure(StatusCode::NOT_FOUND),
        "cold" => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            body(&resource, 3600, Fields::Strings)
        }
        "renew" => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            body(&resource, 305, Fields::Strings)
        }
        "slow" => {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            body(&resource, 3600, Fields::Strings)
        }
        "numbers" => body(&resource, 3600, Fields::Numbers),
        "seed" => body(&resource, 3600, Fields::ExpiresInOnly),
        "stale" => body(&resource, -5, Fields::Strings),
        _ => body(&resource, 3600, Fields::Strings),
    }
}

enum Fields {
    Strings,
    Numbers,
    ExpiresInOnly,
}

fn failure(status: StatusCode) -> Response {
    let text = json!({"error": "unavailable", "error_description": "made to fail", "statusCode": status.as_u16(), "message": "made to fail"});
    (status, Json(text)).into_response()
}

fn body(resource: &str, life: i64, fields: Fields) -> Response {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs() as i64;
    let (expires_in, expires_on): (Value, Value) = match fields {
        Fields::Numbers => (life.into(), (now + life).into()),
        Fields::Strings | Fields::ExpiresInOnly => (life.to_string().into(), (now + life).to_string().into()),
    };
    let mut text = json!({
        "access_token": format!("token-{now}-{}", resource.len()), "refresh_token": "", "expires_in": expires_in,
        "expires_on": expires_on, "not_before": now.to_string(), "resource": resource, "token_type": "Bearer",
        "client_id": "00001111-aaaa-2222-bbbb-3333cccc4444", "ext_expires_in": expires_in,
    });
    if matches!(fields, Fields::ExpiresInOnly) {
        // The reply as the field's tutorials print it: access_token, expires_in, resource, token_type.
        text = json!({"access_token": "token", "expires_in": life, "resource": resource, "token_type": "Bearer"});
    }
    Json(text).into_response()
}
