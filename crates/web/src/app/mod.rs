//! The web app: configuration, parts, routes.

mod call_api;
mod home;
mod sign_in;
mod sign_out;
mod visit;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use entrant_confidential::{ConfidentialClient, SignInFlow};
use entrant_credential::Keeper;
use entrant_redis::ManagedConnection;
use entrant_types::emulation::World;
use entrant_types::{ClientId, Code, Fault, Outside, Retry, Scope, Whose};
use http::StatusCode;
use url::Url;

use crate::guard::guard;
use crate::page::problem::Problem;
use crate::page::shell::{self, Shell};
use crate::session::sessions::{Limits, Session, Sessions};
use crate::session::store::SessionStore;
use visit::Visit;

/// The one form of the app carries 43 characters.
const MAX_BODY_BYTES: usize = 4 * 1024;

/// What a person or a script decides about the web app.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// Where browsers reach the app, such as `https://app.example`: every address that leaves the app is built
    /// from it, never from a request's `Host`. Scheme, host and port only.
    pub public_url: Url,
    /// The app registration, for the page.
    pub client_id: ClientId,
    /// What `/call-api` asks with the person's token. An address without a path means `/api/claims` there.
    pub api_url: Url,
    /// The permission that this needs, such as `api://…/access_as_user`.
    pub api_scope: Scope,
    /// Name of the federated credential that trusts the managed identity, where it is known, for the page.
    pub federated_credential: Option<String>,
    /// What is behind the Redis connection, such as `embedded` or `redis-server`, for the page.
    pub redis_backend: Option<String>,
    /// By how much time runs faster, where it does: the page then reloads by itself.
    pub time_lapse: Option<u32>,
    /// Real Entra ID or the emulator.
    pub world: World,
    /// How long a session may live.
    pub limits: Limits,
    /// How long a person may take to sign in.
    pub sign_in_limit: Duration,
}

impl WebConfig {
    /// A configuration with the usual limits.
    #[must_use]
    pub fn new(public_url: Url, client_id: ClientId, api_url: Url, api_scope: Scope, world: World) -> Self {
        Self {
            public_url,
            client_id,
            api_url,
            api_scope,
            federated_credential: None,
            redis_backend: None,
            time_lapse: None,
            world,
            limits: Limits::default(),
            sign_in_limit: SignInFlow::LIFE,
        }
    }

    /// The redirect URI to register: the public address with `/getAToken`.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        self.at("getAToken")
    }

    /// Where Entra sends the browser after signing out.
    #[must_use]
    pub fn signed_out_uri(&self) -> String {
        self.at("")
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.public_url.origin().ascii_serialization())
    }
}

/// What the app is built on.
#[derive(Clone)]
pub struct WebParts {
    /// Signs people in and gets their tokens.
    pub client: Arc<ConfidentialClient>,
    /// Where sessions are kept.
    pub store: Arc<dyn SessionStore>,
    /// The managed identity's token that proves the app to Entra; `None` with another client credential.
    pub assertion: Option<Keeper>,
    /// The Redis connection, for the page; `None` when sessions are kept elsewhere.
    pub redis: Option<ManagedConnection>,
    /// The outside world.
    pub outside: Outside,
}

/// The web app.
#[derive(Clone)]
pub struct WebApp(Arc<App>);

pub(crate) struct App {
    config: WebConfig,
    parts: WebParts,
    sessions: Sessions,
}

impl WebApp {
    /// Checks the configuration and puts the app together. Nothing is fetched yet.
    ///
    /// # Errors
    /// When the public address is not a bare `https` one (or `http` on this computer).
    pub fn build(mut config: WebConfig, parts: WebParts) -> Result<Self, Fault> {
        check_public_url(&config.public_url)?;
        if config.api_url.path() == "/" {
            config.api_url.set_path("/api/claims");
        }
        let (clock, entropy) = (Arc::clone(&parts.outside.clock), Arc::clone(&parts.outside.entropy));
        let sessions = Sessions::new(Arc::clone(&parts.store), config.limits, clock, entropy);
        Ok(Self(Arc::new(App { config, parts, sessions })))
    }

    /// `/`, `/login`, `/getAToken`, `/call-api`, `/logout`, `/front-channel-logout` and the page's files.
    pub fn router(&self) -> Router {
        let entropy = Arc::clone(&self.0.parts.outside.entropy);
        Router::new()
            .route("/", get(home::home))
            .route("/login", get(sign_in::login))
            .route("/getAToken", get(sign_in::callback))
            .route("/call-api", get(call_api::call_api))
            .route("/logout", post(sign_out::logout))
            .route("/front-channel-logout", get(sign_out::front_channel))
            .route(&shell::STYLESHEET_PATH, get(shell::stylesheet))
            .route(&shell::ICON_PATH, get(shell::icon))
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(Arc::clone(&self.0))
            .layer(middleware::from_fn_with_state(entropy, guard))
    }
}

impl fmt::Debug for WebApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebApp").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl App {
    fn now(&self) -> entrant_types::Timestamp {
        self.parts.outside.clock.now()
    }

    fn shell(&self, title: impl Into<String>, visit: &Visit, session: Option<&Session>) -> Shell {
        let mut shell = Shell::new(title, &visit.id).visitor(session);
        shell.secretless = self.parts.assertion.is_some();
        shell.time_lapse = self.config.time_lapse.filter(|rate| *rate > 1);
        shell.emulator = self.config.world == World::Emulator;
        shell
    }

    fn problem(&self, visit: &Visit, session: Option<&Session>, problem: &Problem) -> Response {
        tracing::info!(request = %visit.id.0, status = problem.status, code = ?problem.code, "problem shown");
        problem.respond(self.shell(problem.title.clone(), visit, session), &visit.headers)
    }

    /// A failure as a page.
    fn failure(&self, visit: &Visit, session: Option<&Session>, fault: &Fault) -> Response {
        tracing::warn!(request = %visit.id.0, %fault, trace_id = fault.trace.trace_id, "request failed");
        self.problem(visit, session, &Problem::of(fault, self.now()).action("/", "Try again"))
    }
}

fn check_public_url(url: &Url) -> Result<(), Fault> {
    let loopback = url.host_str().is_some_and(entrant_types::emulation::is_loopback_host);
    let secure = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if secure && bare {
        return Ok(());
    }
    let what = format!("The public address {url} cannot be used.");
    let fix = "Give scheme, host and port only, such as https://app.example; http is allowed for localhost.";
    Err(Fault::new(Whose::Configuration, what, fix).retry(Retry::Never).code(Code::Entrant("public_url")))
}

async fn not_found(State(app): State<Arc<App>>, visit: Visit) -> Response {
    let cause = "This app has no page at that address.";
    let step = "Go to the first page, or check the address for a slip.";
    app.problem(&visit, None, &Problem::plain(StatusCode::NOT_FOUND, "No such page", cause, step, app.now()))
}

async fn method_not_allowed(State(app): State<Arc<App>>, visit: Visit) -> Response {
    let cause = "This address does not answer that kind of request: signing out, for one, is done by the button alone.";
    let step = "Use the links and buttons of the page.";
    let status = StatusCode::METHOD_NOT_ALLOWED;
    app.problem(&visit, None, &Problem::plain(status, "Not done this way", cause, step, app.now()))
}
