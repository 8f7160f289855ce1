//! The sign-in page's menu *fail this sign-in as…*: one trouble for one sign-in.

use serde_json::json;

use super::{Effect, TokenKind};

/// An entry of the menu.
pub(crate) struct Trouble {
    /// Its value in the form.
    pub(crate) name: &'static str,
    /// What the menu says.
    pub(crate) label: &'static str,
    /// Where in the sign-in it shows.
    pub(crate) stage: Stage,
    effect: fn() -> Effect,
}

/// Where a trouble shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// On the redirect back to the app.
    Redirect,
    /// When the app redeems the code.
    Redemption,
    /// In the tokens that it gets.
    Tokens,
}

impl Stage {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Redirect => "On the way back to the app",
            Self::Redemption => "When the app redeems the code",
            Self::Tokens => "In the ID token",
        }
    }
}

impl Trouble {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        TROUBLES.iter().find(|trouble| trouble.name == name)
    }

    pub(crate) fn effect(&self) -> Effect {
        (self.effect)()
    }
}

macro_rules! trouble {
    ($stage:ident, $name:literal, $label:literal, $effect:expr) => {
        Trouble { name: $name, label: $label, stage: Stage::$stage, effect: || $effect }
    };
}

fn aadsts(number: u32) -> Effect {
    Effect::Aadsts { number, claims: None }
}

fn challenged(number: u32) -> Effect {
    let claims = json!({ "access_token": { "capolids": { "essential": true, "values": ["emulator-policy"] } } });
    Effect::Aadsts { number, claims: Some(claims.to_string()) }
}

fn id_claim(name: &str, value: &str) -> Effect {
    Effect::Claim { token: TokenKind::Id, name: name.to_owned(), value: Some(value.into()) }
}

/// The menu, in its order.
pub(crate) const TROUBLES: &[Trouble] = &[
    trouble!(Redirect, "not-assigned", "not assigned to the app (AADSTS50105)", aadsts(50105)),
    trouble!(Redirect, "consent-declined", "consent declined (AADSTS65004)", aadsts(65004)),
    trouble!(Redirect, "consent-missing", "consent missing (AADSTS65001)", aadsts(65001)),
    trouble!(Redirect, "second-factor", "second factor needed (AADSTS50076)", challenged(50076)),
    trouble!(Redirect, "blocked", "blocked by Conditional Access (AADSTS53003)", challenged(53003)),
    trouble!(Redirect, "disabled", "account disabled (AADSTS50057)", aadsts(50057)),
    trouble!(
        Redirect,
        "wrong-state",
        "state changed on the way",
        Effect::Redirect { parameter: "state".into(), value: Some("not-the-state-of-this-sign-in".into()) }
    ),
    trouble!(Redirect, "no-state", "state missing", Effect::Redirect { parameter: "state".into(), value: None }),
    trouble!(
        Redirect,
        "wrong-code",
        "code of another sign-in",
        Effect::Redirect { parameter: "code".into(), value: Some("1.not-a-code".into()) }
    ),
    trouble!(
        Redemption,
        "subject-mismatch",
        "federated credential has another subject (AADSTS700213)",
        aadsts(700_213)
    ),
    trouble!(Redemption, "issuer-mismatch", "federated credential has another issuer (AADSTS700211)", aadsts(700_211)),
    trouble!(
        Redemption,
        "audience-mismatch",
        "federated credential has another audience (AADSTS700212)",
        aadsts(700_212)
    ),
    trouble!(Redemption, "assertion-expired", "assertion expired (AADSTS700024)", aadsts(700_024)),
    trouble!(Redemption, "assertion-signature", "assertion's signature wrong (AADSTS700027)", aadsts(700_027)),
    trouble!(Redemption, "no-federation", "no federated credential (AADSTS70025)", aadsts(70025)),
    trouble!(Redemption, "propagating", "federated credential not spread yet (AADSTS70021)", aadsts(70021)),
    trouble!(Redemption, "wrong-secret", "client secret wrong (AADSTS7000215)", aadsts(7_000_215)),
    trouble!(Redemption, "code-used", "code already redeemed (AADSTS54005)", aadsts(54005)),
    trouble!(Redemption, "code-expired", "code expired (AADSTS70008)", aadsts(70008)),
    trouble!(
        Redemption,
        "throttled",
        "throttled: 429, Retry-After 3",
        Effect::Status { code: 429, retry_after: Some(3) }
    ),
    trouble!(Redemption, "unavailable", "Entra unavailable: 503", Effect::Status { code: 503, retry_after: None }),
    trouble!(Redemption, "reset", "connection reset", Effect::Reset),
    trouble!(Redemption, "not-json", "an HTML page instead of JSON", Effect::NotJson),
    trouble!(Tokens, "wrong-nonce", "another nonce", id_claim("nonce", "not-the-nonce-of-this-sign-in")),
    trouble!(Tokens, "wrong-audience", "for another client", id_claim("aud", "00000000-0000-0000-0000-000000000000")),
    trouble!(Tokens, "wrong-issuer", "from another issuer", id_claim("iss", "https://localhost/another/v2.0")),
    trouble!(Tokens, "wrong-tenant", "of another tenant", id_claim("tid", "00000000-0000-0000-0000-000000000000")),
    trouble!(
        Tokens,
        "expired",
        "expired two hours ago",
        Effect::ShiftTimes { token: TokenKind::Id, seconds: -3 * 3600 }
    ),
    trouble!(
        Tokens,
        "not-yet",
        "not valid before tomorrow",
        Effect::ShiftTimes { token: TokenKind::Id, seconds: 86_400 }
    ),
    trouble!(Tokens, "bad-signature", "signature wrong", Effect::BadSignature { token: TokenKind::Id }),
    trouble!(Tokens, "unsigned", "alg none", Effect::AlgNone { token: TokenKind::Id }),
    trouble!(Tokens, "unpublished-key", "signed by an unknown key", Effect::UnpublishedKey { token: TokenKind::Id }),
    trouble!(
        Tokens,
        "no-subject",
        "without a subject",
        Effect::Claim { token: TokenKind::Id, name: "sub".into(), value: None }
    ),
];
