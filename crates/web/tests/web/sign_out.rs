//! Promises of signing out: by the person's own button alone, and really.

use http::StatusCode;

use crate::browser::{Browser, parameter};
use crate::identity::{BASE, SID, Scene, TENANT};

const SIGNED_IN: &str = "Signed in as";
const OWN: [(&str, &str); 3] = [
    ("content-type", "application/x-www-form-urlencoded"),
    ("origin", "http://localhost:5000"),
    ("sec-fetch-site", "same-origin"),
];

async fn signed_in(scene: &Scene) -> (Browser, String) {
    let mut browser = Browser::new(scene);
    browser.sign_in(scene).await;
    let token = browser.get("/").await.form_token();
    (browser, token)
}

#[tokio::test]
async fn the_button_ends_the_session_on_the_server_and_at_entra() {
    let scene = Scene::new();
    let (mut browser, token) = signed_in(&scene).await;
    let mut copy = browser.clone();
    let reply = browser.request("POST", "/logout", &OWN, &format!("form_token={token}")).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert!(reply.location().starts_with("http://localhost:8480/"), "{}", reply.location());
    let back = parameter(reply.location(), "post_logout_redirect_uri");
    assert_eq!(back.as_deref(), Some("http://localhost:5000/"));
    assert_eq!(browser.session(), None, "the cookie is gone");
    assert!(!copy.get("/").await.body.contains(SIGNED_IN), "a copied cookie is worth nothing");
}

#[tokio::test]
async fn the_page_lets_its_form_lead_to_entra_and_nowhere_else() {
    let scene = Scene::new();
    let (mut browser, _) = signed_in(&scene).await;
    let policy = browser.get("/").await.header("content-security-policy").to_owned();
    assert!(policy.contains("form-action 'self' http://localhost:8480;"), "{policy}");
}

#[tokio::test]
async fn no_other_site_can_sign_a_person_out() {
    let scene = Scene::new();
    let (mut browser, token) = signed_in(&scene).await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let right = format!("form_token={token}");
    let attempts: [(&[(&str, &str)], &str); 8] = [
        (&[form], ""),
        (&[form], "form_token="),
        (&[form], "form_token=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        (&OWN, "form_token=wrong"),
        (&[form, ("origin", "https://evil.example")], &right),
        (&[form, ("origin", "null")], &right),
        (&[form, ("sec-fetch-site", "cross-site")], &right),
        (&[("content-type", "text/plain")], &right),
    ];
    for (headers, body) in attempts {
        let reply = browser.request("POST", "/logout", headers, body).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{headers:?} {body}");
        assert!(browser.get("/").await.body.contains(SIGNED_IN), "{headers:?} {body}");
    }
    let get = browser.get("/logout").await;
    assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(browser.get("/").await.body.contains(SIGNED_IN));
}

#[tokio::test]
async fn a_form_token_of_one_session_is_of_no_use_in_another() {
    let scene = Scene::new();
    let (_, token) = signed_in(&scene).await;
    let (mut other, _) = signed_in(&scene).await;
    let reply = other.request("POST", "/logout", &OWN, &format!("form_token={token}")).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn signing_out_without_a_session_is_no_error() {
    let scene = Scene::new();
    let reply = Browser::new(&scene).request("POST", "/logout", &OWN, "form_token=x").await;
    assert_eq!((reply.status, reply.location()), (StatusCode::SEE_OTHER, "/"));
}

#[tokio::test]
async fn a_sign_out_elsewhere_ends_the_session_here() {
    let scene = Scene::new();
    let (mut browser, _) = signed_in(&scene).await;
    let issuer = format!("{BASE}/{TENANT}/v2.0");
    let front_channel = |issuer: &str, sid: &str| {
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair("iss", issuer).append_pair("sid", sid).finish();
        format!("/front-channel-logout?{query}")
    };
    let mut entra = Browser::new(&scene);
    for (iss, sid) in [(issuer.as_str(), "another"), ("https://evil.example", SID)] {
        assert_eq!(entra.get(&front_channel(iss, sid)).await.status, StatusCode::OK);
        assert!(browser.get("/").await.body.contains(SIGNED_IN), "{iss} {sid}");
    }
    assert_eq!(entra.get("/front-channel-logout?sid=x").await.status, StatusCode::BAD_REQUEST);
    let reply = entra.get(&front_channel(&issuer, SID)).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(!reply.header("content-security-policy").contains("frame-ancestors"), "Entra frames it");
    assert!(!browser.get("/").await.body.contains(SIGNED_IN));
}
