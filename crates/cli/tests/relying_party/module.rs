//! The modules by name, each with its rule and what our client makes of it.

use entrant_types::Fault;

/// A test module of the suite.
pub(crate) struct Module {
    /// Its name there, without `oidcc-client-test-`.
    pub(crate) name: &'static str,
    /// The fault rule as it is posted to the control API; empty where nothing goes wrong.
    pub(crate) rule: &'static str,
    /// What is done beside it, for the page.
    pub(crate) setting: &'static str,
    pub(crate) verdict: Verdict,
}

/// What our client makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It works.
    Works,
    /// It is refused with this code.
    Refused(&'static str),
    /// It does not concern our client, shown by the test: why.
    Unconcerned(&'static str),
}

impl Module {
    /// The module of that name.
    pub(crate) fn named(name: &str) -> &'static Self {
        PLANS
            .iter()
            .flat_map(|(_, modules)| modules.iter())
            .find(|module| module.name == name)
            .unwrap_or_else(|| panic!("no module is called {name}"))
    }

    /// Fails unless `outcome` is what the page promises.
    pub(crate) fn judge<T>(&self, outcome: Result<T, Fault>) {
        match (self.verdict, outcome) {
            (Verdict::Works | Verdict::Unconcerned(_), Ok(_)) => {}
            (Verdict::Refused(code), Err(fault)) => {
                assert!(fault.is(code), "{}: refused, but not as {code}: {fault} {:?}", self.name, fault.codes);
            }
            (verdict, Ok(_)) => panic!("{}: {verdict:?} was expected, and it went through", self.name),
            (verdict, Err(fault)) => panic!("{}: {verdict:?} was expected: {fault} {:?}", self.name, fault.codes),
        }
    }
}

const fn module(name: &'static str, rule: &'static str, verdict: Verdict) -> Module {
    Module { name, rule, setting: "", verdict }
}

const fn with(name: &'static str, rule: &'static str, setting: &'static str, verdict: Verdict) -> Module {
    Module { name, rule, setting, verdict }
}

use Verdict::{Refused, Unconcerned, Works};

