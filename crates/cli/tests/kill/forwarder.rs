//! A wire between two processes that can fall half silent, or crawl.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How much passes at once on a wire that crawls, and the pause between: some 5 kB a second.
const CRUMB: usize = 3;
const PAUSE: Duration = Duration::from_micros(500);

/// Forwards TCP connections from a port of its own to another.
pub(crate) struct Forwarder {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    slow: AtomicBool,
    live: Mutex<Vec<Arc<AtomicBool>>>,
}

impl Forwarder {
    /// Begins to forward to that port of loopback.
    pub(crate) fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // Nobody listens there just now: the client sees a connection that ends.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", target)) {
                    own.forward(client, server);
                }
            }
        });
        Self { port, shared }
    }

    /// From now on what the server says on the present connections goes nowhere, its end included. New ones are whole.
    pub(crate) fn silence(&self) {
        let mut live = self.shared.live.lock().expect("no pump has panicked");
        live.drain(..).for_each(|deaf| deaf.store(true, Ordering::Relaxed));
    }

    /// Whether bytes trickle.
    pub(crate) fn crawl(&self, slow: bool) {
        self.shared.slow.store(slow, Ordering::Relaxed);
    }
}

impl Shared {
    fn forward(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let deaf = Arc::new(AtomicBool::new(false));
        let mut live = self.live.lock().expect("no pump has panicked");
        live.retain(|known| Arc::strong_count(known) > 1);
        live.push(Arc::clone(&deaf));
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
        }
        let (Ok(client_read), Ok(server_read)) = (client.try_clone(), server.try_clone()) else { return };
        let (up, down) = (Arc::clone(self), Arc::clone(self));
        std::thread::spawn(move || up.pump(client_read, server, &AtomicBool::new(false)));
        std::thread::spawn(move || down.pump(server_read, client, &deaf));
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, deaf: &AtomicBool) {
        let mut room = vec![0; 64 << 10];
        loop {
            let read = from.read(&mut room).unwrap_or(0);
            if deaf.load(Ordering::Relaxed) {
                if read > 0 {
                    continue;
                }
                // Not even the end is told: the other side learns of it when it closes by itself.
                while !matches!(to.peek(&mut [0]), Ok(0) | Err(_)) {
                    std::thread::sleep(Duration::from_millis(100));
                }
                return;
            }
            let sent = if self.slow.load(Ordering::Relaxed) {
                room[..read].chunks(CRUMB).try_for_each(|crumb| {
                    if self.slow.load(Ordering::Relaxed) {
                        std::thread::sleep(PAUSE);
                    }
                    to.write_all(crumb)
                })
            } else {
                to.write_all(&room[..read])
            };
            if read == 0 || sent.is_err() {
                let _ = to.shutdown(Shutdown::Write);
                let _ = from.shutdown(Shutdown::Read);
                return;
            }
        }
    }
}
