//! A new token reaches a session: offered to the machine, settled by an `AUTH`, or by a move to a new connection.

use std::task::{Context, Poll};

use entrant_proto::reauth::{self, CloseReason, Credential, Delivery};
use entrant_types::{Timestamp, metric};
use tokio::io::{AsyncRead, AsyncWrite};

use super::session::{End, Session, Token};
use super::succession::{Succession, Successor};

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Takes note of what came of an `AUTH`.
    pub(super) fn settled(&mut self, delivery: &Delivery) {
        let server = self.shared.upstream.address();
        match delivery {
            Delivery::Client | Delivery::Swallow => {}
            Delivery::Confirmed(expires) => {
                if let Some(sent) = self.sent.take() {
                    self.held = sent;
                }
                metrics::counter!(metric::REDIS_AUTHS, "kind" => "reauth", "result" => "ok").increment(1);
                tracing::debug!(%server, token_expires = %expires, "Redis connection re-authenticated");
            }
            Delivery::Refused { code, silent } => {
                metrics::counter!(metric::REDIS_AUTHS, "kind" => "reauth", "result" => "error").increment(1);
                metrics::counter!(metric::REDIS_AUTH_FAILURES, "kind" => "reauth").increment(1);
                let fault = reauth::refusal(&server, self.held.credential.object_id, code);
                tracing::warn!(%fault, silent, "Redis refused the new token; the connection keeps the old one");
            }
        }
    }

    /// A subscriber's new connection is being made; once it is ready, the old one is read to its end.
    pub(super) fn poll_opening(&mut self, cx: &mut Context<'_>, now: Timestamp) -> bool {
        let Some(succession) = &mut self.succession else { return false };
        if self.replies.is_inside() {
            return false;
        }
        match succession.poll_opening(cx) {
            Poll::Pending => return false,
            Poll::Ready(Err(fault)) => {
                tracing::warn!(%fault, "no new connection for a subscriber yet; trying again");
                self.succession = None;
                self.machine.postpone(now);
            }
            Poll::Ready(Ok(Successor { stream, bytes, token })) => {
                let old = std::mem::replace(&mut self.upstream, stream);
                let unused = self.replies.take_unused();
                self.succession = Some(Succession::drain(&self.shared, old, unused, bytes));
                self.upstream_gone = false;
                self.machine.succeeded(token.credential, now);
                let newer = |newest: &Token| newest.credential.generation > token.credential.generation;
                self.newest = self.newest.take().filter(newer);
                self.held = token;
            }
        }
        true
    }

    pub(super) fn poll_draining(&mut self, cx: &mut Context<'_>, now: Timestamp) -> Result<bool, End> {
        let Some(succession) = &mut self.succession else { return Ok(false) };
        match succession.poll_draining(cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(fault)) => {
                tracing::warn!(%fault, "a subscriber could not be moved");
                Err(End::Policy(CloseReason::CannotReauthenticate))
            }
            Poll::Ready(Ok(bytes)) => {
                self.replies.restart(&bytes);
                self.succession = None;
                self.moved_just_now = true;
                tracing::info!(server = %self.shared.upstream.address(), "a subscriber moved to a new Redis connection");
                self.advance_replies(now);
                Ok(true)
            }
        }
    }

    pub(super) fn poll_renewal(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(snapshot) = self.renewal.poll(cx) {
            let now = self.shared.clock.now();
            let Some(token) = snapshot.token.filter(|token| token.lifetime.is_valid(now)) else { continue };
            if snapshot.generation <= self.held.credential.generation {
                continue;
            }
            match reauth::object_id(&token) {
                Ok(object_id) => {
                    let expires = token.lifetime.expires;
                    let credential = Credential { generation: snapshot.generation, object_id, expires };
                    self.machine.offer(credential, now);
                    self.newest = Some(Token { credential, token });
                }
                Err(fault) => tracing::error!(%fault, "the new token cannot be used for Redis"),
            }
        }
    }
}
