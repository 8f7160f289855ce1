//! A real Chromium, driven over WebDriver (W3C) through Debian's chromedriver.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::http;

/// A browser with an empty profile. It is closed when dropped.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    _profile: Folder,
}

/// How long the browser itself waits for an element, in ms: no page of ours takes longer.
const PATIENCE_MS: u64 = 10_000;

/// The background traffic of a browser has nothing to look for in a test, and finds no network where CI runs.
const ARGUMENTS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--window-size=1280,900",
];

impl Browser {
    /// Starts a browser, or says that it is not installed (`None`). In CI a missing browser fails the test.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// The same, trusting one TLS key whoever has signed it: base64 of the SHA-256 of its public key.
    pub(crate) fn start_trusting(key: &str) -> Option<Self> {
        Self::start_with(&[format!("--ignore-certificate-errors-spki-list={key}")])
    }

    fn start_with(more: &[String]) -> Option<Self> {
        let chromedriver = crate::process::installed("chromedriver")?;
        let chromium = crate::process::installed("chromium")?;
        let mut driver = Command::new(chromedriver)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let output = BufReader::new(driver.stdout.take().expect("its output is ours"));
        let port = output
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok());
        let base = format!("http://127.0.0.1:{}/session", port.expect("chromedriver names its port"));
        let profile = Folder::new();
        let mut arguments: Vec<String> = ARGUMENTS.iter().map(ToString::to_string).collect();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        arguments.extend_from_slice(more);
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "timeouts": {"implicit": PATIENCE_MS, "pageLoad": 30_000, "script": 10_000},
            "goog:chromeOptions": {"args": arguments, "binary": chromium},
        }}});
        let answer = post(&base, &wanted).unwrap_or_else(|error| panic!("no browser session: {error}"));
        let id = answer["sessionId"].as_str().expect("a session has an id").to_owned();
        Some(Self { driver, session: format!("{base}/{id}"), _profile: profile })
    }

    /// Opens a page and waits until it is loaded.
    pub(crate) fn open(&self, url: &str) {
        self.post("url", &json!({"url": url}));
    }

    /// The address of the page that is shown.
    pub(crate) fn address(&self) -> String {
        self.get("url").as_str().unwrap_or_default().to_owned()
    }

    /// What a person reads: the text of the page.
    pub(crate) fn text(&self) -> String {
        self.text_of("body")
    }

    /// The visible text of the first element that matches, waited for.
    pub(crate) fn text_of(&self, css: &str) -> String {
        let element = self.element(css);
        self.get(&format!("element/{element}/text")).as_str().unwrap_or_default().to_owned()
    }

    /// Clicks the first link, button or summary with this text, waited for.
    pub(crate) fn click(&self, label: &str) {
        let xpath = format!(
            "//*[self::a or self::button or self::summary or self::input][contains(normalize-space(concat(., ' ', @value, ' ', @aria-label)), '{label}')]"
        );
        let element = self
            .find("xpath", &xpath)
            .unwrap_or_else(|| panic!("nothing to click is called `{label}` at {}:\n{}", self.address(), self.text()));
        self.post(&format!("element/{element}/click"), &json!({}));
    }

    /// Types into the first field that matches, waited for.
    pub(crate) fn fill(&self, css: &str, text: &str) {
        let element = self.element(css);
        self.post(&format!("element/{element}/value"), &json!({"text": text}));
    }

    /// Waits until the page says `text`, and fails with the page as it is otherwise.
    pub(crate) fn expect(&self, text: &str) {
        let xpath = format!("//body[contains(normalize-space(.), '{text}')]");
        assert!(
            self.find("xpath", &xpath).is_some(),
            "the page does not say `{text}`\n--- {} ---\n{}",
            self.address(),
            self.text()
        );
    }

    /// The page as it was sent.
    pub(crate) fn source(&self) -> String {
        self.get("source").as_str().unwrap_or_default().to_owned()
    }

    /// Everything the browser stores for this site: name and value of each cookie.
    pub(crate) fn cookies(&self) -> Vec<(String, String)> {
        let cookies = self.get("cookie");
        let text = |cookie: &Value, key: &str| cookie[key].as_str().unwrap_or_default().to_owned();
        cookies.as_array().into_iter().flatten().map(|cookie| (text(cookie, "name"), text(cookie, "value"))).collect()
    }

    /// The value of a JavaScript expression in the page.
    pub(crate) fn value_of(&self, expression: &str) -> Value {
        self.post("execute/sync", &json!({"script": format!("return {expression}"), "args": []}))
    }

    /// What a script hands to its last argument, a function, when it is done.
    pub(crate) fn value_later(&self, script: &str) -> Value {
        self.post("execute/async", &json!({"script": script, "args": []}))
    }

    /// Presses a key wherever the focus is.
    pub(crate) fn key(&self, key: char) {
        let press = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.post("actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": press}]}));
    }

    /// Sets the size of the window, in CSS pixels.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        self.post("window/rect", &json!({"width": width, "height": height}));
    }

    /// Writes what the window shows to a PNG file.
    pub(crate) fn screenshot(&self, path: &Path) {
        let picture = self.get("screenshot");
        let bytes = base64_bytes(picture.as_str().unwrap_or_default());
        std::fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    fn element(&self, css: &str) -> String {
        self.find("css selector", css)
            .unwrap_or_else(|| panic!("nothing matches `{css}` at {}:\n{}", self.address(), self.source()))
    }

    fn find(&self, using: &str, value: &str) -> Option<String> {
        let found = post(&format!("{}/element", self.session), &json!({"using": using, "value": value})).ok()?;
        found.as_object()?.values().next()?.as_str().map(ToOwned::to_owned)
    }

    fn get(&self, path: &str) -> Value {
        let url = format!("{}/{path}", self.session);
        http::get(&url).json()["value"].take()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        post(&format!("{}/{path}", self.session), body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = http::request("DELETE", &self.session, &[], None);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn post(url: &str, body: &Value) -> Result<Value, String> {
    let headers = [("content-type", "application/json")];
    let answer = http::request("POST", url, &headers, Some(&body.to_string())).map_err(|error| error.to_string())?;
    let mut json = answer.json();
    if answer.status == 200 { Ok(json["value"].take()) } else { Err(json["value"]["message"].to_string()) }
}

/// Base64 (RFC 4648 §4) of a screenshot.
fn base64_bytes(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut buffer, mut bits) = (Vec::with_capacity(text.len() * 3 / 4), 0_u32, 0);
    for six in text.bytes().filter_map(|byte| ALPHABET.iter().position(|known| *known == byte)) {
        buffer = buffer << 6 | six as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits) as u8);
        }
    }
    bytes
}
