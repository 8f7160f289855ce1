//! Redirect URIs: which registered one a request's matches (Microsoft's `reply-url.md`).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use url::Url;

use crate::directory::App;

/// Whether `uri` is registered: equal case-sensitively, but the port does not count for `http://localhost`.
pub(super) fn registered(app: &App, uri: &str) -> bool {
    app.redirect_uris.iter().any(|own| {
        own == uri || without_localhost_port(own).is_some_and(|bare| without_localhost_port(uri) == Some(bare))
    })
}

/// `uri` with the port of `http://localhost` left out; `None` when it is something else.
fn without_localhost_port(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("http://localhost")?;
    let path = match rest.strip_prefix(':') {
        Some(after) => {
            let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            after[..digits].parse::<u16>().ok()?;
            &after[digits..]
        }
        None => rest,
    };
    // Anything but a path, a query or the end after the host would make it another host.
    (path.is_empty() || path.starts_with(['/', '?'])).then(|| format!("http://localhost{path}"))
}

/// `uri` with `parameters` added to its query (or as its fragment). A URI without a path gets a slash.
pub(super) fn with_parameters(uri: &str, parameters: &[(String, String)], fragment: bool) -> Option<String> {
    let mut url = Url::parse(uri).ok()?;
    // Without parameters the `?` would stay behind.
    if parameters.is_empty() {
        return Some(url.into());
    }
    if fragment {
        let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        url.set_fragment(Some(&text));
    } else {
        url.query_pairs_mut().extend_pairs(parameters);
    }
    Some(url.into())
}

/// A redirect to a URL that [`with_parameters`] made.
pub(super) fn to(url: &str) -> Response {
    match HeaderValue::from_str(url) {
        Ok(location) => (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_localhost_does_not_count_and_nothing_else_is_forgiven() {
        let bare = |uri| without_localhost_port(uri);
        assert_eq!(bare("http://localhost:5000/getAToken"), bare("http://localhost:43117/getAToken"));
        assert_eq!(bare("http://localhost/getAToken"), bare("http://localhost:1/getAToken"));
        assert_ne!(bare("http://localhost:5000/getAToken"), bare("http://localhost:5000/getatoken"));
        for odd in [
            "http://localhost.evil.example/x",
            "http://localhost:80@evil.example/x",
            "https://localhost/x",
            "http://localhost:99999/x",
        ] {
            assert_eq!(bare(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_redirect_uri_without_a_path_comes_back_with_a_slash() {
        let parameters = [("code".to_owned(), "a b".to_owned())];
        assert_eq!(
            with_parameters("http://localhost:5000", &parameters, false).as_deref(),
            Some("http://localhost:5000/?code=a+b")
        );
        assert_eq!(
            with_parameters("http://localhost:5000/x?y=1", &parameters, true).as_deref(),
            Some("http://localhost:5000/x?y=1#code=a+b")
        );
    }
}
