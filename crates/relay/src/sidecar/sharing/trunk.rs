//! A connection that many clients share: one queue of replies, one identity, one `AUTH`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use entrant_proto::reauth::{self, Credential, Delivery, Machine, Request, Step};
use entrant_proto::resp::{Kind, ReplyFramer, ReplyLimits, ReplyPiece, encode_command};
use entrant_types::{AccessToken, Code, Fault, Timestamp, Whose};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::mailbox::Mailbox;
use crate::sidecar::Shared;
use crate::sidecar::session::Token;
use crate::sidecar::upstream::Stream;

/// Requests that wait to be written, beyond which clients wait.
const MOST_WAITING: usize = 1 << 20;

/// What became of a request.
pub(super) enum Submitted {
    /// It is on its way; the reply will come to the mailbox.
    Sent,
    /// Not now; the task will be woken.
    Wait,
    /// There is no connection, and why.
    Failed(Box<Fault>),
}

/// A shared connection. It is made when the first request wants it, and made again after it was lost.
pub(super) struct Trunk {
    /// RESP version, 2 or 3.
    pub(super) version: u8,
    pub(super) state: RefCell<State>,
}

impl fmt::Debug for Trunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trunk").field("version", &self.version).finish_non_exhaustive()
    }
}

pub(super) enum Line {
    /// Nobody wants it.
    Idle,
    /// It is being made.
    Making,
    /// It serves; `hello` is the server's reply to `HELLO`.
    Up { machine: Box<Machine>, hello: BytesMut },
    /// It could not be made. Said once to whoever asks, then tried again.
    Failed(Box<Fault>),
}

pub(super) struct State {
    pub(super) line: Line,
    pub(super) output: BytesMut,
    /// Whose the next replies are.
    pub(super) routes: VecDeque<Rc<Mailbox>>,
    /// Whether the server has said anything since the last look.
    pub(super) heard: bool,
    /// The task that moves its bytes.
    pub(super) task: Option<Waker>,
    /// Clients that wait for their turn.
    waiting: Vec<Waker>,
}

impl Trunk {
    pub(super) fn new(version: u8) -> Self {
        let state = State {
            line: Line::Idle,
            output: BytesMut::new(),
            routes: VecDeque::new(),
            heard: false,
            task: None,
            waiting: Vec::new(),
        };
        Self { version, state: RefCell::new(state) }
    }

    /// Sends one whole request that changes nothing of the connection.
    pub(super) fn submit(&self, request: &[u8], from: &Rc<Mailbox>, cx: &Context<'_>, now: Timestamp) -> Submitted {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        match &mut state.line {
            Line::Up { machine, .. } => {
                if state.output.len() > MOST_WAITING || !machine.admit_ordinary(now) {
                    state.waiting.push(cx.waker().clone());
                    return Submitted::Wait;
                }
                state.output.extend_from_slice(request);
                state.routes.push_back(Rc::clone(from));
                from.expect_one();
                state.wake_task();
                Submitted::Sent
            }
            _ => state.want(cx),
        }
    }

    /// The server's reply to `HELLO`, once the connection is there.
    pub(super) fn hello(&self, cx: &Context<'_>) -> Result<Option<BytesMut>, Box<Fault>> {
        let mut state = self.state.borrow_mut();
        if let Line::Up { hello, .. } = &state.line {
            return Ok(Some(hello.clone()));
        }
        match state.want(cx) {
            Submitted::Failed(fault) => Err(fault),
            Submitted::Sent | Submitted::Wait => Ok(None),
        }
    }

    /// The connection is lost: replies on their way will not come.
    pub(super) fn lose(&self, line: Line) {
        let mut state = self.state.borrow_mut();
        state.line = line;
        state.output.clear();
        let routes = std::mem::take(&mut state.routes);
        for mailbox in routes {
            mailbox.fail();
        }
        state.wake_waiting();
    }
}

