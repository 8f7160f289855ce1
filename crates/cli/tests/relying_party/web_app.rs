//! The web app in front of the lab's client, and a browser without JavaScript that visits it and the emulator.

use std::collections::BTreeMap;
use std::sync::Arc;

use entrant_types::Secret;
use entrant_types::emulation::World;
use entrant_types::outside::{HttpReply, HttpRequest};
use entrant_web::app::{WebApp, WebConfig, WebParts};
use entrant_web::session::memory::MemoryStore;
use tokio::net::TcpListener;
use url::Url;

use crate::lab::Lab;

/// Serves the web app on a free port until the test's runtime ends; its address, without a slash at the end.
pub(crate) async fn serve(lab: &Lab, listener: TcpListener) -> String {
    let address = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let public_url = Url::parse(&address).unwrap();
    let (client_id, api) = (lab.facts.client_id.unwrap(), public_url.clone());
    let config = WebConfig::new(public_url, client_id, api, lab.scope(), World::Emulator);
    let parts = WebParts {
        client: Arc::new(lab.client.clone()),
        store: Arc::new(MemoryStore::new(lab.outside.clock.clone())),
        assertion: None,
        redis: None,
        outside: lab.outside.clone(),
    };
    let router = WebApp::build(config, parts).unwrap().router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Cookies are shared by all ports of a host, as in a browser.
pub(crate) struct Browser<'a> {
    lab: &'a Lab,
    cookies: BTreeMap<String, String>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(lab: &'a Lab) -> Self {
        Self { lab, cookies: BTreeMap::new() }
    }

    pub(crate) async fn get(&mut self, url: &str) -> HttpReply {
        self.send(HttpRequest::get(url)).await
    }

    pub(crate) async fn post(&mut self, url: &str, form: &str) -> HttpReply {
        self.send(HttpRequest::post_form(url, Secret::from(form))).await
    }

    async fn send(&mut self, request: HttpRequest) -> HttpReply {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = if pairs.is_empty() { request } else { request.header("cookie", pairs.join("; ")) };
        let reply = self.lab.outside.http.send(request).await.unwrap();
        for (_, line) in reply.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    /// Signs Alice in at `app`.
    pub(crate) async fn sign_in(&mut self, app: &str) {
        let to_entra = self.get(&format!("{app}/login")).await;
        let back = self.post(location(&to_entra), "user=alice%40contoso.example").await;
        let home = self.get(location(&back)).await;
        assert_eq!((home.status, location(&home)), (303, "/"), "{}", text(&home));
        assert!(self.is_signed_in(app).await);
    }

    pub(crate) async fn is_signed_in(&mut self, app: &str) -> bool {
        text(&self.get(app).await).contains("Signed in as")
    }

    /// Presses *Sign out*: where the app sends the browser.
    pub(crate) async fn sign_out(&mut self, app: &str) -> String {
        let page = text(&self.get(app).await);
        let (_, after) = page.split_once("name=\"form_token\" value=\"").unwrap();
        let token = after.split('"').next().unwrap();
        let reply = self.post(&format!("{app}/logout"), &format!("form_token={token}")).await;
        assert_eq!(reply.status, 303);
        location(&reply).to_owned()
    }
}

pub(crate) fn location(reply: &HttpReply) -> &str {
    reply.header("location").unwrap_or_else(|| panic!("no redirect: {} {}", reply.status, text(reply)))
}

pub(crate) fn text(reply: &HttpReply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}
