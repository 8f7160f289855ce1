//! The chain behind a signed-in page: managed-identity token, federated credential, user tokens, Redis connection.
//!
//! Tokens appear as fingerprints: the first digits of their SHA-256, enough to see one replaced by another.

use entrant_credential::Keeper;
use entrant_proto::jose::UnverifiedJwt;
use entrant_types::{AccessToken, Fault, Secret, Timestamp};
use serde_json::Value;

use super::moment::Moment;
use super::timeline::Life;
use crate::session::seal::RecordId;

/// Longest claim value shown.
const MAX_SHOWN: usize = 300;

/// How a link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It holds.
    Holds,
    /// Not there yet, or about to be renewed.
    Waiting,
    /// It does not hold, or its renewal fails.
    Trouble,
}

impl State {
    /// Style class.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Holds => "ok",
            Self::Waiting => "wait",
            Self::Trouble => "bad",
        }
    }

    /// A word, for who does not see the colour.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Waiting => "waiting",
            Self::Trouble => "trouble",
        }
    }
}

/// A value as the page shows it.
#[derive(Clone, Debug)]
pub enum Shown {
    /// Words.
    Text(String),
    /// An id or other text for machines.
    Code(String),
    /// A moment.
    At(Moment),
}

/// A labelled value.
#[derive(Clone, Debug)]
pub struct Fact {
    /// What it is.
    pub label: &'static str,
    /// The value.
    pub value: Shown,
}

/// One link of the chain.
#[derive(Clone, Debug)]
pub struct Link {
    /// What it is.
    pub title: &'static str,
    /// How it stands.
    pub state: State,
    /// What it does, in a sentence.
    pub sentence: String,
    /// What is known of it.
    pub facts: Vec<Fact>,
    /// Why it is in trouble.
    pub fault: Option<Fault>,
}

impl Link {
    /// A link without facts.
    #[must_use]
    pub fn new(title: &'static str, state: State, sentence: impl Into<String>) -> Self {
        Self { title, state, sentence: sentence.into(), facts: Vec::new(), fault: None }
    }

    /// The same link with an id or other text for machines, if there is one.
    #[must_use]
    pub fn code(mut self, label: &'static str, value: Option<String>) -> Self {
        self.facts.extend(value.map(|value| Fact { label, value: Shown::Code(value) }));
        self
    }

    /// The same link with words, if there are any.
    #[must_use]
    pub fn text(mut self, label: &'static str, value: Option<String>) -> Self {
        self.facts.extend(value.map(|value| Fact { label, value: Shown::Text(value) }));
        self
    }

    /// The same link with a moment, if there is one.
    #[must_use]
    pub fn at(mut self, label: &'static str, at: Option<Timestamp>, now: Timestamp) -> Self {
        self.facts.extend(at.map(|at| Fact { label, value: Shown::At(Moment::new(at, now)) }));
        self
    }

    /// The same link with its trouble, if any.
    #[must_use]
    pub fn fault(mut self, fault: Option<Fault>) -> Self {
        self.fault = fault;
        self
    }
}

/// The first 8 digits of a token's SHA-256.
#[must_use]
pub fn fingerprint(token: &Secret) -> String {
    RecordId::of(token.expose().as_bytes()).to_string().chars().take(8).collect()
}

/// The machine's own token and what it is the proof for: the first two links.
#[must_use]
pub fn assertion_links(
    keeper: Option<&Keeper>,
    credential_name: Option<&str>,
    client_id: &str,
    accepted: Option<Timestamp>,
    now: Timestamp,
) -> (Vec<Link>, Option<Life>) {
    let Some(keeper) = keeper else {
        let sentence = "This app proves itself by a configured credential, not by a managed identity.";
        return (vec![Link::new("Client credential", State::Holds, sentence)], None);
    };
    let snapshot = keeper.snapshot();
    let Some(token) = &snapshot.token else {
        let state = if snapshot.last_fault.is_some() { State::Trouble } else { State::Waiting };
        let link = Link::new("Managed-identity token", state, "The machine's identity has given no token yet.")
            .text("Source", Some(keeper.source_name().to_owned()))
            .at("Next attempt", snapshot.next_attempt, now)
            .fault(snapshot.last_fault);
        return (vec![link], None);
    };
    let claims = Claims::of(&token.secret);
    let state = standing(token, snapshot.last_fault.as_ref(), now);
    let identity = Link::new(
        "Managed-identity token",
        state,
        "The machine asked its identity endpoint for a token: no secret, only the fact of running here.",
    )
    .text("Source", Some(keeper.source_name().to_owned()))
    .text("For", Some(keeper.scope().to_string()))
    .code("Object id", claims.text("oid"))
    .at("Ends", Some(token.lifetime.expires), now)
    .at("Next renewal", snapshot.next_attempt, now)
    .code("Fingerprint", Some(fingerprint(&token.secret)))
    .text("Renewed", Some(times(snapshot.generation.saturating_sub(1))))
    .fault(snapshot.last_fault);
    let exchange = Link::new(
        "Federated credential",
        if accepted.is_some() { State::Holds } else { State::Waiting },
        "Entra ID took that token as this app's proof, since a federated credential of the app registration names \
         exactly its issuer, subject and audience.",
    )
    .text("Credential", credential_name.map(str::to_owned))
    .code("App registration", Some(client_id.to_owned()))
    .code("Issuer", claims.text("iss"))
    .code("Subject", claims.text("sub"))
    .code("Audience", claims.text("aud"))
    .at("Last accepted", accepted, now);
    let life = Life {
        name: "Managed-identity token".to_owned(),
        lifetime: token.lifetime,
        next: snapshot.next_attempt,
        colour: 1,
    };
    (vec![identity, exchange], Some(life))
}

/// A kept token in trouble is one that has ended, or one that cannot be renewed.
#[must_use]
pub fn standing(token: &AccessToken, fault: Option<&Fault>, now: Timestamp) -> State {
    if fault.is_some() || !token.lifetime.is_valid(now) { State::Trouble } else { State::Holds }
}

/// `once`, `twice`, `5 times`, `not yet`.
#[must_use]
pub fn times(count: u64) -> String {
    match count {
        0 => "not yet".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

/// Claims of our own token, for the page alone: nothing is decided by them.
struct Claims(serde_json::Map<String, Value>);

impl Claims {
    fn of(token: &Secret) -> Self {
        Self(UnverifiedJwt::parse(token.expose()).map(UnverifiedJwt::into_unverified_claims).unwrap_or_default())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(Value::as_str).map(|text| text.chars().take(MAX_SHOWN).collect())
    }
}

/// Claims as rows of a table: text as it is, times as RFC 3339 beside the number, the rest as JSON.
#[must_use]
pub fn claim_rows(claims: &serde_json::Map<String, Value>) -> Vec<(String, String)> {
    let shown = |name: &str, value: &Value| match value {
        Value::String(text) => text.chars().take(MAX_SHOWN).collect(),
        Value::Number(number) if matches!(name, "exp" | "iat" | "nbf" | "auth_time") => number
            .as_i64()
            .map_or_else(|| number.to_string(), |seconds| format!("{} ({seconds})", Timestamp::from_secs(seconds))),
        other => other.to_string().chars().take(MAX_SHOWN).collect(),
    };
    claims.iter().take(100).map(|(name, value)| (name.chars().take(80).collect(), shown(name, value))).collect()
}
