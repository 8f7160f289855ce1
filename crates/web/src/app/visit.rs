//! What a handler needs of a request: its id, its headers, its query.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;

use crate::guard::RequestId;

/// One request.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) id: RequestId,
    pub(crate) headers: HeaderMap,
    /// As it came, without the question mark.
    pub(crate) query: String,
}

impl Visit {
    /// The one value of a query parameter; nothing when it is absent or stands twice.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let mut found = form_urlencoded::parse(self.query.as_bytes()).filter(|(own, _)| own == name);
        let value = found.next()?.1.into_owned();
        if found.next().is_some() { None } else { Some(value) }
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the browser says that another site led here.
    pub(crate) fn is_cross_site(&self) -> bool {
        self.header("sec-fetch-site") == Some("cross-site")
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self {
            id: parts.extensions.get().cloned().unwrap_or_else(|| RequestId("".into())),
            headers: parts.headers.clone(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
        })
    }
}
