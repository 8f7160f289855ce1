//! Beside the emulator: the protected API and the Redis gate of the same process take part in its faults and counts.

use std::fmt;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use entrant_types::ObjectId;

use crate::counters::Endpoint;
use crate::directory::{Identity, Person};
use crate::emulator::Emulator;
use crate::faults::{Effect, Point, Struck, apply, broken};
use crate::state::State;

/// As long as [`Effect::Hang`] holds an answer elsewhere; the gate gives up before.
const HANG: Duration = Duration::from_secs(120);

/// What the control API does to a Redis gate that trusts this emulator's tokens.
pub trait RedisGate: fmt::Debug + Send + Sync {
    /// Closes the connections of an object id, or all of them; how many there were. Who was there may come again.
    fn disconnect(&self, object_id: Option<ObjectId>) -> usize;

    /// Deletes the access policy assignment of an object id; `false` when it had none.
    fn delete_policy(&self, object_id: ObjectId) -> bool;

    /// Gives an object id the assignment back that it had at the start; `false` when it had none.
    fn restore_policy(&self, object_id: ObjectId) -> bool;
}

/// What goes wrong with one AUTH.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthTrouble {
    /// It is looked at so much later.
    pub late: Option<Duration>,
    /// The connection ends without a reply.
    pub dropped: bool,
    /// It is refused although it is good.
    pub refused: bool,
    /// A refusal on a live connection has no reply.
    pub silent: bool,
}

impl Emulator {
    /// Lets the control API reach this gate. The first one counts.
    pub fn attach_redis(&self, gate: std::sync::Arc<dyn RedisGate>) {
        let _ = self.state().gate.set(gate);
    }

    /// Answers a call of the protected API with the faults that meet it, and counts it. `caller` is the object id of
    /// the token that was shown, verified or not.
    pub async fn api_call(&self, caller: Option<ObjectId>, answer: impl Future<Output = Response>) -> Response {
        let state = self.state();
        let struck = strike(state, Endpoint::Api, caller);
        let response = if struck.intercepts() { StatusCode::SERVICE_UNAVAILABLE.into_response() } else { answer.await };
        let response = broken(apply(state, &struck, response).await);
        state.counters.count(Endpoint::Api, response.status().as_u16());
        response
    }

    /// What goes wrong with an AUTH of `user`.
    #[must_use]
    pub fn redis_auth(&self, user: ObjectId) -> AuthTrouble {
        let mut trouble = AuthTrouble::default();
        for effect in &strike(self.state(), Endpoint::Redis, Some(user)).0 {
            match effect {
                Effect::Latency { millis } => trouble.late = Some(Duration::from_millis(*millis)),
                Effect::Hang => trouble.late = Some(HANG),
                Effect::Reset => trouble.dropped = true,
                Effect::RefuseAuth { silent } => (trouble.refused, trouble.silent) = (true, *silent),
                _ => {}
            }
        }
        trouble
    }

    /// Counts an AUTH at the gate.
    pub fn count_redis_auth(&self, accepted: bool) {
        self.state().counters.count(Endpoint::Redis, if accepted { 200 } else { 401 });
    }
}

fn strike(state: &State, endpoint: Endpoint, who: Option<ObjectId>) -> Struck {
    let (user, identity) = who.map(|who| somebody(state, who)).unwrap_or_default();
    state.strike(&Point { user, identity, ..Point::at(endpoint) })
}

fn somebody(state: &State, who: ObjectId) -> (Option<&Person>, Option<&Identity>) {
    let who = who.to_string();
    (state.directory.person(&who), state.directory.identity_by_principal(&who))
}
