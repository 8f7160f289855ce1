//! The frame of every page, its files, and how a template becomes a response.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::guard::RequestId;
use crate::session::sessions::Session;

/// Where the files lie. A change of either needs a new name: they may be cached for a year.
pub const STYLESHEET: &str = "/static/entrant-1.css";
/// The mark in the browser's tab.
pub const ICON: &str = "/static/mark-1.svg";

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
    /// [`STYLESHEET`].
    pub stylesheet: &'static str,
    /// [`ICON`].
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
            stylesheet: STYLESHEET,
            icon: ICON,
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
    file("text/css; charset=utf-8", include_str!("../../assets/entrant.css"))
}

/// `GET` of the mark.
pub async fn icon() -> Response {
    file("image/svg+xml", include_str!("../../assets/mark.svg"))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let cache = "public, max-age=31536000, immutable";
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache)], text).into_response()
}
