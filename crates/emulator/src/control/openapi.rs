//! The control API's own description (OpenAPI 3.1).

use axum::Json;
use serde_json::{Value, json};

use crate::counters::Endpoint;

/// `GET /control/openapi.json`
pub(super) async fn document() -> Json<Value> {
    let endpoints: Vec<&str> = Endpoint::ALL.iter().map(|endpoint| endpoint.name()).collect();
    Json(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Entrant emulator control API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Loopback only; requests from web pages are refused. Times are those of the emulated clock."
        },
        "paths": {
            "/control/counters": {
                "get": operation("Requests answered and failed, per endpoint", "200", None),
                "delete": operation("Set all counters to zero", "204", None)
            },
            "/control/faults": {
                "get": operation("Fault rules in force, with how often each matched and struck", "200", None),
                "post": operation("Put a fault rule in force; answers its id", "201", Some("FaultRule")),
                "delete": operation("End all fault rules", "204", None)
            },
            "/control/faults/{id}": {
                "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } }],
                "delete": operation("End one fault rule", "204", None)
            },
            "/control/clock": {
                "get": operation("The emulated time, its offset and rate", "200", None),
                "post": operation("Step the clock or change its rate", "200", Some("ClockChange"))
            },
            "/control/keys": { "post": operation("Rotate the signing key, or withdraw older ones", "204", Some("KeyChange")) },
            "/control/revoke": { "post": operation("End a person's sessions and refresh tokens", "204", Some("Revocation")) },
            "/control/redis": { "post": operation("Close connections at the gate of this process; delete or restore an access policy assignment", "200", Some("RedisOrder")) },
            "/control/journal": {
                "get": operation("What went over the wire; query `after`: entries above this number", "200", None),
                "post": operation("Add what another process saw", "204", Some("Entry")),
                "delete": operation("Forget it", "204", None)
            }
        },
        "components": { "schemas": schemas(&endpoints) }
    }))
}

fn operation(summary: &str, status: &str, body: Option<&str>) -> Value {
    let mut operation = json!({ "summary": summary, "responses": { status: { "description": "done" } } });
    if let Some(schema) = body {
        let reference = format!("#/components/schemas/{schema}");
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": { "$ref": reference } } } });
    }
    operation
}

fn schemas(endpoints: &[&str]) -> Value {
    let text = json!({ "type": "string" });
    json!({
        "FaultRule": {
            "type": "object",
            "required": ["effect"],
            "additionalProperties": false,
            "properties": {
                "endpoint": { "type": "string", "enum": endpoints },
                "app": text, "identity": text, "user": text, "resource": text, "grant": text,
                "times": { "type": "integer", "minimum": 0 },
                "after": { "type": "integer", "minimum": 0 },
                "probability": { "type": "number", "minimum": 0, "maximum": 1 },
                "effect": {
                    "description": "\"hang\", \"reset\", \"truncate\", \"not-json\", \"repeat-token\", or an object with one of: aadsts {number, claims}, status {code, retry_after}, latency {millis}, drop-field {field}, set-field {field, value}, claim {token, name, value}, shift-times {token, seconds}, alg-none {token}, bad-signature {token}, unpublished-key {token}, no-kid {token}, lifetime {seconds}, redirect {parameter, value}, challenge {error, claims} (api), refuse-auth {silent} (redis); token is access, id or any",
                    "oneOf": [{ "type": "string" }, { "type": "object", "minProperties": 1, "maxProperties": 1 }]
                }
            }
        },
        "ClockChange": {
            "type": "object",
            "properties": { "step_seconds": { "type": "number" }, "rate": { "type": "number", "exclusiveMinimum": 0 } }
        },
        "KeyChange": { "type": "object", "properties": { "action": { "enum": ["rotate", "withdraw-older"] } } },
        "Revocation": { "type": "object", "properties": { "user": { "type": "string", "description": "UPN or object id" } } },
        "RedisOrder": {
            "type": "object",
            "required": ["action"],
            "properties": {
                "action": { "enum": ["disconnect", "delete-policy", "restore-policy"] },
                "who": { "type": "string", "description": "name, client id, UPN or object id; absent: everybody (disconnect only)" }
            }
        },
        "Entry": {
            "type": "object",
            "required": ["from", "to", "what"],
            "properties": {
                "from": text, "to": text, "what": text, "status": { "type": "integer" },
                "code": text, "explanation": text, "trace_id": text, "millis": { "type": "number" }
            }
        }
    })
}
