//! A client's socket that its own task reads and the shared connection's task writes.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// TCP or Unix.
///
/// Both tasks run on one thread and neither keeps a borrow beyond a call.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(RefCell<TcpStream>),
    Unix(RefCell<UnixStream>),
}

impl Socket {
    /// As `AsyncRead` has it: unlike `try_read` it knows after a short read that nothing more is there, and saves the
    /// system call that would say so.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(&mut *stream.borrow_mut()).poll_read(cx, into),
            Self::Unix(stream) => Pin::new(&mut *stream.borrow_mut()).poll_read(cx, into),
        }
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.borrow().try_write(bytes),
            Self::Unix(stream) => stream.borrow().try_write(bytes),
        }
    }

    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.borrow().poll_write_ready(cx),
            Self::Unix(stream) => stream.borrow().poll_write_ready(cx),
        }
    }
}

/// The socket as one task's stream, once its client has a connection of its own. `first` was read before.
pub(super) struct Owned {
    pub(super) socket: Rc<Socket>,
    pub(super) first: Vec<u8>,
}

impl AsyncRead for Owned {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.first.is_empty() {
            let take = this.first.len().min(buf.remaining());
            buf.put_slice(this.first.get(..take).unwrap_or_default());
            this.first.drain(..take);
            return Poll::Ready(Ok(()));
        }
        this.socket.poll_read(cx, buf)
    }
}

impl AsyncWrite for Owned {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.socket.poll_write_ready(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(result) => result?,
            }
            match self.socket.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Poll::Ready(other),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Closed when dropped: what was written is sent all the same.
        Poll::Ready(Ok(()))
    }
}
