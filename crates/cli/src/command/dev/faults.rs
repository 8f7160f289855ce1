//! The emulator's fault rules at the protected API and at the Redis gate, and its control API's reach into the gate.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use entrant_emulator::{Emulator, RedisGate};
use entrant_proto::jose::UnverifiedJwt;
use entrant_relay::assignments::AssignmentMap;
use entrant_relay::gate::{AuthRules, Gate, GateFaults, GateHandle};
use entrant_types::ObjectId;

/// The API's routes, each call met by the rules.
pub(super) fn api(router: Router, emulator: &Emulator) -> Router {
    let emulator = emulator.clone();
    router.layer(from_fn(move |request: Request, next: Next| call(emulator.clone(), request, next)))
}

async fn call(emulator: Emulator, request: Request, next: Next) -> Response {
    let caller = caller(&request);
    emulator.api_call(caller, next.run(request)).await
}

/// Whose token the request shows; for choosing rules, so nobody has verified it.
fn caller(request: &Request) -> Option<ObjectId> {
    let token = request.headers().get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")?;
    UnverifiedJwt::parse(token).ok()?.unverified_claims().get("oid")?.as_str()?.parse().ok()
}

/// Lets the rules meet every AUTH at the gate, and the control API act on it.
pub(super) fn gate(gate: &Gate, emulator: &Emulator) {
    let handle = gate.handle();
    handle.faults().follow(Arc::new(Rules(emulator.clone())));
    let initial = AssignmentMap::clone(&handle.assignments().current());
    emulator.attach_redis(Arc::new(Acting { gate: handle, initial }));
}

#[derive(Debug)]
struct Rules(Emulator);

impl AuthRules for Rules {
    fn at_auth(&self, user: &str) -> GateFaults {
        let Ok(user) = user.parse() else { return GateFaults::default() };
        let trouble = self.0.redis_auth(user);
        GateFaults {
            slow_auth: trouble.late,
            drop_at_auth: trouble.dropped,
            refuse_next_auths: u32::from(trouble.refused),
            silent_refusal: trouble.silent,
        }
    }

    fn ended(&self, accepted: bool) {
        self.0.count_redis_auth(accepted);
    }
}

#[derive(Debug)]
struct Acting {
    gate: GateHandle,
    initial: AssignmentMap,
}

impl RedisGate for Acting {
    fn disconnect(&self, object_id: Option<ObjectId>) -> usize {
        match object_id {
            Some(object_id) => self.gate.revoke(object_id),
            None => self.gate.disconnect_all(),
        }
    }

    fn delete_policy(&self, object_id: ObjectId) -> bool {
        self.gate.assignments().remove(object_id).is_some()
    }

    fn restore_policy(&self, object_id: ObjectId) -> bool {
        let Some(assignment) = self.initial.get(&object_id) else { return false };
        self.gate.assignments().assign(object_id, assignment.clone());
        true
    }
}