impl State {
    fn wake_task(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    pub(super) fn wake_waiting(&mut self) {
        for waker in self.waiting.drain(..) {
            waker.wake();
        }
    }

    /// Somebody wants a connection that is not there.
    fn want(&mut self, cx: &Context<'_>) -> Submitted {
        if let Line::Failed(fault) = &self.line {
            let fault = fault.clone();
            // Whoever asks next starts another attempt. Those who waited for this one are told as well.
            if self.waiting.is_empty() {
                self.line = Line::Idle;
            }
            return Submitted::Failed(fault);
        }
        if matches!(self.line, Line::Idle) {
            self.line = Line::Making;
            self.wake_task();
        }
        self.waiting.push(cx.waker().clone());
        Submitted::Wait
    }

    /// Sorts whole replies to their clients; consecutive ones of a client go in one write.
    pub(super) fn deliver(
        &mut self,
        framer: &mut ReplyFramer,
        input: &mut BytesMut,
        head: &mut Vec<u8>,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, &'static str> {
        let Line::Up { machine, .. } = &mut self.line else { return Err("closed") };
        let (mut settled, mut used) = (Vec::new(), 0);
        let mut run = Run::default();
        while let Some(piece) = framer.next(input.get(used..).unwrap_or_default()).map_err(|_| "not_resp")? {
            let bytes = input.get(used..used + piece.len).unwrap_or_default();
            let end = used + piece.len;
            match sort(machine, &piece, bytes, head, now)? {
                Sorted::Own(delivery) => {
                    run.send(input, used);
                    settled.push(delivery);
                    run.begin(end);
                }
                Sorted::Part => run.take(self.routes.front().cloned().ok_or("uncounted")?, 0, input, used),
                Sorted::Reply => run.take(self.routes.pop_front().ok_or("uncounted")?, 1, input, used),
            }
            used = end;
        }
        run.send(input, used);
        input.advance(used);
        Ok(settled)
    }
}

enum Sorted {
    /// The answer to something injected, or a push that nobody asked for.
    Own(Delivery),
    /// The oldest client's, and more of it is to come.
    Part,
    /// The oldest client's, and the end of it.
    Reply,
}

fn sort(
    machine: &mut Machine,
    piece: &ReplyPiece,
    bytes: &[u8],
    head: &mut Vec<u8>,
    now: Timestamp,
) -> Result<Sorted, &'static str> {
    if piece.first && !piece.last {
        head.clear();
        head.extend_from_slice(bytes.get(..64).unwrap_or(bytes));
    }
    if piece.kind == Kind::Push {
        return Ok(Sorted::Own(Delivery::Swallow));
    }
    if !piece.last {
        return if machine.expects_own() { Err("reply_in_doubt") } else { Ok(Sorted::Part) };
    }
    let delivery = machine.reply(if piece.first { bytes } else { head }, now);
    if machine.opaque().is_some() {
        return Err("uncounted");
    }
    Ok(if delivery == Delivery::Client { Sorted::Reply } else { Sorted::Own(delivery) })
}

/// Consecutive replies of one client.
#[derive(Default)]
struct Run {
    client: Option<Rc<Mailbox>>,
    replies: usize,
    start: usize,
}

impl Run {
    fn begin(&mut self, start: usize) {
        (self.client, self.replies, self.start) = (None, 0, start);
    }

    /// The piece that starts at `at` is `client`'s.
    fn take(&mut self, client: Rc<Mailbox>, replies: usize, input: &[u8], at: usize) {
        if !self.client.as_ref().is_some_and(|known| Rc::ptr_eq(known, &client)) {
            self.send(input, at);
            self.begin(at);
            self.client = Some(client);
        }
        self.replies += replies;
    }

    fn send(&mut self, input: &[u8], end: usize) {
        if let Some(client) = self.client.take() {
            client.deliver(input.get(self.start..end).unwrap_or_default(), self.replies);
        }
        self.begin(end);
    }
}

