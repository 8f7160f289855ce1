//! The task of a shared connection: makes it when wanted, moves its bytes, renews its identity.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use entrant_proto::reauth::{self, Credential, Delivery};
use entrant_proto::resp::{ReplyFramer, ReplyLimits};
use entrant_types::{Code, metric};
use tokio::io::AsyncWrite as _;

use super::trunk::{Line, Tokens, Trunk, make, poll_wanted, step};
use crate::sidecar::Shared;
use crate::sidecar::alarm::Alarm;
use crate::sidecar::asked::Renewal;
use crate::sidecar::session::{Token, read, write};
use crate::sidecar::upstream::Stream;

/// A shared connection that owes replies and says nothing is looked at this often, in real time, and given up at the
/// third look: a peer that is gone without a word would otherwise hold up every client until the next `AUTH`. Redis
/// answers nobody while a script or `FLUSHALL` runs, and a failover takes seconds; 10 s of patience is the least.
const LOOK: Duration = Duration::from_secs(5);
const LOOKS: u32 = 3;

/// Runs one shared connection for as long as the sidecar runs.
pub(super) async fn carry(shared: Arc<Shared>, trunk: Rc<Trunk>) {
    loop {
        std::future::poll_fn(|cx| poll_wanted(&trunk, cx)).await;
        let made = make(&shared, trunk.version).await;
        let result = if made.is_ok() { "ok" } else { "error" };
        metrics::counter!(metric::REDIS_AUTHS, "kind" => "connect", "result" => result).increment(1);
        match made {
            Err(fault) => {
                tracing::error!(server = %shared.upstream.address(), %fault, "no shared Redis connection");
                if fault.codes.iter().any(|code| matches!(code, Code::Redis(_))) {
                    metrics::counter!(metric::REDIS_AUTH_FAILURES, "kind" => "connect").increment(1);
                    shared.keeper.refresh_now();
                }
                trunk.lose(Line::Failed(Box::new(fault)));
            }
            Ok((stream, machine, hello, token)) => {
                tracing::info!(
                    server = %shared.upstream.address(), token_expires = %token.credential.expires,
                    "shared Redis connection established"
                );
                metrics::gauge!(metric::REDIS_CONNECTIONS).increment(1.0);
                {
                    let mut state = trunk.state.borrow_mut();
                    state.line = Line::Up { machine: Box::new(machine), hello };
                    state.wake_waiting();
                }
                let mut carrier = Carrier::new(Arc::clone(&shared), stream, token);
                let reason = tokio::select! {
                    biased;
                    reason = std::future::poll_fn(|cx| carrier.poll(&trunk, cx)) => reason,
                    () = falls_silent(&trunk) => "no_answer",
                };
                metrics::gauge!(metric::REDIS_CONNECTIONS).decrement(1.0);
                trunk.lose(Line::Idle);
                if reason == "identity_changed" {
                    tracing::info!("the identity has changed: the shared Redis connection is made anew");
                } else {
                    metrics::counter!(metric::REDIS_CONNECTION_DROPS, "reason" => reason).increment(1);
                    tracing::warn!(server = %shared.upstream.address(), reason, "shared Redis connection dropped");
                }
            }
        }
    }
}

/// Ends when the server has owed replies and said nothing for too long.
async fn falls_silent(trunk: &Trunk) {
    let mut silent = 0;
    while silent < LOOKS {
        // A pause, and no wait for something that could come.
        let _ = tokio::time::timeout(LOOK, std::future::pending::<()>()).await;
        let mut state = trunk.state.borrow_mut();
        let heard = std::mem::take(&mut state.heard);
        silent = if heard || state.routes.is_empty() { 0 } else { silent + 1 };
    }
}

struct Carrier {
    shared: Arc<Shared>,
    stream: Stream,
    framer: ReplyFramer,
    input: BytesMut,
    head: Vec<u8>,
    unflushed: bool,
    tokens: Tokens,
    renewal: Renewal,
    alarm: Alarm,
}

