//! The frame of every page, its files, and how a template becomes a response.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::guard::RequestId;
use crate::session::seal::RecordId;
use crate::session::sessions::Session;

const STYLESHEET: &str = include_str!("../../assets/entrant.css");
const ICON: &str = include_str!("../../assets/mark.svg");

/// Where the stylesheet lies. The name changes with the content, so that browsers may keep it for a year.
pub static STYLESHEET_PATH: LazyLock<String> = LazyLock::new(|| path(STYLESHEET, "css"));
/// Where the mark in the browser's tab lies, likewise.
pub static ICON_PATH: LazyLock<String> = LazyLock::new(|| path(ICON, "svg"));

fn path(content: &str, kind: &str) -> String {
    let name: String = RecordId::of(content.as_bytes()).to_string().chars().take(12).collect();
    format!("/static/{name}.{kind}")
}

/// What every page carries around its own content.
#[derive(Debug)]
pub struct Shell {
    /// Before the product's name in the window title.
    pub title: String,
    /// Reload after this many seconds: only while time runs faster.
    pub refresh: Option<u32>,
    /// Who is signed in.
    pub visitor: Option<Visitor>,
    /// Whether to mark the page as the emulator's world.
    pub emulator: bool,
    /// By how much time runs faster, where it does.
    pub time_lapse: Option<u32>,
    /// Whether the app proves itself by a managed identity.
    pub secretless: bool,
    /// For the footer.
    pub request_id: String,
    /// [`STYLESHEET_PATH`].
    pub stylesheet: &'static str,
    /// [`ICON_PATH`].
    pub icon: &'static str,
}

/// The account corner of a page.
#[derive(Debug)]
pub struct Visitor {
    /// Whom the page names.
    pub name: String,
    /// What the sign-out form carries: of use only together with the session's cookie.
    pub form_token: String,
}

impl Shell {
    /// A frame without a visitor.
    #[must_use]
    pub fn new(title: impl Into<String>, id: &RequestId) -> Self {
        Self {
            title: title.into(),
            refresh: None,
            visitor: None,
            emulator: false,
            time_lapse: None,
            secretless: false,
            request_id: id.0.as_ref().to_owned(),
            stylesheet: STYLESHEET_PATH.as_str(),
            icon: ICON_PATH.as_str(),
        }
    }

    /// The same frame for a session's person.
    #[must_use]
    pub fn visitor(mut self, session: Option<&Session>) -> Self {
        self.visitor = session.map(|session| Visitor {
            name: session.record().person.name.clone(),
            form_token: session.form_token().expose().to_owned(),
        });
        self
    }
}

/// A page with its status. `form_target` is the origin, beside our own, that a form of the page may end up at:
/// browsers hold redirects after a form to this list.
pub fn respond(status: StatusCode, page: &impl askama::Template, form_target: Option<&str>) -> Response {
    let Ok(text) = page.render() else {
        tracing::error!("a page could not be written");
        return (StatusCode::INTERNAL_SERVER_ERROR, "This page could not be written.").into_response();
    };
    let target = form_target.map(|origin| format!(" {origin}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'{target}; base-uri 'none'; frame-ancestors 'none'"
    );
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::VARY, HeaderValue::from_static("accept, cookie"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// `GET` of the stylesheet.
pub async fn stylesheet() -> Response {
    file("text/css; charset=utf-8", STYLESHEET)
}

/// `GET` of the mark.
pub async fn icon() -> Response {
    file("image/svg+xml", ICON)
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let cache = "public, max-age=31536000, immutable";
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache)], text).into_response()
}
