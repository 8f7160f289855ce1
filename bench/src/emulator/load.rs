//! The load: HTTP/1.1 on kept connections, as little work a request as will do, bounded in time.

use std::io::{Read as _, Write as _};
use std::net::TcpStream as Blocking;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::server::{Service, cpu_of};
use crate::tokens::Failure;

/// Larger than any reply of either server.
const REPLY: usize = 64 * 1024;
/// Connections of the closed loop.
const CONNECTIONS: usize = 16;
/// A reply that takes longer ends the run.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a closed loop saw.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Replies with status 200, which were all of them.
    pub replies: u64,
    /// For how long.
    pub seconds: f64,
    /// CPU seconds of the server.
    pub server: f64,
    /// CPU seconds of this process.
    pub generator: f64,
}

impl Seen {
    /// Replies a second.
    pub fn rate(&self) -> f64 {
        self.replies as f64 / self.seconds
    }

    /// Microseconds of the server's CPU for a reply.
    pub fn cpu_us(&self) -> f64 {
        self.server / self.replies as f64 * 1e6
    }
}

/// Asks `service` on [`CONNECTIONS`] connections, each again as soon as it has its reply, for `span`. One thread with
/// an event loop of its own, so that the generator never waits for the measuring program.
pub async fn closed(service: &Service, pid: u32, span: Duration) -> Result<Seen, Failure> {
    let service = service.clone();
    let thread = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut connections = Vec::new();
            for _ in 0..CONNECTIONS {
                connections.push(service.connect().await?);
            }
            let (server, generator) = (cpu_of(pid)?, cpu_of(std::process::id())?);
            let (begun, until) = (Instant::now(), Instant::now() + span);
            let loops = connections.into_iter().map(|stream| ask_until(stream, &service.request, until));
            let counts = futures_util::future::try_join_all(loops).await?;
            Ok(Seen {
                replies: counts.into_iter().sum(),
                seconds: begun.elapsed().as_secs_f64(),
                server: cpu_of(pid)? - server,
                generator: cpu_of(std::process::id())? - generator,
            })
        })
    });
    thread.await?
}

async fn ask_until(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &[u8],
    until: Instant,
) -> Result<u64, Failure> {
    let mut buffer = vec![0; REPLY];
    let mut replies = 0;
    while Instant::now() < until {
        ask(&mut stream, request, &mut buffer).await?;
        replies += 1;
    }
    Ok(replies)
}

/// One request and its whole reply; anything but 200 is an error.
pub async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
    buffer: &mut [u8],
) -> Result<usize, Failure> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut filled = 0;
    loop {
        filled += match stream.read(&mut buffer[filled..]).await? {
            0 => return Err("the connection ended within a reply".into()),
            read => read,
        };
        if whole(&buffer[..filled])? {
            return Ok(filled);
        }
    }
}

/// Whether the reply is complete. Both servers say how long their bodies are.
fn whole(reply: &[u8]) -> Result<bool, Failure> {
    let mut at = 0;
    let mut body = None;
    while let Some(end) = reply[at..].iter().position(|byte| *byte == b'\n') {
        let line = &reply[at..at + end];
        if at == 0 && !line.starts_with(b"HTTP/1.1 200") {
            return Err(format!("not a 200: {}", String::from_utf8_lossy(reply)).into());
        }
        at += end + 1;
        const NAME: &[u8] = b"content-length:";
        if line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) {
            body = Some(std::str::from_utf8(&line[NAME.len()..])?.trim().parse::<usize>()?);
        }
        if line == b"\r" {
            let body = body.ok_or("a reply without a length")?;
            return Ok(reply.len() >= at + body);
        }
    }
    Ok(false)
}

/// Asks at a steady rate, whatever the replies do, and returns how long each took from the moment it was due, in
/// milliseconds, sorted. Blocking sockets and the system's own sleep: the runtime's timer ticks in milliseconds.
pub async fn paced(service: &Service, rate: u32, requests: u32) -> Result<Vec<f64>, Failure> {
    let service = service.clone();
    let thread = tokio::task::spawn_blocking(move || {
        let mut stream = Blocking::connect(("127.0.0.1", service.port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut buffer = vec![0; REPLY];
        let mut took = Vec::new();
        let begun = Instant::now();
        for number in 0..requests {
            let due = begun + Duration::from_secs(number.into()) / rate;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            stream.write_all(&service.request)?;
            let mut filled = 0;
            while !whole(&buffer[..filled])? {
                filled += match stream.read(&mut buffer[filled..])? {
                    0 => return Err("the connection ended within a reply".into()),
                    read => read,
                };
            }
            took.push(due.elapsed().as_secs_f64() * 1000.0);
        }
        took.sort_by(f64::total_cmp);
        Ok::<_, Failure>(took)
    });
    thread.await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_whole_with_its_last_byte() {
        let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx: y\r\n\r\n{}";
        for cut in 0..reply.len() {
            assert!(!whole(&reply[..cut]).unwrap(), "{cut}");
        }
        assert!(whole(reply).unwrap());
        assert!(whole(b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n").is_err());
    }
}
