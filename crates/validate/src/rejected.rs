//! Why a token was not accepted: one variant for each cause, a word for metrics, a sentence for people.

use entrant_proto::jose::{JoseError, MAX_TOKEN_BYTES};
use entrant_types::emulation::World;
use entrant_types::{ClientId, Code, Fault, Retry, Timestamp, Whose};

/// Why a token was not accepted. Text that came with the token is cut to 200 printable characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Not a signed JWT with the claims that every Entra token has.
    #[error("it is not a token of Entra ID: {0}")]
    Malformed(&'static str),
    /// Longer than any token that Entra issues.
    #[error("it is {0} bytes long; the limit is {MAX_TOKEN_BYTES}")]
    TooLarge(usize),
    /// Signed with something other than RS256, or not signed at all.
    #[error("it is signed with the algorithm {0:?}; only RS256 is accepted")]
    Algorithm(String),
    /// No key with this id is published, or none is named.
    #[error("its signing key {} is not among the issuer's keys", kid.as_deref().unwrap_or("(none named)"))]
    UnknownKey {
        /// `kid` of the header.
        kid: Option<String>,
    },
    /// The issuer's keys cannot be had. Says nothing about the token.
    #[error("it cannot be checked now: {}", .0.what)]
    KeysUnavailable(Box<Fault>),
    /// The signature does not match the text.
    #[error("its signature does not match")]
    Signature,
    /// Issued by somebody else.
    #[error("its issuer is {found:?}, which is not accepted here")]
    Issuer {
        /// `iss`.
        found: String,
    },
    /// Meant for somebody else.
    #[error("its audience is {found:?}; expected {}", expected.join(" or "))]
    Audience {
        /// `aud`.
        found: String,
        /// What would have been accepted.
        expected: Vec<String>,
    },
    /// An ID token whose authorized party (`azp`) is another application.
    #[error("it was issued to another application ({found:?})")]
    AuthorizedParty {
        /// `azp`.
        found: String,
    },
    /// Its time is over.
    #[error("it expired at {at}")]
    Expired {
        /// `exp`.
        at: Timestamp,
    },
    /// Its time has not come: `nbf` or `iat` lies in the future.
    #[error("it is not valid before {at}")]
    NotYetValid {
        /// `nbf` or `iat`.
        at: Timestamp,
    },
    /// A tenant that is not let in, or none.
    #[error("its tenant {} is not accepted here", found.as_deref().unwrap_or("(none)"))]
    Tenant {
        /// `tid`.
        found: Option<String>,
    },
    /// An ID token where an access token belongs.
    #[error("it is an ID token; an access token is needed")]
    IdToken,
    /// An access token where an ID token belongs.
    #[error("it is an access token; an ID token is needed")]
    AccessToken,
    /// An ID token of another sign-in.
    #[error("it belongs to another sign-in (the nonce differs)")]
    Nonce,
    /// A renewed ID token that speaks of somebody else, or of another sign-in.
    #[error("it does not continue the sign-in that it was renewed from ({0} differs)")]
    Continuation(&'static str),
    /// The person signed in longer ago than was asked for.
    #[error("the sign-in is older than was asked for")]
    SignInTooOld,
    /// A token of the emulator in the real world, or the other way round.
    #[error("{}", match .0 {
        World::Azure => "it comes from the emulator, which only emulator mode accepts",
        World::Emulator => "it does not come from the emulator, and emulator mode accepts no other",
    })]
    World(World),
    /// A good token without a delegated permission: 403.
    #[error("the permission {missing:?} is missing from its scopes")]
    Scope {
        /// The first one missing.
        missing: String,
    },
    /// A good token without any of the app roles: 403.
    #[error("it carries none of the app roles {}", any_of.join(", "))]
    Role {
        /// Any of these would do.
        any_of: Vec<String>,
    },
    /// A good token of a client application that may not call: 403.
    #[error("the client application {} may not call this API", found.map_or_else(|| "(none)".to_owned(), |id| id.to_string()))]
    Client {
        /// `azp` or `appid`.
        found: Option<ClientId>,
    },
}

