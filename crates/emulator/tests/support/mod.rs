//! A running emulator, a clock to turn by hand, and a bare HTTP client that trusts only the emulator's CA.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::allow_attributes,
    reason = "each test file uses its own part of this, so that expecting a lint would fail in some; a test may stop at a broken promise"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use entrant_emulator::{Emulator, EmulatorConfig, Facts, KeySource, Listeners, Running, Seed};
use entrant_testkit::{ManualClock, SeededEntropy};
use entrant_types::Timestamp;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Map, Value};
use tokio::net::TcpStream;

/// Real time, for certificates: the peers of a test check them with the system's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "rustls compares certificates with the system's clock, and so must the test"
)]
pub fn real_now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_secs(i64::try_from(since.as_secs()).unwrap())
}

/// 2027-01-15T07:59:58Z.
pub const START: i64 = 1_799_999_998;

pub struct Lab {
    pub emulator: Emulator,
    _running: Option<Running>,
    pub facts: Facts,
    pub clock: Arc<ManualClock>,
    cookies: Mutex<BTreeMap<String, String>>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub fn location(&self) -> BTreeMap<String, String> {
        let url = url::Url::parse(&self.headers["location"]).unwrap();
        let fragment = url.fragment().unwrap_or_default().as_bytes().to_vec();
        url.query_pairs().into_owned().chain(form_urlencoded::parse(&fragment).into_owned()).collect()
    }

    /// The AADSTS number of an error reply, after checking its shape.
    pub fn aadsts(&self) -> u64 {
        let json = self.json();
        let number = json["error_codes"][0].as_u64().unwrap_or_else(|| panic!("no error_codes: {json}"));
        let description = json["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("AADSTS{number}: ")), "{description}");
        number
    }
}

impl Lab {
    pub async fn new() -> Self {
        Self::with(Seed::default()).await
    }

    pub async fn seeded(toml: &str) -> Self {
        Self::with(Seed::parse(toml).unwrap()).await
    }

    pub async fn with(seed: Seed) -> Self {
        // Certificates are made for real time; tokens live in this one.
        let clock = ManualClock::at(Timestamp::from_secs(START));
        let running = Emulator::start(seed, clock.clone(), Arc::new(SeededEntropy::new(7)), real_now()).await.unwrap();
        let (emulator, facts) = ((*running).clone(), running.facts());
        Self { emulator, _running: Some(running), facts, clock, cookies: Mutex::default() }
    }

    /// An emulator that keeps its keys in `folder`.
    pub async fn on(folder: &Folder) -> Self {
        let listeners = Listeners::bind(0, 0).await.unwrap();
        let clock = ManualClock::at(Timestamp::from_secs(START));
        let emulator = Emulator::build(EmulatorConfig {
            seed: Seed::default(),
            data_dir: Some(folder.path().to_owned()),
            entra_port: listeners.entra_port(),
            imds_port: listeners.imds_port(),
            clock: clock.clone(),
            system_now: real_now(),
            entropy: Arc::new(SeededEntropy::new(7)),
            key: KeySource::Kept,
        });
        let emulator = emulator.unwrap();
        let facts = emulator.facts();
        let running = emulator.clone().start_on(listeners);
        Self { emulator, _running: Some(running), facts, clock, cookies: Mutex::default() }
    }

    pub async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Reply {
        self.send("GET", url, headers, String::new()).await
    }

    pub async fn post(&self, url: &str, form: &[(&str, &str)]) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.send("POST", url, &[("content-type", "application/x-www-form-urlencoded")], body).await
    }

