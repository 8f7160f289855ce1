//! What a fault does.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::counters::Endpoint;
use crate::refusal::Refusal;

/// Which token an effect touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    /// Access tokens, managed identities' included.
    Access,
    /// ID tokens.
    Id,
    /// Both.
    #[default]
    Any,
}

impl TokenKind {
    fn covers(self, made: Self) -> bool {
        self == Self::Any || self == made
    }
}

/// What happens to a request. In TOML `effect = { aadsts = { number = 53003 } }` or `effect = "reset"`; the same
/// in the control API's JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// Entra refuses with this number, on the redirect when it happens at sign-in.
    Aadsts {
        /// The number, without the letters.
        number: u32,
        /// A claims challenge to send along.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claims: Option<String>,
    },
    /// This HTTP status instead of an answer.
    Status {
        /// The status.
        code: u16,
        /// Value of `Retry-After`, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// The answer comes later, in real time; at most a minute.
    Latency {
        /// By how much.
        millis: u64,
    },
    /// No answer at all; the connection stays open (for two minutes).
    Hang,
    /// The connection ends without an answer.
    Reset,
    /// The answer ends in the middle.
    Truncate,
    /// The answer is a web page with the right status.
    NotJson,
    /// A member of the JSON answer is missing.
    DropField {
        /// Which.
        field: String,
    },
    /// A member of the JSON answer has another value.
    SetField {
        /// Which.
        field: String,
        /// Its value.
        value: Value,
    },
    /// A claim of the token is missing or has another value.
    Claim {
        /// Of which token.
        #[serde(default)]
        token: TokenKind,
        /// Which.
        name: String,
        /// Its value; absent: the claim is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Value>,
    },
    /// `iat`, `nbf` and `exp` of the token are moved.
    ShiftTimes {
        /// Of which token.
        #[serde(default)]
        token: TokenKind,
        /// By how much; negative: into the past.
        seconds: i64,
    },
    /// The token has `alg: none` and no signature.
    AlgNone {
        /// Which token.
        #[serde(default)]
        token: TokenKind,
    },
    /// One byte of the token's signature is wrong.
    BadSignature {
        /// Which token.
        #[serde(default)]
        token: TokenKind,
    },
    /// The token is signed by a key that is not published.
    UnpublishedKey {
        /// Which token.
        #[serde(default)]
        token: TokenKind,
    },
    /// The token's header names no key.
    NoKid {
        /// Which token.
        #[serde(default)]
        token: TokenKind,
    },
    /// Access tokens live this long.
    Lifetime {
        /// In seconds.
        seconds: u32,
    },
    /// The identity endpoint repeats its token, even after it has expired.
    RepeatToken,
    /// The protected API refuses with a challenge in `WWW-Authenticate`.
    Challenge {
        /// Why.
        error: Challenge,
        /// For [`Challenge::InsufficientClaims`]: the claims to ask Entra for, as JSON; sent in base64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claims: Option<String>,
    },
    /// The Redis gate refuses a good AUTH.
    RefuseAuth {
        /// On a live connection without any reply, as Redis 7.2 to 8.x does while other replies are pending
        /// (redis/redis#15640).
        #[serde(default)]
        silent: bool,
    },
    /// A parameter of the redirect back to the app is missing or has another value.
    Redirect {
        /// Which: `state`, `code`, `iss`.
        parameter: String,
        /// Its value; absent: the parameter is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
}

impl Effect {
    /// Why it could never mean anything, if so.
    pub(crate) fn problem(&self) -> Option<String> {
        match self {
            Self::Status { code, .. } if !(400..=599).contains(code) => {
                Some(format!("A fault's status is {code}; give one of 400 to 599."))
            }
            Self::Latency { millis } if *millis > 60_000 => Some("A fault's latency is over a minute.".to_owned()),
            Self::Challenge { error, claims } if claims.is_some() != (*error == Challenge::InsufficientClaims) => {
                Some("A challenge has claims when its error is insufficient_claims, and only then.".to_owned())
            }
            _ => None,
        }
    }

    /// The only endpoint at which it means anything, if there is but one.
    pub(crate) fn home(&self) -> Option<Endpoint> {
        match self {
            Self::Challenge { .. } => Some(Endpoint::Api),
            Self::RefuseAuth { .. } => Some(Endpoint::Redis),
            _ => None,
        }
    }
}

/// Why an API refuses a token that it would otherwise accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Challenge {
    /// 401: the token has expired or was revoked (RFC 6750 §3.1).
    InvalidToken,
    /// 401: Entra must be asked again with these claims (continuous access evaluation).
    InsufficientClaims,
    /// 403: the token has not the scope or role (RFC 6750 §3.1).
    InsufficientScope,
}

