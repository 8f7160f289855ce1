//! Clients that number what they ask and compare every reply.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a client waits for a reply before it gives its connection up, and how long it rests then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
pub(crate) const REST: Duration = Duration::from_millis(50);
/// Between two questions of one client: a busy client, not a busy machine.
pub(crate) const PAUSE: Duration = Duration::from_millis(3);

/// What became of the questions of one route.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) right: AtomicU64,
    /// No reply, or an error that says so.
    pub(crate) failed: AtomicU64,
    /// A reply to something else. The one number that must be zero.
    pub(crate) wrong: AtomicU64,
    pub(crate) stop: AtomicBool,
    first_wrong: Mutex<Option<String>>,
    errors: Mutex<BTreeMap<String, u32>>,
}

impl Count {
    pub(crate) fn right(&self) -> u64 {
        self.right.load(Ordering::Relaxed)
    }

    pub(crate) fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn good(&self) {
        self.right.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn fail(&self, why: &str) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let why: String = why.chars().take(120).collect();
        let mut errors = self.errors.lock().expect("no client has panicked");
        if errors.len() < 50 || errors.contains_key(&why) {
            *errors.entry(why).or_default() += 1;
        }
    }

    pub(crate) fn mix_up(&self, what: String) {
        self.wrong.fetch_add(1, Ordering::Relaxed);
        self.first_wrong.lock().expect("no client has panicked").get_or_insert(what);
    }

    /// Fails if any reply was wrong.
    pub(crate) fn none_wrong(&self, route: &str) {
        let first = self.first_wrong.lock().expect("no client has panicked").clone();
        assert_eq!(self.wrong.load(Ordering::Relaxed), 0, "{route}: {first:?}");
    }

    /// What clients were told, with how often.
    pub(crate) fn errors(&self) -> BTreeMap<String, u32> {
        self.errors.lock().expect("no client has panicked").clone()
    }
}

/// The commands of one question and the exact bytes of their replies.
fn question(client: &str, number: u64) -> (String, String) {
    let (key, value) = (format!("{client}:{number}"), format!("{client}.{number}"));
    let bulk = format!("${}\r\n{value}\r\n", value.len());
    (format!("SET {key} {value} EX 300\r\nGET {key}\r\nECHO {value}\r\n"), format!("+OK\r\n{bulk}{bulk}"))
}

/// Asks at that port until told to stop.
pub(crate) fn client(name: String, port: u16, count: Arc<Count>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let (mut connection, mut number) = (None, 0);
        while count.goes_on() {
            number += 1;
            let asked = match connection.take() {
                Some(stream) => ask(stream, &name, number, &count),
                None => connect(port).and_then(|stream| ask(stream, &name, number, &count)),
            };
            match asked {
                Ok(stream) => {
                    connection = Some(stream);
                    std::thread::sleep(PAUSE);
                }
                Err(why) => {
                    count.fail(&why);
                    std::thread::sleep(REST);
                }
            }
        }
    })
}

fn connect(port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(stream)
}

/// One question; the error is why its connection cannot be used any more.
fn ask(mut stream: TcpStream, name: &str, number: u64, count: &Count) -> Result<TcpStream, String> {
    let (commands, expected) = question(name, number);
    stream.write_all(commands.as_bytes()).map_err(|error| error.to_string())?;
    let mut reply = Vec::with_capacity(expected.len());
    let mut room = [0; 4096];
    while reply.len() < expected.len() {
        let read = stream.read(&mut room).map_err(|error| error.to_string())?;
        if read == 0 {
            return Err("closed".to_owned());
        }
        reply.extend_from_slice(&room[..read]);
        if !expected.as_bytes().starts_with(&reply) {
            break;
        }
    }
    if reply == expected.as_bytes() {
        count.good();
        return Ok(stream);
    }
    let same = reply.iter().zip(expected.as_bytes()).take_while(|(one, other)| one == other).count();
    let differs = String::from_utf8_lossy(&reply[same..]).into_owned();
    let at_start = same == 0 || reply[..same].ends_with(b"\r\n");
    if at_start && differs.starts_with("-ERR") {
        return Err(differs);
    }
    count.mix_up(format!("asked {commands:?}, got {:?}", String::from_utf8_lossy(&reply)));
    Err("wrong".to_owned())
}