/// A shared connection, made: its stream, its memory, and the server's reply to `HELLO`.
pub(super) async fn make(shared: &Shared, version: u8) -> Result<(Stream, Machine, BytesMut, Token), Fault> {
    let token = shared.token().await?;
    let mut stream = shared.upstream.open(&token.token, token.credential.object_id).await?;
    let version = if version == 3 { "3" } else { "2" };
    let mut command = BytesMut::new();
    encode_command(&mut command, &["HELLO", version]);
    let exchange = async {
        stream.write_all(&command).await?;
        stream.flush().await?;
        let (mut framer, mut reply) = (ReplyFramer::new(ReplyLimits::WHOLE), BytesMut::new());
        while !matches!(framer.next(&reply), Ok(Some(_))) {
            if stream.read_buf(&mut reply).await? == 0 || reply.len() > MOST_WAITING {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok::<BytesMut, std::io::Error>(reply)
    };
    let reply = tokio::time::timeout(shared.upstream.connect_timeout, exchange).await;
    let hello = match reply {
        Ok(Ok(reply)) if reply.first() != Some(&b'-') => reply,
        _ => {
            let what = format!("Redis at {} did not answer HELLO {version}", shared.upstream.address());
            let fix = "Sharing needs Redis 6 or later; switch it off with --sharing off.";
            return Err(Fault::new(Whose::Provider, what, fix).code(Code::Entrant("redis_hello")));
        }
    };
    let now = shared.clock.now();
    let mut machine = Machine::new(token.credential, shared.entropy.fraction(), now);
    if let Some(request) = Request::of(&[b"HELLO", version.as_bytes()]) {
        machine.admit(&request, now);
        machine.request_done();
        machine.reply(&hello, now);
    }
    Ok((stream, machine, hello, token))
}

/// What a step of the machine adds to the output. `Err`: the connection ends.
pub(super) fn step(
    state: &mut State,
    shared: &Shared,
    tokens: &mut Tokens,
    now: Timestamp,
) -> Result<(), &'static str> {
    let Line::Up { machine, .. } = &mut state.line else { return Ok(()) };
    loop {
        let nonce = || {
            let mut nonce = [0; 16];
            shared.entropy.fill(&mut nonce);
            nonce
        };
        match machine.step(nonce, now) {
            Step::Nothing => return Ok(()),
            Step::Inject { credential, nonce } => {
                let token = tokens.of(credential).ok_or("no_token")?;
                state.output.extend_from_slice(&reauth::encode::auth(credential.object_id, token));
                if let Some(nonce) = nonce {
                    state.output.extend_from_slice(&reauth::encode::sentinel(&nonce));
                }
            }
            Step::Ping => state.output.extend_from_slice(reauth::encode::PING),
            Step::ForceToken => shared.keeper.refresh_now(),
            Step::Alarm => tracing::error!("Redis refused the fresh token as well: check the access policy assignment"),
            Step::Replace => return Err("cannot_reauthenticate"),
            Step::Close(reason) => return Err(reason.as_str()),
        }
    }
}

/// The tokens that an `AUTH` may be made of: the present one and newer ones.
pub(super) struct Tokens(Vec<Token>);

impl Tokens {
    pub(super) fn new(token: Token) -> Self {
        Self(vec![token])
    }

    pub(super) fn add(&mut self, token: Token, present: u64) {
        self.0.retain(|known| known.credential.generation >= present);
        self.0.push(token);
    }

    fn of(&self, credential: Credential) -> Option<&AccessToken> {
        self.0.iter().find(|known| known.credential.generation == credential.generation).map(|known| &known.token)
    }
}

/// One turn of the task: polls for work without a connection.
pub(super) fn poll_wanted(trunk: &Trunk, cx: &Context<'_>) -> Poll<()> {
    let mut state = trunk.state.borrow_mut();
    state.task = Some(cx.waker().clone());
    if matches!(state.line, Line::Making) { Poll::Ready(()) } else { Poll::Pending }
}