/// The effects on one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Struck(pub(crate) Vec<Effect>);

impl Struck {
    pub(crate) fn and(mut self, more: &[Effect]) -> Self {
        self.0.extend(more.iter().cloned());
        self
    }

    /// Entra's refusal, if one is forced.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.0.iter().find_map(|effect| match effect {
            Effect::Aadsts { number, claims } => {
                let mut refusal = Refusal::bare(*number);
                refusal.fix = "It was asked for, by a fault rule or by the menu of the sign-in page.".to_owned();
                refusal.claims.clone_from(claims);
                Some(refusal)
            }
            _ => None,
        })
    }

    /// Whether the request must not reach its handler, because no answer of it would be seen.
    pub(crate) fn intercepts(&self) -> bool {
        let no_answer = |effect: &Effect| {
            use Effect::{Challenge, Hang, NotJson, Reset, Status};
            matches!(effect, Status { .. } | Reset | Hang | NotJson | Challenge { .. })
        };
        self.0.iter().any(no_answer)
    }

    pub(crate) fn life(&self) -> Option<Duration> {
        self.0.iter().find_map(|effect| match effect {
            Effect::Lifetime { seconds } => Some(Duration::from_secs(u64::from(*seconds))),
            _ => None,
        })
    }

    pub(crate) fn repeats_token(&self) -> bool {
        self.0.contains(&Effect::RepeatToken)
    }

    /// Whether tokens made under it differ from ordinary ones, so that they must not be cached.
    pub(crate) fn touches_tokens(&self) -> bool {
        self.0.iter().any(|effect| {
            matches!(
                effect,
                Effect::Claim { .. }
                    | Effect::ShiftTimes { .. }
                    | Effect::AlgNone { .. }
                    | Effect::BadSignature { .. }
                    | Effect::UnpublishedKey { .. }
                    | Effect::NoKid { .. }
            )
        })
    }

    /// Edits claims before they are signed.
    pub(crate) fn edit_claims(&self, kind: TokenKind, claims: &mut Map<String, Value>) {
        for effect in &self.0 {
            match effect {
                Effect::Claim { token, name, value } if token.covers(kind) => match value {
                    Some(value) => {
                        claims.insert(name.clone(), value.clone());
                    }
                    None => {
                        claims.remove(name);
                    }
                },
                Effect::ShiftTimes { token, seconds } if token.covers(kind) => {
                    for name in ["iat", "nbf", "exp"] {
                        if let Some(at) = claims.get(name).and_then(Value::as_i64) {
                            claims.insert(name.to_owned(), at.saturating_add(*seconds).into());
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// How the token is signed.
    pub(crate) fn signature(&self, kind: TokenKind) -> Signature {
        self.0
            .iter()
            .find_map(|effect| match effect {
                Effect::AlgNone { token } if token.covers(kind) => Some(Signature::None),
                Effect::BadSignature { token } if token.covers(kind) => Some(Signature::Broken),
                Effect::UnpublishedKey { token } if token.covers(kind) => Some(Signature::Unpublished),
                Effect::NoKid { token } if token.covers(kind) => Some(Signature::NoKid),
                _ => None,
            })
            .unwrap_or(Signature::Good)
    }

    /// Edits the parameters of a redirect.
    pub(crate) fn edit_redirect(&self, parameters: &mut Vec<(String, String)>) {
        for effect in &self.0 {
            if let Effect::Redirect { parameter, value } = effect {
                parameters.retain(|(name, _)| name != parameter);
                parameters.extend(value.clone().map(|value| (parameter.clone(), value)));
            }
        }
    }
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    Good,
    None,
    Broken,
    Unpublished,
    NoKid,
}