impl Carrier {
    fn new(shared: Arc<Shared>, stream: Stream, token: Token) -> Self {
        let renewal = Renewal::of(shared.keeper.subscribe());
        Self {
            shared,
            stream,
            framer: ReplyFramer::new(ReplyLimits::RELAY),
            input: BytesMut::new(),
            head: Vec::new(),
            unflushed: false,
            tokens: Tokens::new(token),
            renewal,
            alarm: Alarm::default(),
        }
    }

    fn poll(&mut self, trunk: &Trunk, cx: &mut Context<'_>) -> Poll<&'static str> {
        match self.turn(trunk, cx) {
            Ok(()) => Poll::Pending,
            Err(reason) => Poll::Ready(reason),
        }
    }

    fn turn(&mut self, trunk: &Trunk, cx: &mut Context<'_>) -> Result<(), &'static str> {
        let mut state = trunk.state.borrow_mut();
        let state = &mut *state;
        if !state.task.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            state.task = Some(cx.waker().clone());
        }
        self.poll_renewal(state, cx);
        loop {
            let now = self.shared.clock.now();
            let mut moved = self.write(&mut state.output, cx)?;
            match read(&mut self.stream, &mut self.input, cx) {
                Poll::Ready(Ok(0) | Err(_)) => {
                    let Line::Up { machine, .. } = &state.line else { return Err("closed") };
                    return Err(machine.drop_reason(now).as_str());
                }
                Poll::Ready(Ok(_)) => {
                    state.heard = true;
                    for delivery in state.deliver(&mut self.framer, &mut self.input, &mut self.head, now)? {
                        self.settled(&delivery);
                    }
                    moved = true;
                }
                Poll::Pending => {}
            }
            step(state, &self.shared, &mut self.tokens, now)?;
            moved |= self.write(&mut state.output, cx)?;
            let Line::Up { machine, .. } = &state.line else { return Err("closed") };
            let (held, wake) = (machine.holds_client(), machine.wake_at(now));
            if !held && state.output.is_empty() {
                state.wake_waiting();
            }
            moved |= self.alarm.poll(wake, &*self.shared.clock, cx);
            if !moved {
                return Ok(());
            }
        }
    }

    fn write(&mut self, output: &mut BytesMut, cx: &mut Context<'_>) -> Result<bool, &'static str> {
        let moved = write(&mut self.stream, &mut BytesMut::new(), &mut 0, output, cx).map_err(|_| "network")?;
        self.unflushed |= moved;
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(_)) => return Err("network"),
            }
        }
        Ok(moved)
    }

    fn settled(&self, delivery: &Delivery) {
        match delivery {
            Delivery::Client | Delivery::Swallow => {}
            Delivery::Confirmed(expires) => {
                metrics::counter!(metric::REDIS_AUTHS, "kind" => "reauth", "result" => "ok").increment(1);
                tracing::info!(token_expires = %expires, "shared Redis connection re-authenticated");
            }
            Delivery::Refused { code, silent } => {
                metrics::counter!(metric::REDIS_AUTHS, "kind" => "reauth", "result" => "error").increment(1);
                metrics::counter!(metric::REDIS_AUTH_FAILURES, "kind" => "reauth").increment(1);
                tracing::warn!(code, silent, "Redis refused the new token; the shared connection keeps the old one");
            }
        }
    }

    fn poll_renewal(&mut self, state: &mut super::trunk::State, cx: &mut Context<'_>) {
        while let Poll::Ready(snapshot) = self.renewal.poll(cx) {
            let now = self.shared.clock.now();
            let Line::Up { machine, .. } = &mut state.line else { return };
            let Some(token) = snapshot.token.filter(|token| token.lifetime.is_valid(now)) else { continue };
            match reauth::object_id(&token) {
                Ok(object_id) => {
                    let expires = token.lifetime.expires;
                    let credential = Credential { generation: snapshot.generation, object_id, expires };
                    machine.offer(credential, now);
                    self.tokens.add(Token { credential, token }, machine.credential().generation);
                }
                Err(fault) => tracing::error!(%fault, "the new token cannot be used for Redis"),
            }
        }
    }
}
