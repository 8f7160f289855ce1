//! One AUTH at the gate, with its fault switches, its log line and its metric.

use entrant_types::metric;

use super::Shared;
use super::authenticate::{Identity, Refusal};
use super::credentials::Offered;
use super::registry::Live;

/// How an AUTH ended.
pub(super) enum Login {
    Accepted(Identity),
    Refused {
        /// On a live connection the client gets no reply.
        silent: bool,
    },
    /// A fault switch closes the connection.
    Drop,
}

impl Shared {
    pub(super) async fn login(&self, live: &Live, offered: &Offered) -> Login {
        let faults = self.faults.at_auth(&offered.user);
        if let Some(span) = faults.slow_auth {
            self.clock.sleep_until(self.clock.now() + span).await;
        }
        if faults.drop_at_auth {
            self.count_auth("dropped");
            self.faults.ended(false);
            return Login::Drop;
        }
        let checked = if faults.refuse_next_auths > 0 {
            Err(Refusal::Injected)
        } else {
            self.authenticator.check(&offered.user, &offered.token).await
        };
        let before = live.identity();
        self.faults.ended(checked.is_ok());
        match checked {
            Ok(identity) => {
                self.count_auth("ok");
                let kind = if before.is_some() { "reauth" } else { "connect" };
                tracing::info!(
                    connection = live.id, peer = %live.peer, object_id = %identity.object_id,
                    expires = %identity.expires, kind, "AUTH accepted"
                );
                Login::Accepted(identity)
            }
            Err(refusal) => {
                self.refused(live, &refusal);
                Login::Refused { silent: faults.silent_refusal }
            }
        }
    }

    /// AUTH with a password only is the way of access keys, which the gate does not know.
    pub(super) fn refuse_password_only(&self, live: &Live) {
        self.refused(live, &Refusal::UserName);
    }

    /// Waits if this address was refused too often of late.
    pub(super) async fn hold_back(&self, live: &Live) {
        let Some(moment) = self.throttle.refuse(live.peer.ip(), self.clock.now()) else { return };
        self.tally.count("held_back", "");
        tracing::debug!(peer = %live.peer, until = %moment, "too many refusals: the answer waits");
        self.clock.sleep_until(moment).await;
    }

    fn refused(&self, live: &Live, refusal: &Refusal) {
        self.count_auth(refusal.reason());
        let fault = refusal.to_fault();
        tracing::warn!(
            connection = live.id, peer = %live.peer, reason = refusal.reason(),
            object_id = live.identity().map(|identity| identity.object_id.to_string()), %fault, "AUTH refused"
        );
    }

    fn count_auth(&self, result: &'static str) {
        metrics::counter!(metric::GATE_AUTHS, "result" => result).increment(1);
        self.tally.count("auth", result);
    }

    /// What a refused client reads.
    pub(super) const fn wrongpass(&self) -> &'static str {
        if self.config.err_prefix {
            "-ERR WRONGPASS invalid username-password pair\r\n"
        } else {
            "-WRONGPASS invalid username-password pair\r\n"
        }
    }
}
