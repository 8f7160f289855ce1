//! What the shared connection has for one client: replies that its socket did not take at once.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::Waker;

use bytes::{Buf, BytesMut};

use super::socket::Socket;

/// Replies held for a client that does not read. Redis closes a client at its output limit; so do we, lower, since
/// one slow client must not cost the others memory.
pub(super) const MOST_HELD: usize = 32 << 20;

/// One client, as the shared connection knows it.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) socket: Rc<Socket>,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    held: BytesMut,
    outstanding: usize,
    waker: Option<Waker>,
    /// Its task waits for replies to come through, not only for trouble.
    turn: bool,
    failed: bool,
}

impl State {
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

impl Mailbox {
    pub(super) fn new(socket: Rc<Socket>) -> Self {
        Self { socket, state: RefCell::default() }
    }

    /// Replies to come.
    pub(super) fn outstanding(&self) -> usize {
        self.state.borrow().outstanding
    }

    /// Bytes that the socket has not taken.
    pub(super) fn held(&self) -> usize {
        self.state.borrow().held.len()
    }

    /// Whether its replies are lost, or it cannot be written to.
    pub(super) fn has_failed(&self) -> bool {
        self.state.borrow().failed
    }

    pub(super) fn expect_one(&self) {
        self.state.borrow_mut().outstanding += 1;
    }

    /// Whom to wake when bytes are held or all is lost; with `turn` also when a reply is through.
    pub(super) fn wait(&self, waker: &Waker, turn: bool) {
        let mut state = self.state.borrow_mut();
        state.turn = turn;
        if !state.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
    }

    /// Its replies will not come.
    pub(super) fn fail(&self) {
        let mut state = self.state.borrow_mut();
        state.failed = true;
        state.wake();
    }

    /// `replies` replies, or a part of one (0), for the client.
    pub(super) fn deliver(&self, bytes: &[u8], replies: usize) {
        let mut state = self.state.borrow_mut();
        state.outstanding -= replies;
        if state.failed {
            return;
        }
        let mut written = 0;
        if state.held.is_empty() {
            match self.socket.try_write(bytes) {
                Ok(count) => written = count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => state.failed = true,
            }
        }
        let rest = bytes.get(written..).unwrap_or_default();
        state.failed |= state.held.len() + rest.len() > MOST_HELD;
        if !state.failed {
            state.held.extend_from_slice(rest);
        }
        if (state.turn && replies > 0) || !state.held.is_empty() || state.failed {
            state.wake();
        }
    }

    /// Writes what is held. `Ok(true)`: all of it.
    pub(super) fn flush(&self) -> io::Result<bool> {
        let mut state = self.state.borrow_mut();
        while !state.held.is_empty() {
            match self.socket.try_write(&state.held) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => state.held.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        state.held = BytesMut::new();
        Ok(true)
    }
}