/// The plans with their modules, in the suite's order.
pub(crate) const PLANS: &[(&str, &[Module])] = &[
    (
        "Basic",
        &[
            module("plain", "", Works),
            module(
                "invalid-iss",
                r#"{"endpoint":"token","effect":{"claim":{"token":"id","name":"iss","value":"https://localhost/another/v2.0"}}}"#,
                Refused("issuer"),
            ),
            module(
                "missing-sub",
                r#"{"endpoint":"token","effect":{"claim":{"token":"id","name":"sub"}}}"#,
                Refused("malformed"),
            ),
            module(
                "invalid-aud",
                r#"{"endpoint":"token","effect":{"claim":{"token":"id","name":"aud","value":"another-client"}}}"#,
                Refused("audience"),
            ),
            module(
                "missing-iat",
                r#"{"endpoint":"token","effect":{"claim":{"token":"id","name":"iat"}}}"#,
                Refused("malformed"),
            ),
            module("kid-absent-single-jwks", r#"{"endpoint":"token","effect":{"no-kid":{"token":"id"}}}"#, Works),
            with(
                "kid-absent-multiple-jwks",
                r#"{"endpoint":"token","effect":{"no-kid":{"token":"id"}}}"#,
                "after `POST /control/keys {\"action\":\"rotate\"}`: two keys",
                Refused("unknown_key"),
            ),
            module("idtoken-sig-rs256", "", Works),
            module(
                "idtoken-sig-none",
                r#"{"endpoint":"token","effect":{"alg-none":{"token":"id"}}}"#,
                Refused("algorithm"),
            ),
            module(
                "invalid-sig-rs256",
                r#"{"endpoint":"token","effect":{"bad-signature":{"token":"id"}}}"#,
                Refused("signature"),
            ),
            module(
                "userinfo-invalid-sub",
                r#"{"endpoint":"userinfo","effect":{"set-field":{"field":"sub","value":"somebody-else"}}}"#,
                Unconcerned("UserInfo is not asked: the counter stays at 0"),
            ),
            module(
                "nonce-invalid",
                r#"{"endpoint":"token","effect":{"claim":{"token":"id","name":"nonce","value":"another-nonce"}}}"#,
                Refused("nonce"),
            ),
            module(
                "scope-userinfo-claims",
                "",
                Unconcerned(
                    "what `profile` asks for comes in the ID token, as Entra puts it there; UserInfo is not asked",
                ),
            ),
        ],
    ),
    (
        "Configuration",
        &[
            module("discovery-openid-config", "", Works),
            module("discovery-jwks-uri-keys", "", Works),
            module(
                "discovery-issuer-mismatch",
                r#"{"endpoint":"metadata","effect":{"set-field":{"field":"issuer","value":"https://localhost/another/v2.0"}}}"#,
                Refused("metadata_refused"),
            ),
            with(
                "signing-key-rotation",
                "",
                "`POST /control/keys {\"action\":\"rotate\"}` between two sign-ins",
                Works,
            ),
            with(
                "signing-key-rotation-just-before-signing",
                "",
                "the same after the code was issued and before it is redeemed",
                Works,
            ),
        ],
    ),
    (
        "Refresh token",
        &[
            module("refresh-token", "", Works),
            module(
                "refresh-token-invalid-issuer",
                r#"{"endpoint":"token","grant":"refresh_token","effect":{"claim":{"token":"id","name":"iss","value":"https://localhost/another/v2.0"}}}"#,
                Refused("issuer"),
            ),
            module(
                "refresh-token-invalid-sub",
                r#"{"endpoint":"token","grant":"refresh_token","effect":{"claim":{"token":"id","name":"sub","value":"somebody-else"}}}"#,
                Refused("continuation"),
            ),
        ],
    ),
    (
        "Sign-out begun by the app",
        &[
            module("rp-init-logout", "", Works),
            module(
                "rp-init-logout-no-state",
                r#"{"endpoint":"logout","effect":{"redirect":{"parameter":"state"}}}"#,
                Unconcerned("no state is sent: the session is over before the browser leaves"),
            ),
            module(
                "rp-init-logout-other-state",
                r#"{"endpoint":"logout","effect":{"redirect":{"parameter":"state","value":"another-state"}}}"#,
                Unconcerned("what comes back is a visit of the first page, whatever its query says"),
            ),
        ],
    ),
    (
        "Front-channel sign-out",
        &[
            module("rp-frontchannel-rpinitlogout", "", Works),
            with("rp-frontchannel-opinitlogout", "", "at Entra's own sign-out page", Works),
        ],
    ),
];

/// Modules that no test stands for, and why not.
pub(crate) const NOT_FOR_US: &[(&str, &str)] = &[
    (
        "client-secret-basic",
        "The client proves itself by an assertion (`private_key_jwt`); a client secret, where one is configured, goes in the form (`client_secret_post`), as Microsoft's own libraries send it.",
    ),
    (
        "all of the form-post plan",
        "The answer is asked for with `response_mode=query`: a form from another site would arrive without the browser's `SameSite=Lax` cookie.",
    ),
    (
        "all of the implicit and hybrid plans",
        "Only `response_type=code` with PKCE is implemented: no token passes through a browser.",
    ),
    ("discovery-webfinger-acct, discovery-webfinger-url", "The authority is configured; Entra ID has no WebFinger."),
    ("dynamic-registration", "An app is registered in Entra ID beforehand; Entra ID has no dynamic registration."),
    (
        "request-uri-signed-rs256, request-uri-signed-none",
        "Entra ID takes no request objects (`request_uri_parameter_supported` is false).",
    ),
    ("userinfo-signed", "UserInfo is not asked."),
    (
        "rp-backchannel-rpinitlogout and its seven refusals",
        "Entra ID has no back-channel sign-out; its metadata does not announce it.",
    ),
    ("session-management", "Entra ID announces no `check_session_iframe`; its frames are blocked by browsers anyway."),
    (
        "3rd-party-init-login",
        "Another site may lead to `/login`, and the person is asked before a sign-in begins; no `iss` is taken from outside.",
    ),
];
