//! HTTP that answers from a script, records what was asked, and fails the test when it leaves the machine.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use entrant_types::emulation::is_loopback_host;
use entrant_types::outside::{HttpError, HttpReply, HttpRequest};
use entrant_types::{BoxFuture, HttpTransport};
use tokio::sync::watch;

type Answer = Result<HttpReply, HttpError>;
type Handler = Box<dyn Fn(&HttpRequest) -> BoxFuture<'static, Answer> + Send + Sync>;

/// A transport without a network. Replies come from the queue first, then from the handler; without either a request
/// is refused. A request to a host that is not loopback fails the test when the transport is dropped, unless
/// [`any_host`](Self::any_host) was chosen (nothing is ever dialled; the guard is for wrong defaults).
pub struct ScriptedTransport {
    state: Mutex<State>,
    requests: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Answer>,
    handler: Option<Handler>,
    requests: Vec<HttpRequest>,
    strays: Vec<String>,
    any_host: bool,
}

impl fmt::Debug for ScriptedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedTransport").field("requests", &self.count()).finish_non_exhaustive()
    }
}

impl ScriptedTransport {
    /// A transport that refuses everything, until given replies.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), requests: watch::Sender::new(0) })
    }

    /// Lets requests name any host: for tests of what would be sent to Azure.
    pub fn any_host(&self) {
        self.with(|state| state.any_host = true);
    }

    /// Adds one answer to the end of the queue.
    pub fn push(&self, answer: Result<HttpReply, HttpError>) {
        self.with(|state| state.queue.push_back(answer));
    }

    /// Answers what the queue does not, at once.
    pub fn handle(&self, handler: impl Fn(&HttpRequest) -> Result<HttpReply, HttpError> + Send + Sync + 'static) {
        self.handle_async(move |request| Box::pin(std::future::ready(handler(request))));
    }

    /// Answers what the queue does not, when the future says so: for requests that hang.
    pub fn handle_async(
        &self,
        handler: impl Fn(&HttpRequest) -> BoxFuture<'static, Result<HttpReply, HttpError>> + Send + Sync + 'static,
    ) {
        self.with(|state| state.handler = Some(Box::new(handler)));
    }

    /// Every request so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<HttpRequest> {
        self.with(|state| state.requests.clone())
    }

    /// How many requests there were so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.with(|state| state.requests.len())
    }

    /// Waits until there were at least `count` requests.
    pub async fn reached(&self, count: usize) {
        // The sender lives as long as `self`, so that this cannot fail.
        let _ = self.requests.subscribe().wait_for(|seen| *seen >= count).await;
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpTransport for ScriptedTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Answer> {
        let host = host_of(&request.url).to_owned();
        let answer = self.with(|state| -> BoxFuture<'static, Answer> {
            let stray = !state.any_host && !is_loopback_host(&host);
            state.requests.push(request.clone());
            if stray {
                state.strays.push(host.clone());
                return Box::pin(std::future::ready(Err(HttpError::Refused(format!("{host} is not loopback")))));
            }
            if let Some(answer) = state.queue.pop_front() {
                return Box::pin(std::future::ready(answer));
            }
            match &state.handler {
                Some(handler) => handler(&request),
                None => Box::pin(std::future::ready(Err(HttpError::Connect(format!("{host}: nothing is scripted"))))),
            }
        });
        self.requests.send_replace(self.count());
        answer
    }
}

/// The host of an absolute URL, without user, port and brackets' content changed.
fn host_of(url: &str) -> &str {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
    if authority.starts_with('[') {
        return authority.split_inclusive(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

impl Drop for ScriptedTransport {
    fn drop(&mut self) {
        let strays = self.with(|state| std::mem::take(&mut state.strays));
        if !std::thread::panicking() {
            assert!(strays.is_empty(), "the loopback guard: requests went to {strays:?}");
        }
    }
}

/// A reply with this status and body.
#[must_use]
pub fn reply(status: u16, body: impl Into<Vec<u8>>) -> HttpReply {
    HttpReply { status, headers: Vec::new(), body: body.into() }
}

/// A reply with this status and JSON body, and the content type that says so.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "callers write json!({…}) in place")]
pub fn json_reply(status: u16, body: serde_json::Value) -> HttpReply {
    HttpReply {
        status,
        headers: vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())],
        body: body.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_queue_answers_before_the_handler_and_everything_is_recorded() {
        let http = ScriptedTransport::new();
        http.push(Ok(reply(200, "queued")));
        http.handle(|request| Ok(reply(404, request.url.clone())));
        assert_eq!(http.send(HttpRequest::get("http://localhost:1/a")).await.unwrap().body, b"queued");
        assert_eq!(http.send(HttpRequest::get("http://[::1]:1/b")).await.unwrap().body, b"http://[::1]:1/b");
        http.reached(2).await;
        assert_eq!(http.requests()[1].url, "http://[::1]:1/b");
    }

    #[tokio::test]
    #[should_panic(expected = "the loopback guard")]
    async fn leaving_the_machine_fails_the_test_even_when_the_error_was_swallowed() {
        let http = ScriptedTransport::new();
        let _ = http.send(HttpRequest::get("https://user@login.example.test:443/x")).await;
    }
}