    pub async fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: String) -> Reply {
        self.try_send(method, url, headers, body).await.unwrap()
    }

    /// A request that may get no whole answer.
    pub async fn attempt(&self, method: &str, url: &str) -> Result<Reply, hyper::Error> {
        self.try_send(method, url, &[], String::new()).await
    }

    async fn try_send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Reply, hyper::Error> {
        let url = url::Url::parse(url).unwrap();
        let port = url.port_or_known_default().unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let mut request = Request::builder().method(method).uri(target);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", format!("localhost:{port}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let pairs: Vec<String> =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !pairs.is_empty() {
            request = request.header("cookie", pairs.join("; "));
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let reply = if url.scheme() == "https" {
            exchange(TokioIo::new(self.connect_tls(stream).await), request).await?
        } else {
            exchange(TokioIo::new(stream), request).await?
        };
        self.keep_cookies(&reply);
        Ok(reply)
    }

    async fn connect_tls(&self, stream: TcpStream) -> tokio_rustls::client::TlsStream<TcpStream> {
        let connector = tokio_rustls::TlsConnector::from(Arc::new(self.tls()));
        connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
    }

    /// The certificate that the HTTPS listener shows.
    pub async fn server_certificate(&self) -> CertificateDer<'static> {
        let port = url::Url::parse(&self.facts.authority_host).unwrap().port().unwrap();
        let stream = self.connect_tls(TcpStream::connect(("127.0.0.1", port)).await.unwrap()).await;
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }

    pub fn now(&self) -> Timestamp {
        entrant_types::Clock::now(self.clock.as_ref())
    }

    fn keep_cookies(&self, reply: &Reply) {
        if let Some(cookie) = reply.headers.get("set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            if value.is_empty() {
                cookies.remove(name);
            } else {
                cookies.insert(name.into(), value.into());
            }
        }
    }

    fn tls(&self) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.facts.ca_pem.as_bytes()).unwrap()).unwrap();
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    pub fn token_url(&self) -> String {
        format!("{}/oauth2/v2.0/token", self.facts.authority)
    }

    pub fn authorize_url(&self, extra: &[(&str, &str)]) -> String {
        let mut fields = BTreeMap::from([
            ("client_id", self.client_id()),
            ("response_type", "code".to_owned()),
            ("redirect_uri", "http://localhost:5000/getAToken".to_owned()),
            ("scope", format!("openid profile offline_access {}", self.facts.api_scope.clone().unwrap())),
            ("state", "a-state".to_owned()),
        ]);
        for (name, value) in extra {
            fields.insert(name, (*value).to_owned());
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
        format!("{}{}/oauth2/v2.0/authorize?{query}", self.facts.console_url, self.facts.tenant_id)
    }

    pub fn client_id(&self) -> String {
        self.facts.client_id.unwrap().to_string()
    }

    /// The App Service endpoint's reply for `resource`, as `selector` (a query part such as `client_id=…`).
    pub async fn managed_identity(&self, resource: &str, selector: &str) -> Reply {
        let url = format!("{}?api-version=2019-08-01&resource={resource}&{selector}", self.facts.identity_endpoint);
        self.get(&url, &[("x-identity-header", self.facts.identity_header.expose())]).await
    }

    /// The default identity's assertion.
    pub async fn assertion(&self) -> String {
        let selector = format!("client_id={}", self.facts.managed_identity_client_id.unwrap());
        let reply = self.managed_identity("api://AzureADTokenExchange", &selector).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// A token request authenticated by `assertion`.
    pub async fn token_with(&self, assertion: &str, form: &[(&str, &str)]) -> Reply {
        let client_id = self.client_id();
        let mut whole = vec![
            ("client_id", client_id.as_str()),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ];
        whole.extend(form);
        self.post(&self.token_url(), &whole).await
    }

    /// Client credentials for Graph with `assertion`: the shortest request that needs the client authenticated.
    pub async fn exchange(&self, assertion: &str) -> Reply {
        self.token_with(
            assertion,
            &[("grant_type", "client_credentials"), ("scope", "https://graph.microsoft.com/.default")],
        )
        .await
    }

    /// Signs `upn` in on the page and returns the code (or panics with the page).
    pub async fn code(&self, upn: &str, extra: &[(&str, &str)]) -> String {
        let url = self.authorize_url(extra);
        let reply = self.post(&url, &[("user", upn)]).await;
        assert_eq!(reply.status, 302, "{}", reply.text());
        reply.location().get("code").unwrap_or_else(|| panic!("{:?}", reply.headers)).clone()
    }

    /// Signs `upn` in and redeems the code.
    pub async fn signed_in(&self, upn: &str) -> Value {
        let code = self.code(upn, &[]).await;
        let reply = self.redeem(&code, &[]).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    pub async fn redeem(&self, code: &str, extra: &[(&str, &str)]) -> Reply {
        let assertion = self.assertion().await;
        let mut form = vec![("grant_type", "authorization_code"), ("code", code)];
        if !extra.iter().any(|(name, _)| *name == "redirect_uri") {
            form.push(("redirect_uri", "http://localhost:5000/getAToken"));
        }
        form.extend(extra);
        self.token_with(&assertion, &form).await
    }
}

async fn exchange(
    io: impl hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Reply, hyper::Error> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    tokio::spawn(connection);
    let reply = sender.send_request(request).await?;
    let (parts, body) = reply.into_parts();
    let headers =
        parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    Ok(Reply { status: parts.status.as_u16(), headers, body: body.collect().await?.to_bytes().to_vec() })
}

/// The claims of a token, unverified.
pub fn claims(token: &str) -> Map<String, Value> {
    entrant_proto::jose::UnverifiedJwt::parse(token).unwrap().into_unverified_claims()
}

/// Starts an emulator on `folder` until its key is there; its key set and CA.
pub async fn kept(folder: &Folder) -> (Value, String) {
    let lab = Lab::on(folder).await;
    let keys = lab.get(&lab.facts.jwks_url, &[]).await.json();
    // The keeper of the token file sleeps once the file is there.
    lab.clock.sleeper().await;
    (keys, lab.facts.ca_pem.clone())
}

/// A folder of this test's own, gone with it.
pub struct Folder(std::path::PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("entrant-emulator-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