impl Rejected {
    /// One word, for metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::TooLarge(_) => "too_large",
            Self::Algorithm(_) => "algorithm",
            Self::UnknownKey { .. } => "unknown_key",
            Self::KeysUnavailable(_) => "keys_unavailable",
            Self::Signature => "signature",
            Self::Issuer { .. } => "issuer",
            Self::Audience { .. } => "audience",
            Self::AuthorizedParty { .. } => "authorized_party",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::Tenant { .. } => "tenant",
            Self::IdToken => "id_token",
            Self::AccessToken => "access_token",
            Self::Nonce => "nonce",
            Self::Continuation(_) => "continuation",
            Self::SignInTooOld => "sign_in_too_old",
            Self::World(_) => "world",
            Self::Scope { .. } => "scope",
            Self::Role { .. } => "role",
            Self::Client { .. } => "client",
        }
    }

    /// The HTTP status that answers a request with such a token: 401 bring a better token, 403 this one does
    /// not suffice, 503 not the token's fault.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Scope { .. } | Self::Role { .. } | Self::Client { .. } => 403,
            Self::KeysUnavailable(_) => 503,
            _ => 401,
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750 §3) that names the reason.
    #[must_use]
    pub fn challenge(&self) -> String {
        let error = if self.status() == 403 { "insufficient_scope" } else { "invalid_token" };
        let description: String = format!("The token was refused: {self}.")
            .chars()
            .map(|c| match c {
                '"' | '\\' => '\'',
                ' '..='~' => c,
                _ => '?',
            })
            .collect();
        match self {
            Self::Scope { missing } if missing.chars().all(|c| matches!(c, '!' | '#'..='[' | ']'..='~')) => {
                format!(r#"Bearer error="{error}", error_description="{description}", scope="{missing}""#)
            }
            _ => format!(r#"Bearer error="{error}", error_description="{description}""#),
        }
    }

    /// The failure as a sentence with what to change.
    #[must_use]
    pub fn to_fault(&self) -> Fault {
        if let Self::KeysUnavailable(fault) = self {
            return fault.as_ref().clone();
        }
        let (whose, fix) = self.remedy();
        let retry = match self {
            Self::NotYetValid { .. } | Self::UnknownKey { .. } => Retry::Whenever,
            _ => Retry::Never,
        };
        let mut fault = Fault::new(whose, format!("The token was refused: {self}."), fix).retry(retry);
        fault.codes.push(Code::Entrant(self.reason()));
        fault
    }

    fn remedy(&self) -> (Whose, &'static str) {
        match self {
            Self::Malformed(_) | Self::TooLarge(_) | Self::Algorithm(_) | Self::Signature => {
                (Whose::Caller, "Send the access token exactly as Entra ID issued it.")
            }
            Self::UnknownKey { .. } => (
                Whose::Caller,
                "Check that the token comes from the configured tenant's authority; after a key rollover, try again in a minute.",
            ),
            Self::KeysUnavailable(_) => (Whose::Provider, "Try again later."),
            Self::Issuer { .. } => (
                Whose::Caller,
                "Ask for the token at the configured tenant's authority; check that v1 and v2 issuers are both configured if both may come.",
            ),
            Self::Audience { .. } => {
                (Whose::Caller, "Ask for a token with a scope of this API, such as api://API_CLIENT_ID/access_as_user.")
            }
            Self::AuthorizedParty { .. } => {
                (Whose::Configuration, "Check that CLIENT_ID is the id of the application that people sign in to.")
            }
            Self::Expired { .. } => (Whose::Caller, "Get a new token, and check this computer's clock."),
            Self::NotYetValid { .. } => (Whose::Caller, "Check the clocks of both computers."),
            Self::Tenant { .. } => (Whose::Caller, "Sign in with an account of an accepted tenant."),
            Self::IdToken => (Whose::Caller, "Send the access token, not the ID token."),
            Self::AccessToken => (Whose::Provider, "Ask for the scope openid."),
            Self::Nonce | Self::Continuation(_) | Self::SignInTooOld => (Whose::Caller, "Sign in again."),
            Self::World(World::Azure) => (Whose::Configuration, "Use real Entra ID, or start in emulator mode."),
            Self::World(World::Emulator) => {
                (Whose::Configuration, "Leave emulator mode, or take tokens from the emulator.")
            }
            Self::Scope { .. } => (
                Whose::Caller,
                "Ask for the permission when signing in, and grant consent to it in the app registration (API permissions).",
            ),
            Self::Role { .. } => (
                Whose::Caller,
                "Assign one of the app roles to the user or application (Enterprise applications, Users and groups).",
            ),
            Self::Client { .. } => (Whose::Configuration, "Add the client id to the applications that may call."),
        }
    }

    pub(crate) fn unknown_key(kid: Option<&str>) -> Self {
        Self::UnknownKey { kid: kid.map(shown) }
    }
}

impl From<JoseError> for Rejected {
    fn from(error: JoseError) -> Self {
        match error {
            JoseError::TooLong(bytes) => Self::TooLarge(bytes),
            JoseError::Malformed(why) => Self::Malformed(why),
            JoseError::Algorithm => Self::Algorithm("?".to_owned()),
            JoseError::Signature | JoseError::Key(_) => Self::Signature,
        }
    }
}

/// Text of a stranger, cut to 200 printable characters.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect()
}
