//! HTTP requests over one client, one connection pool and one parsed root store.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use entrant_types::outside::{HttpError, HttpReply, HttpRequest, Method};
use entrant_types::{BoxFuture, HttpTransport, Secret};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::dial::{DialPolicy, PolicyResolver};
use crate::tls::{self, Trust};

/// How long an unused connection is kept: shorter than the 60 s after which common load balancers drop it silently.
const IDLE_CONNECTION: Duration = Duration::from_secs(45);

/// Limit for one TCP connection attempt, of the request's whole time.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Sends requests over pooled HTTP/1.1 connections. Never follows a redirect, never uses a proxy, never retries.
pub struct HyperTransport {
    client: Client<HttpsConnector<HttpConnector<PolicyResolver>>, Full<Bytes>>,
    dial: DialPolicy,
    trust: Trust,
}

impl fmt::Debug for HyperTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport").field("dial", &self.dial).finish_non_exhaustive()
    }
}

impl HyperTransport {
    /// A transport that dials what `dial` allows, with the TLS configuration made of `trust`, which is named in errors.
    /// Opens nothing yet.
    #[must_use]
    pub fn new(trust: Trust, tls: rustls::ClientConfig, dial: DialPolicy) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(PolicyResolver(dial));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_LIMIT));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self { client, dial, trust }
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpReply, HttpError> {
        let limit = request.max_reply_bytes;
        let outgoing = self.outgoing(request)?;
        let host = outgoing.uri().authority().map(ToString::to_string).unwrap_or_default();
        let reply = self.client.request(outgoing).await.map_err(|error| self.classify(&host, &error))?;
        let (head, body) = reply.into_parts();
        let body = Limited::new(body, limit).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                HttpError::TooLarge(limit)
            } else {
                HttpError::Protocol(format!("{host} broke off its reply: {error}"))
            }
        })?;
        let headers = head.headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), std::str::from_utf8(value.as_bytes()).ok()?.to_owned()))
        });
        Ok(HttpReply { status: head.status.as_u16(), headers: headers.collect(), body: body.to_bytes().to_vec() })
    }

    fn outgoing(&self, request: HttpRequest) -> Result<http::Request<Full<Bytes>>, HttpError> {
        let url = url::Url::parse(&request.url)
            .map_err(|error| HttpError::Refused(format!("the URL cannot be used: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(HttpError::Refused(format!("the URL's scheme is {}, not http or https", url.scheme())));
        }
        self.dial.check_host(url.host_str().unwrap_or_default()).map_err(HttpError::Refused)?;
        let method = match request.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
        };
        let mut outgoing = http::Request::builder().method(method).uri(url.as_str());
        for (name, value) in &request.headers {
            outgoing = outgoing.header(name, value);
        }
        if !request.headers.iter().any(|(name, _)| name == "user-agent") {
            outgoing = outgoing.header("user-agent", concat!("entrant/", env!("CARGO_PKG_VERSION")));
        }
        // Lent to hyper without a copy, so that the zeroing of `Secret` reaches what is sent.
        let body = Full::new(Bytes::from_owner(Body(request.body)));
        outgoing.body(body).map_err(|error| HttpError::Refused(format!("the request cannot be sent: {error}")))
    }

    fn classify(&self, host: &str, error: &hyper_util::client::legacy::Error) -> HttpError {
        let causes: Vec<&(dyn StdError + 'static)> = causes(error).collect();
        for cause in &causes {
            if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
                return match tls {
                    rustls::Error::InvalidCertificate(why) => HttpError::TlsUntrusted(format!(
                        "{host} shows a certificate that {}; trusted is {}",
                        tls::rejection(why),
                        self.trust
                    )),
                    other => HttpError::Protocol(format!("TLS with {host} failed: {other}")),
                };
            }
        }
        if let Some(refused) = causes.iter().find_map(|cause| {
            let error = cause.downcast_ref::<io::Error>()?;
            (error.kind() == io::ErrorKind::PermissionDenied && error.get_ref().is_some()).then(|| error.to_string())
        }) {
            return HttpError::Refused(refused);
        }
        let last = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
        if error.is_connect() {
            HttpError::Connect(format!("{host}: {last}"))
        } else {
            HttpError::Protocol(format!("{host} broke off: {last}"))
        }
    }
}

/// An error and its causes, outermost first, looking inside `io::Error`, whose `source` skips what it wraps.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner as &(dyn StdError + 'static)),
        None => error.source(),
    })
    // A chain is a handful; the bound keeps a cyclic `source` from hanging us.
    .take(16)
}

struct Body(Secret);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

impl HttpTransport for HyperTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpReply, HttpError>> {
        Box::pin(async move {
            let limit = request.timeout;
            tokio::time::timeout(limit, self.exchange(request)).await.unwrap_or(Err(HttpError::Timeout(limit)))
        })
    }
}
