//! A browser: cookies that it keeps, redirects that it shows.

use axum::Router;
use axum::body::Body;
use entrant_testkit::assert_no_secret;
use entrant_types::Secret;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::identity::Scene;

/// A response, read.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn location(&self) -> &str {
        self.header("location")
    }

    pub(crate) fn set_cookies(&self) -> Vec<String> {
        let lines = self.headers.get_all(header::SET_COOKIE).iter();
        lines.map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    /// The hidden token of the sign-out form.
    pub(crate) fn form_token(&self) -> String {
        let (_, after) = self.body.split_once("name=\"form_token\" value=\"").expect("a sign-out form");
        after.split('"').next().unwrap().to_owned()
    }
}

/// One request through the router.
pub(crate) async fn send(router: &Router, request: Request<Body>) -> Reply {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Reply { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() }
}

/// A query parameter of an address.
pub(crate) fn parameter(address: &str, name: &str) -> Option<String> {
    let (_, query) = address.split_once('?')?;
    form_urlencoded::parse(query.as_bytes()).find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

/// A browser with its own cookies.
#[derive(Clone)]
pub(crate) struct Browser {
    router: Router,
    pub(crate) cookies: Vec<(String, String)>,
}

impl Browser {
    pub(crate) fn new(scene: &Scene) -> Self {
        Self { router: scene.router.clone(), cookies: Vec::new() }
    }

    /// The same browser, led to another replica.
    pub(crate) fn at(&self, router: &Router) -> Self {
        Self { router: router.clone(), cookies: self.cookies.clone() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.get_with(path, &[]).await
    }

    pub(crate) async fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.request("GET", path, headers, "").await
    }

    pub(crate) async fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", pairs.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reply = send(&self.router, request.body(Body::from(body.to_owned())).unwrap()).await;
        self.keep(&reply);
        reply
    }

    fn keep(&mut self, reply: &Reply) {
        for line in reply.set_cookies() {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(own, _)| own != name);
            if !line.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// The value of the session cookie.
    pub(crate) fn session(&self) -> Option<String> {
        self.cookies.iter().find(|(name, _)| name == "__Host-entrant-session").map(|(_, value)| value.clone())
    }

    /// `GET /login`; the address of the sign-in page.
    pub(crate) async fn begin(&mut self, path: &str) -> String {
        let reply = self.get(path).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.body);
        reply.location().to_owned()
    }

    /// What the sign-in page does when the person agrees: back to the app with a code.
    pub(crate) async fn agree(&mut self, scene: &Scene, sign_in_page: &str) -> Reply {
        scene.script(|script| script.nonce = parameter(sign_in_page, "nonce").unwrap());
        let state = parameter(sign_in_page, "state").unwrap();
        self.get(&format!("/getAToken?code=code-of-the-test&state={state}&session_state=x")).await
    }

    /// A whole sign-in.
    pub(crate) async fn sign_in(&mut self, scene: &Scene) -> Reply {
        let page = self.begin("/login").await;
        let reply = self.agree(scene, &page).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.body);
        reply
    }

    /// Fails when any of the scene's tokens, or a cookie's value, is in what a person or an operator may see.
    pub(crate) fn assert_no_secret(&self, scene: &Scene, place: &str, text: &str) {
        let mut secrets = scene.secrets();
        secrets.extend(self.cookies.iter().map(|(_, value)| Secret::new(value.clone())));
        assert_no_secret(place, text, &secrets.iter().collect::<Vec<_>>());
    }
}
