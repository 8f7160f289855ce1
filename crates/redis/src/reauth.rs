//! A new token on a live connection.

use std::time::Duration;

use entrant_proto::reauth::{self, Credential};
use entrant_types::AccessToken;

use crate::driver::{Driver, End, Live, count_auth};
use crate::link::Authenticated;

/// Alone on the wire an `AUTH` takes a round trip. A late answer is no failure; none for this long is a dead
/// connection.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

impl Driver {
    /// Gives the connection the new token. `Some`: it is out of service after that.
    pub(crate) async fn renew(&self, live: &mut Live, token: &AccessToken, generation: u64) -> Option<End> {
        let object_id = match reauth::object_id(token) {
            Ok(object_id) => object_id,
            Err(fault) => {
                tracing::error!(%fault, "the new token cannot be used for Redis");
                self.status.send_modify(|status| status.last_fault = Some(fault));
                live.refused = Some(generation);
                return None;
            }
        };
        if object_id != live.credential.object_id {
            tracing::info!(from = %live.credential.object_id, to = %object_id, "another identity: reconnecting to Redis");
            live.link.drain().await;
            return Some(End::Drained);
        }
        let credential = Credential { generation, object_id, expires: token.lifetime.expires };
        let outcome = live.link.authenticate(&credential, token.secret.expose(), ANSWER_LIMIT).await;
        match outcome {
            Authenticated::Confirmed => {
                self.confirmed(live, credential);
                None
            }
            Authenticated::Refused(code) => {
                self.refused(live, &credential, &code);
                None
            }
            Authenticated::Lost => Some(End::Lost),
        }
    }

    fn confirmed(&self, live: &mut Live, credential: Credential) {
        let now = self.shared.clock.now();
        (live.credential, live.refused, live.refusals) = (credential, None, 0);
        count_auth("reauth", None);
        tracing::info!(
            server = %self.shared.config.address(), token_expires = %credential.expires,
            "Redis connection re-authenticated"
        );
        self.status.send_modify(|status| {
            status.token_expires = Some(credential.expires);
            status.last_auth = Some(now);
            status.reauths += 1;
            status.last_fault = None;
        });
    }

    /// The old identity stays, and the connection with it. One fresh token is forced and tried; a second refusal
    /// is for a person to look at.
    fn refused(&self, live: &mut Live, credential: &Credential, code: &str) {
        live.refused = Some(credential.generation);
        live.refusals += 1;
        let fault = reauth::refusal(&self.shared.config.address(), credential.object_id, code);
        count_auth("reauth", Some(&fault));
        if live.refusals == 1 {
            tracing::warn!(%fault, "Redis refused the new token: asking for a fresh one");
            self.shared.keeper.refresh_now();
        } else {
            tracing::error!(%fault, valid_until = %live.credential.expires, "Redis refused the fresh token as well");
        }
        self.status.send_modify(|status| status.last_fault = Some(fault));
    }
}
