//! What a session holds: who signed in, when, and their tokens.

use entrant_confidential::AccountTokens;
use entrant_types::{ObjectId, TenantId, Timestamp};
use entrant_validate::Verified;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Claims shown on the page; an ID token has about twenty.
const MAX_CLAIMS: usize = 60;
/// Longest name shown.
const MAX_TEXT: usize = 200;

/// Who signed in, taken from a verified ID token. People are told apart by tenant and object id, never by name
/// or mail address, which anybody can choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Claim `name`, else the user name, else the object id.
    pub name: String,
    /// Claim `preferred_username`.
    pub username: Option<String>,
    /// Claim `oid`.
    pub object_id: Option<ObjectId>,
    /// Claim `tid`.
    pub tenant_id: Option<TenantId>,
    /// Claim `roles`.
    pub roles: Vec<String>,
    /// All claims of the ID token, for the page.
    pub claims: Map<String, Value>,
}

impl Person {
    /// From a verified ID token.
    #[must_use]
    pub fn of(token: &Verified) -> Self {
        let text = |name: &str| token.text(name).map(|text| text.chars().take(MAX_TEXT).collect::<String>());
        let username = text("preferred_username");
        let fallback = || token.object_id().map_or_else(|| "somebody".to_owned(), |id| id.to_string());
        Self {
            name: text("name").or_else(|| username.clone()).unwrap_or_else(fallback),
            username,
            object_id: token.object_id(),
            tenant_id: token.tenant_id(),
            roles: token.roles().iter().take(MAX_CLAIMS).cloned().collect(),
            claims: token.claims().iter().take(MAX_CLAIMS).map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }
}

/// The plain text of a session record.
#[derive(Clone, Serialize, Deserialize)]
pub struct Record {
    /// Who signed in.
    pub person: Person,
    /// When: the absolute limit counts from here.
    pub signed_in: Timestamp,
    /// The last request, to a tenth of the idle limit: the idle limit counts from here.
    pub seen: Timestamp,
    /// The person's tokens.
    pub tokens: AccountTokens,
    /// One more for every change of the tokens; a noted request does not count.
    pub tokens_version: u64,
}
